"""A learnt network made into a bundle of the user's own: compared, measured, its consent on record."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.face_swap.open_swapper import open_swapper
from realtime.families.face_swap.skin_detail import DETAIL_FILE
from realtime.frame import Pixels
from realtime.models.bundle import PREVIEW_FILE, Bundle
from realtime.models.card import CARD_FILE, parse_card, write_toml
from realtime.models.library import add_folder
from trained_models.recipes.autoencoder.check import Report, check
from trained_models.recipes.autoencoder.learn.coverage import BLINKS, JAW_OPEN, SMILES
from trained_models.recipes.autoencoder.network import SwapNetwork
from trained_models.recipes.autoencoder.pairs_dataset import Batch, Pairs
from trained_models.recipes.autoencoder.skin import as_png
from trained_models.recipes.autoencoder.to_bundle import export_line, feed_of, input_of, output_of, to_onnx

PREVIEW_SIDE = 256
LICENCE = "for the person shown to decide; the encoder is CC0-1.0"

_TOLD = {
    "jaw": ["jawOpen"],
    "blinks": ["eyeBlinkLeft", "eyeBlinkRight"],
    "smile": ["mouthSmileLeft", "mouthSmileRight"],
}


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the card says: the names, whose face it is, and of the training what is worth knowing."""

    name: str
    title: str
    kind: str
    statement: str
    frames: int
    steps: int
    seconds: float
    held_out_error: float


def bundle_of(
    network: SwapNetwork, learnt: Learnt, frames: Pairs, clip: Path, *, detail: Pixels | None = None, step: int = 5
) -> tuple[Bundle, Report]:
    """The bundle among the user's own, opened once, and how it carries the driver of `clip` (every `step`-th frame).

    `detail`: what the network does not draw of the skin (`skin.detail_of`).

    Raises ModelError where the exported file is not the network, DeviceError where it cannot be stored; then
    nothing is left behind.
    """
    some = frames.plain(np.linspace(0, len(frames) - 1, min(16, len(frames))).astype(int).tolist())
    report = check(network, clip, step=step)
    try:
        files = to_onnx(network, feed_of(some))
        # The fine head is the packaged identity's, and draws none but hers.
        stored = {"swap.onnx": files.swap}
    except ValueError as error:
        raise ModelError(f"{learnt.name}: {error}: run the same command again, or report it") from error
    if detail is not None:
        stored[DETAIL_FILE] = as_png(detail)
    card = write_toml(
        {
            "schema": 1,
            "name": learnt.name,
            "title": learnt.title,
            "family": "swap",
            "licence": LICENCE,
            "identity": {"kind": learnt.kind, "statement": learnt.statement},
            "files": {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in stored.items()},
            "input": input_of(network.shape),
            "output": output_of(network.shape, fine=False),
            "training": {
                "recipe": "masquerade learn",
                "frames": learnt.frames,
                "steps": learnt.steps,
                "seconds": round(learnt.seconds, 1),
            },
            "measured": {
                "export": export_line(files.parity),
                "held_out_error": f"{learnt.held_out_error:.4f} of 1, mean absolute colour error on footage held out",
                "packaged_driver": f"{summary(report)}; every {step}th frame of the packaged clip, own tracker",
            },
        }
    ).encode()
    with tempfile.TemporaryDirectory(prefix="masquerade-") as made:
        folder = Path(made)
        parse_card(card, folder)
        (folder / CARD_FILE).write_bytes(card)
        for name, data in stored.items():
            (folder / name).write_bytes(data)
        (folder / PREVIEW_FILE).write_bytes(portrait(some))
        bundle = add_folder(folder)
    open_swapper(bundle, provider="cpu").close()
    return bundle, report


def summary(report: Report) -> str:
    """How expression and pose came through, in one line."""
    parts = []
    for label, names in _TOLD.items():
        _, r, gain = np.mean([report.table[name] for name in names], axis=0)
        parts.append(f"{label} r {r:.2f} gain {gain:.2f}")
    told = ", ".join(parts)
    return f"{told}, pose {report.pose_deg:.1f} degrees, {report.replaced} of {report.seen} frames replaced"


def portrait(some: Batch) -> bytes:
    """A JPEG of the person for lists: of these frames the one that looks ahead, eyes open, mouth shut or smiling."""
    told, pose = some.blendshapes.numpy(), some.pose.numpy()
    cost = 4 * np.abs(pose).sum(1) + told[:, BLINKS].sum(1) + told[:, JAW_OPEN] - 0.5 * told[:, SMILES].mean(1)
    best: Pixels = (some.target[int(cost.argmin())].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    large = cv2.resize(best, (PREVIEW_SIDE, PREVIEW_SIDE), interpolation=cv2.INTER_CUBIC)
    done, stream = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise ModelError("OpenCV could not encode the preview picture: reinstall opencv-python-headless")
    return stream.tobytes()
