"""A trained network made into a bundle: ONNX, card and picture."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from trained_models.recipes.autoencoder.network import ANGLES, BLENDSHAPES, SwapNetwork, Wearable
from trained_models.recipes.autoencoder.prepare import COVERAGE, FACE_TYPE
from trained_models.recipes.autoencoder.rendered_pairs import friendliest

OPSET = 20
TOLERANCE = 1e-4
LEAST_PSNR_DB = 45.0


@dataclass(frozen=True, slots=True)
class Parity:
    """How near the ONNX files are to the network: `worst` is the fp32 file's largest difference (of 1)."""

    worst: float
    half_psnr_db: float


def _run(model: bytes, feed: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run(["celeb_face", "celeb_mask"], feed))


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which hold source paths of the machine it ran on, and check the rest."""
    graph = model.graph
    model.ClearField("metadata_props")
    for part in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.checker.check_model(model)


def to_onnx(network: SwapNetwork, feed: dict[str, npt.NDArray[np.float32]]) -> tuple[bytes, Parity]:
    """The network as one ONNX file with half-precision weights and float32 inputs and outputs.

    `feed` holds `face`, `blendshapes` and `pose` of some real samples: parity is measured on them, one by
    one. Raises ValueError where the float32 file is off by more than 1e-4 or the half-precision one's PSNR
    is under 45 dB.
    """
    wearable = Wearable(network.to(memory_format=torch.contiguous_format)).eval()
    size = network.shape.size
    blank = (torch.zeros(1, 3, size, size), torch.zeros(1, BLENDSHAPES), torch.zeros(1, ANGLES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            wearable,
            blank,
            input_names=["face", "blendshapes", "pose"],
            output_names=["celeb_face", "celeb_mask"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch gave no ONNX program")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    full_bytes = model.SerializeToString()
    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    half.topological_sort()
    _strip(half.model)
    half_bytes = half.model.SerializeToString()
    worst, squares = 0.0, []
    for i in range(len(feed["face"])):
        one = {k: v[i : i + 1] for k, v in feed.items()}
        with torch.no_grad():
            expected = [
                t.numpy() for t in wearable(*(torch.from_numpy(one[k]) for k in ("face", "blendshapes", "pose")))
            ]
        exact, rounded = _run(full_bytes, one), _run(half_bytes, one)
        worst = max(worst, *(float(np.abs(a - b).max()) for a, b in zip(expected, exact, strict=True)))
        squares.append(float(((expected[0] - rounded[0]) ** 2).mean()))
    parity = Parity(worst, float(10 * np.log10(1 / max(np.mean(squares), 1e-12))))
    if parity.worst > TOLERANCE or parity.half_psnr_db < LEAST_PSNR_DB:
        raise ValueError(f"the export differs from the network: {parity}")
    return half_bytes, parity


@dataclass(frozen=True, slots=True)
class Story:
    """What the card says of the training."""

    name: str
    title: str
    statement: str
    pairs: int
    steps: int
    batch: int
    seed: int
    hours: float
    hardware: str


def write_bundle(
    folder: Path, model: bytes, story: Story, size: int, parity: Parity, measured: dict[str, str | float]
) -> None:
    """`swap.onnx` and `model.toml` of a bundle; the preview is drawn apart."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "swap.onnx").write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    facts = {
        "export": f"fp32 within {parity.worst:.1e} of PyTorch, fp16 {parity.half_psnr_db:.1f} dB PSNR",
        **measured,
    }
    lines = [
        "schema = 1",
        f'name = "{story.name}"',
        f'title = "{story.title}"',
        'family = "swap"',
        'licence = "CC0-1.0"',
        "",
        "[identity]",
        'kind = "synthetic"',
        f'statement = "{story.statement}"',
        "",
        "[files]",
        f'"swap.onnx" = "sha256:{digest}"',
        "",
        "[input]",
        f"size = {size}",
        f'face_type = "{FACE_TYPE}"',
        f"coverage = {COVERAGE}",
        'colour = "BGR"',
        'layout = "NCHW"',
        'range = "0..1"',
        "blendshapes = true",
        "pose = true",
        "",
        "[training]",
        'recipe = "trained_models/recipes/autoencoder"',
        'data = "rendered pairs of synthetic people: trained_models/recipes/people and its prototype"',
        f"pairs = {story.pairs}",
        f"steps = {story.steps}",
        f"batch = {story.batch}",
        f"seed = {story.seed}",
        f"hours = {story.hours:.2f}",
        f'hardware = "{story.hardware}"',
        "",
        "[measured]",
        *(f"{k} = {v}" if isinstance(v, float) else f'{k} = "{v}"' for k, v in facts.items()),
    ]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_preview(path: Path, shards: Sequence[Path]) -> None:
    """A 256-pixel JPEG of the identity as rendered, the friendliest of some raw shards."""
    picture = min((friendliest(shard) for shard in shards), key=lambda found: found[0])[1]
    large = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])
