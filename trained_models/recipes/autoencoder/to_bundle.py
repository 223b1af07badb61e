"""A trained network made into a bundle: ONNX, card and picture."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from realtime.models.card import write_toml
from trained_models.recipes.autoencoder.network import ANGLES, BLENDSHAPES, LIPS, Shape, SwapNetwork
from trained_models.recipes.autoencoder.pairs_dataset import Batch
from trained_models.recipes.autoencoder.prepare import COVERAGE, FACE_TYPE
from trained_models.recipes.autoencoder.rendered_pairs import friendliest
from trained_models.recipes.autoencoder.wearable import Wearable, WearableFine
from trained_models.recipes.half_onnx import Parity, answers, written

TOLERANCE = 1e-4
LEAST_PSNR_DB = 45.0

Feed = dict[str, npt.NDArray[np.float32]]

INPUTS = ("face", "blendshapes", "pose", "lips")
FAST_OUTPUTS = ("celeb_face", "celeb_mask", "visible", "features")
FINE_OUTPUTS = ("fine_face",)


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """A bundle's networks as ONNX files: what draws the face, and what draws it larger."""

    swap: bytes
    fine: bytes
    parity: Parity

    def named(self) -> dict[str, bytes]:
        """By the names that they have in the bundle."""
        return {"swap.onnx": self.swap, "fine.onnx": self.fine}


def to_onnx(network: SwapNetwork, feed: Feed) -> Files:
    """The network as two ONNX files with half-precision weights and float32 inputs and outputs.

    `feed` holds `INPUTS` of some real samples: parity is measured on them, one by
    one. Raises ValueError where a float32 file is off by more than 1e-4 or a half-precision one's PSNR
    is under 45 dB.
    """
    network = network.to(memory_format=torch.contiguous_format).eval()
    shape = network.shape
    blank = (
        torch.zeros(1, 3, shape.size, shape.size),
        torch.zeros(1, BLENDSHAPES),
        torch.zeros(1, ANGLES),
        torch.zeros(1, LIPS),
    )
    wearable = Wearable(network).eval()
    swap = written(wearable, blank, INPUTS, FAST_OUTPUTS)
    features = torch.zeros(1, shape.decoder[-1], shape.size // 2, shape.size // 2)
    larger = WearableFine(network).eval()
    fine = written(larger, (features,), ("features",), FINE_OUTPUTS)
    worst, squares = 0.0, []
    for i in range(len(feed["face"])):
        one = {k: v[i : i + 1] for k, v in feed.items()}
        with torch.no_grad():
            drawn = wearable(*(torch.from_numpy(one[k]) for k in INPUTS))
            expected = [*drawn, larger(drawn[-1])]
        given = {"features": expected[3].numpy()}
        exact, rounded = (
            [*answers(swap[k], FAST_OUTPUTS, one), *answers(fine[k], FINE_OUTPUTS, given)] for k in (0, 1)
        )
        worst = max(worst, *(float(np.abs(a.numpy() - b).max()) for a, b in zip(expected, exact, strict=True)))
        squares += [float(((expected[k].numpy() - rounded[k]) ** 2).mean()) for k in (0, 4)]
    parity = Parity.of(worst, squares, tolerance=TOLERANCE, least_psnr_db=LEAST_PSNR_DB)
    return Files(swap[1], fine[1], parity)


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


def feed_of(some: Batch) -> Feed:
    """Samples as the exported network takes them."""
    return {name: getattr(some, name).contiguous().numpy() for name in INPUTS}


def input_of(shape: Shape) -> dict[str, object]:
    """The card's [input]."""
    return {
        "size": shape.size,
        "face_type": FACE_TYPE,
        "coverage": COVERAGE,
        "colour": "BGR",
        "layout": "NCHW",
        "range": "0..1",
        "blendshapes": True,
        "pose": True,
        "lips": True,
    }


def output_of(shape: Shape, *, fine: bool = True) -> dict[str, object]:
    """The card's [output], with or without a `fine` variant."""
    names: dict[str, object] = {"visible": "visible"}
    if fine:
        names |= {"features": "features", "fine": "fine_face", "fine_size": shape.fine_size}
    return names


def export_line(parity: Parity) -> str:
    """What the card says of the export."""
    return f"fp32 within {parity.worst:.1e} of PyTorch, fp16 {parity.half_psnr_db:.1f} dB PSNR"


def write_bundle(
    folder: Path, files: Files, story: Story, shape: Shape, measured: Mapping[str, str | float], limits: Sequence[str]
) -> None:
    """The networks and `model.toml` of a bundle; the preview is drawn apart. `limits`: where it fails, in words."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in files.named().items():
        (folder / name).write_bytes(model)
    card: dict[str, Any] = {
        "schema": 1,
        "name": story.name,
        "title": story.title,
        "family": "swap",
        "licence": "CC0-1.0",
        "identity": {"kind": "synthetic", "statement": story.statement},
        "files": {name: f"sha256:{hashlib.sha256(model).hexdigest()}" for name, model in files.named().items()},
        "input": input_of(shape),
        "output": output_of(shape),
        "training": {
            "recipe": "trained_models/recipes/autoencoder",
            "data": "rendered pairs of synthetic people: trained_models/recipes/people",
            "pairs": story.pairs,
            "steps": story.steps,
            "batch": story.batch,
            "seed": story.seed,
            "hours": round(story.hours, 2),
            "hardware": story.hardware,
        },
        "measured": {"export": export_line(files.parity), **measured},
    }
    if limits:
        card["measured"]["fails"] = "; ".join(limits)
    (folder / "model.toml").write_text(write_toml(card), encoding="utf-8")


def write_preview(path: Path, shards: Sequence[Path]) -> None:
    """A 256-pixel JPEG of the identity as rendered, the friendliest of some raw shards."""
    picture = min((friendliest(shard) for shard in shards), key=lambda found: found[0])[1]
    large = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])
