"""DeepFaceLab models (SAEHD, AMP or Quick96) as the network of a `swap` bundle, or as a .dfm.

A model NAME of class C lies as NAME_C_data.dat (options) and NAME_C_PART.npy (weights; pickles, in spite of
their ending) in one folder. Only the parts that draw are read; discriminators and optimisers may be missing.
Upstream leaves a weight that a file lacks at a random start and ignores one too many; here both are refused.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from export.networks.autoencoder import (
    DFM_INPUT,
    DFM_MORPH,
    DFM_OUTPUTS,
    Amp,
    AmpShape,
    Archi,
    DfmLayout,
    SaehdShape,
    saehd,
)
from export.parity import Feed, Kind
from export.plan import ExportPlan, NetworkSpec
from export.restricted_pickle import read_restricted_pickle
from export.samples import MORPHS, pictures
from export.torch_file import fill
from realtime.errors import ConfigError, ModelError
from realtime.inference.file_kind import kind_of
from realtime.models.card import FaceTypeName
from realtime.text import printable

FACE_TYPES = {"h": "half", "mf": "mid-full", "f": "full", "wf": "whole_face", "head": "head"}
"""Upstream's short names, and ours in a card."""

MAX_FILE_BYTES = 16 << 30
"""Above any part of a model that can be trained on the cards of its day."""

QUICK96 = {
    "resolution": 96, "archi": "df-ud", "ae_dims": 128, "e_dims": 64, "d_dims": 64, "d_mask_dims": 16, "face_type": "f",
}  # fmt: skip
"""Upstream's class of fixed sizes, which its options do not tell: a small SAEHD."""

_DATA = re.compile(r"(?P<name>.+)_(?P<family>SAEHD|AMP|Quick96)_data\.dat")
_BESIDE = re.compile(r"(?P<model>.+_(?:SAEHD|AMP|Quick96))_\w+\.(?:dat|npy|txt|dfm)")
_XSEG = re.compile(r"XSeg_\w+\.(dat|npy|onnx)")
_OTHER = re.compile(r"(?:.*_)?(?P<family>[^_]+)_data\.dat")
"""Any file of a model tells which of a folder's models is meant."""


IS_XSEG = (
    "is of XSeg, which masks faces for training and draws none: give a SAEHD or AMP model "
    "(trained on XSeg's masks, it has learned them)"
)


@dataclass(frozen=True, slots=True, eq=False)
class DeepFaceLabModel:
    """What a folder held.

    `network` is `SaehdDf`, `SaehdLiae`, or `Amp` (which takes a morph too), in eval mode, on the CPU, without
    gradients. `face_type` is by the names of a card's input, None where the file has one that is not known
    here; `archi` is None for AMP; `iterations` is how long it was trained. `files` are those that were read.
    """

    name: str
    family: str
    archi: str | None
    face_type: str | None
    resolution: int
    iterations: int
    network: Any
    files: tuple[Path, ...]


def plan_deepfacelab(path: Path, *, face_type: str | None = None) -> ExportPlan:
    """The model in a folder, or of one of its files. Raises ModelError, and ConfigError about `face_type`.

    The outputs are called as a swap card calls them. `face_type` overrules what the model's options say: needed
    where they name one that is not known here.
    """
    if face_type is not None and face_type not in get_args(FaceTypeName):
        allowed = ", ".join(get_args(FaceTypeName))
        raise ConfigError(f"--face-type {printable(face_type, 40)} is none of {allowed}: choose what it was trained on")
    model = read_deepfacelab(path)
    chosen = face_type or model.face_type
    if chosen is None:
        raise ConfigError(f"{printable(model.name, 60)} does not say its face type: give it with --face-type")
    size, morph = model.resolution, model.family == "AMP"

    def samples(count: int) -> list[Feed]:
        faces = pictures(size, count)
        morphs = [{"morph": np.array([MORPHS[n % len(MORPHS)]], np.float32)} if morph else {} for n in range(count)]
        return [{"face": face, **more} for face, more in zip(faces, morphs, strict=True)]

    def dfm_samples(count: int) -> list[Feed]:
        return [
            {DFM_INPUT: np.ascontiguousarray(feed["face"].transpose(0, 2, 3, 1))}
            | ({DFM_MORPH: feed["morph"]} if morph else {})
            for feed in samples(count)
        ]

    outputs: dict[str, Kind] = {"celeb_face": "face", "celeb_mask": "mask", "driver_mask": "mask"}
    swap = NetworkSpec(
        "swap.onnx",
        model.network,
        ("face", "morph") if morph else ("face",),
        outputs,
        samples,
        frozenset({"face"}),
        shown_by={"celeb_face": "celeb_mask"},
    )
    dfm = NetworkSpec(
        "",
        DfmLayout(model.network),
        (DFM_INPUT, DFM_MORPH) if morph else (DFM_INPUT,),
        dict.fromkeys(DFM_OUTPUTS, "picture"),
        dfm_samples,
        frozenset({DFM_INPUT}),
    )
    return ExportPlan(
        family="swap",
        name=model.name,
        networks=(swap,),
        sources=model.files,
        input={"size": size, "face_type": chosen, "colour": "BGR", "layout": "NCHW", "range": "0..1", "morph": morph},
        output={"face": "celeb_face", "mask": "celeb_mask", "driver_mask": "driver_mask"},
        training={
            "program": "DeepFaceLab",
            "kind": f"{model.family} {model.archi}" if model.archi else model.family,
            "iterations": model.iterations,
        },
        dfm=dfm,
    )


def read_deepfacelab(path: Path) -> DeepFaceLabModel:
    """The model in a folder, or the one that a file belongs to where a folder holds several.

    Runs no code from any file. Raises ModelError, in one line, for whatever is missing, damaged, hostile, or
    does not fit together.
    """
    data = _find(path)
    naming = _DATA.fullmatch(data.name)
    assert naming is not None  # _find gives no other
    name, family = naming["name"], naming["family"]
    content = _read(data)
    iterations = content.get("iter")
    options = QUICK96 if family == "Quick96" else content.get("options")
    if type(iterations) is not int or not isinstance(options, dict):
        raise ModelError(f"{_title(data)} lacks 'iter' or 'options': is it the options of a {family} model?")
    if iterations < 1:
        raise ModelError(f"{_title(data)} was never trained: train it in DeepFaceLab first")
    try:
        network, archi = _network(family, options)
    except ModelError as why:
        raise ModelError(f"{_title(data)}: {why}") from why
    files = {part: data.with_name(f"{name}_{family}_{part}.npy") for part, _ in network.named_children()}
    title = f"model {printable(name, 40)!r}"
    fill(network, _state({part: _read(file) for part, file in files.items()}, title), title)
    face_type = options.get("face_type")
    return DeepFaceLabModel(
        name=name,
        family=family,
        archi=archi,
        face_type=FACE_TYPES.get(face_type) if isinstance(face_type, str) else None,
        resolution=_whole(options, "resolution"),
        iterations=iterations,
        network=network,
        files=(data, *files.values()),
    )


def _title(path: Path) -> str:
    return f"DeepFaceLab file {printable(path.name, 80)}"


def _find(path: Path) -> Path:
    beside = _BESIDE.fullmatch(path.name)
    if beside and path.is_file():
        data = path.with_name(f"{beside['model']}_data.dat")
        if data.is_file():
            return data
        raise ModelError(f"{_title(data)} is missing beside {printable(path.name, 80)}: copy the whole model folder")
    if not path.is_dir():
        if _XSEG.fullmatch(path.name):
            raise ModelError(f"{printable(path)} {IS_XSEG}")
        what = ""
        with contextlib.suppress(OSError):
            what = f" but {kind_of(path).title}" if path.is_file() else ""
        raise ModelError(
            f"{printable(path)} is no DeepFaceLab model{what}: give its folder, or its NAME_SAEHD_data.dat (or _AMP_)"
        )
    try:
        names = sorted(file.name for file in path.iterdir() if file.is_file())
    except OSError as why:
        raise ModelError(f"cannot look into {printable(path)} ({why.strerror}): make it readable") from why
    found = [path / name for name in names if _DATA.fullmatch(name)]
    if not found:
        if any(map(_XSEG.fullmatch, names)):
            raise ModelError(f"{printable(path)} {IS_XSEG}")
        other = next(filter(None, map(_OTHER.fullmatch, names)), None)
        if other:
            kind = printable(other["family"], 40)
            raise ModelError(
                f"{printable(path)} holds a {kind} model of an older DeepFaceLab: SAEHD, AMP and Quick96 work"
            )
        raise ModelError(
            f"{printable(path)} holds no NAME_SAEHD_data.dat or NAME_AMP_data.dat: give the model folder of DeepFaceLab"
        )
    if len(found) > 1:
        models = printable(", ".join(file.name for file in found), 200)
        raise ModelError(f"{printable(path)} holds {len(found)} models: give one of {models}")
    return found[0]


def _read(path: Path) -> dict[Any, Any]:
    try:
        if not path.is_file():
            raise ModelError(f"{_title(path)} is missing: copy the whole model folder")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{_title(path)} has more than {MAX_FILE_BYTES} bytes: give a DeepFaceLab model")
        content = path.read_bytes()
    except OSError as why:
        raise ModelError(f"{_title(path)} cannot be read ({why.strerror}): make it readable") from why
    except MemoryError as why:
        raise ModelError(f"{_title(path)} does not fit into memory: close other programs") from why
    kind = kind_of(path)
    if kind.reader != "pickle" and not content.startswith(b"\x80"):
        raise ModelError(f"{_title(path)} is {kind.title}: copy the whole model folder again")
    value = read_restricted_pickle(content, _title(path))
    if not isinstance(value, dict):
        raise ModelError(f"{_title(path)} is not what its name says: copy the whole model folder again")
    return value


def _whole(options: Mapping[Any, Any], name: str) -> int:
    value = options.get(name)
    if type(value) is not int or abs(value) >> 31:
        raise ModelError(f"option {name!r} is {'missing' if value is None else 'no size'}: save the model again")
    return value


def _network(family: str, options: Mapping[Any, Any]) -> tuple[Any, str | None]:
    """The network of these options, still without memory for weights."""
    sizes = {name: _whole(options, name) for name in ("resolution", "ae_dims", "e_dims", "d_dims", "d_mask_dims")}
    with torch.device("meta"):
        if family == "AMP":
            return Amp(AmpShape(inter_dims=_whole(options, "inter_dims"), **sizes)), None
        archi = options.get("archi")
        if not isinstance(archi, str):
            raise ModelError("option 'archi' is missing: it is no SAEHD model, or save the model again")
        return saehd(SaehdShape(Archi.parse(archi), **sizes)), archi


def _state(parts: Mapping[str, dict[Any, Any]], title: str) -> dict[str, torch.Tensor]:
    """The weights of all parts by torch's names and in its layout: (out, in, kh, kw), (out, in) or (out,), float32.

    The files have (kh, kw, in, out), (in, out) and (out,). An `upscale`'s filters are put from the order of
    TensorFlow's depth-to-space (cell first, then channel) to that of torch's pixel_shuffle.
    """
    state: dict[str, torch.Tensor] = {}
    for part, weights in parts.items():
        for name, value in weights.items():
            key = f"{part}.{str(name).removesuffix(':0').replace('/', '.')}"
            if not isinstance(value, np.ndarray) or value.dtype not in (np.float16, np.float32) or key in state:
                raise ModelError(
                    f"{title}: {printable(key, 80)} is no array of float32: copy the whole model folder again"
                )
            turned: NDArray[Any] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            if str(name).startswith("upscale") and turned.ndim and turned.size and len(turned) % 4 == 0:
                turned = turned.reshape(4, -1, *turned.shape[1:]).swapaxes(0, 1).reshape(turned.shape)
            state[key] = torch.from_numpy(np.array(turned, np.float32, order="C"))
    return state
