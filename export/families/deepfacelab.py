"""A DeepFaceLab model (SAEHD or AMP) as one network of our own `swap` layout, or as a .dfm."""

from pathlib import Path
from typing import get_args

import numpy as np

from export.checkpoints.deepfacelab import read_deepfacelab
from export.families import Part, Plan
from export.networks.autoencoder import DFM_INPUT, DFM_MORPH, DFM_OUTPUTS, DfmLayout
from export.parity import Feed
from export.samples import pictures
from realtime.errors import ConfigError
from realtime.models.card import FaceTypeName
from realtime.text import printable

MORPHS = (0.0, 0.29, 0.75, 1.0)
"""Morph factors of the samples: both ends, and two that fall between and on channels."""


def plan_deepfacelab(path: Path, *, face_type: str | None = None) -> Plan:
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
        feeds: list[Feed] = []
        for number, face in enumerate(pictures(size, count)):
            feed: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {"face": face}
            if morph:
                feed["morph"] = np.array([MORPHS[number % len(MORPHS)]], np.float32)
            feeds.append(feed)
        return feeds

    def dfm_samples(count: int) -> list[Feed]:
        return [
            {DFM_INPUT: np.ascontiguousarray(feed["face"].transpose(0, 2, 3, 1))}
            | ({DFM_MORPH: feed["morph"]} if morph else {})
            for feed in samples(count)
        ]

    swap = Part(
        "swap.onnx",
        model.network,
        ("face", "morph") if morph else ("face",),
        {"celeb_face": "picture", "celeb_mask": "picture", "driver_mask": "picture"},
        samples,
        frozenset({"face"}),
    )
    dfm = Part(
        "",
        DfmLayout(model.network),
        (DFM_INPUT, DFM_MORPH) if morph else (DFM_INPUT,),
        dict.fromkeys(DFM_OUTPUTS, "picture"),
        dfm_samples,
        frozenset({DFM_INPUT}),
    )
    return Plan(
        family="swap",
        name=model.name,
        parts=(swap,),
        sources=model.files,
        input={
            "size": size,
            "face_type": chosen,
            "colour": "BGR",
            "layout": "NCHW",
            "range": "0..1",
            "morph": morph,
        },
        output={"face": "celeb_face", "mask": "celeb_mask", "driver_mask": "driver_mask"},
        training={
            "program": "DeepFaceLab",
            "kind": f"SAEHD {model.archi}" if model.archi else model.family,
            "iterations": model.iterations,
        },
        dfm=dfm,
    )
