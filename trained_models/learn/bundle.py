"""Stores a learnt network as a bundle of the user's own: compared, measured, with its consent on record."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.face_swap.effect import open_swapper
from realtime.families.face_swap.skin_detail import DETAIL_FILE
from realtime.frame import Pixels
from realtime.models.bundle import PREVIEW_FILE, Bundle
from realtime.models.card import parse_card
from realtime.models.library import add_folder
from trained_models.autoencoder.dataset import Batch, Pairs
from trained_models.autoencoder.export import input_of, output_of, to_onnx
from trained_models.autoencoder.network import SwapNetwork
from trained_models.autoencoder.skin_detail import as_png
from trained_models.learn.read_back import Report
from trained_models.learn.sheets import BLINKS, JAW_OPEN, SMILES
from trained_models.training.files import CARD, write_bundle

PREVIEW_SIDE = 256
LICENCE = "for the person shown to decide; the encoder is CC0-1.0"


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


def store_bundle(network: SwapNetwork, learnt: Learnt, frames: Pairs, report: Report, detail: Pixels | None) -> Bundle:
    """The bundle among the user's own, opened once.

    `report`: how it follows the packaged driver; `detail`: what the network does not draw of the skin
    (`skin_detail.detail_of`). Raises ModelError where the exported file is not the network, DeviceError where it cannot
    be stored; then nothing is left behind.
    """
    some = frames.spread(16)
    try:
        # The fine head is the packaged identity's, and draws none but hers.
        files = to_onnx(network, some, fine=False)
    except ValueError as error:
        raise ModelError(f"{learnt.name}: {error}: run the same command again, or report it") from error
    skin = {} if detail is None else {DETAIL_FILE: as_png(detail)}
    head = {
        "name": learnt.name,
        "title": learnt.title,
        "family": "swap",
        "licence": LICENCE,
        "identity": {"kind": learnt.kind, "statement": learnt.statement},
    }
    tables = {
        "input": input_of(network.shape),
        "output": output_of(network.shape, fine=False),
        "training": {
            "recipe": "masquerade learn",
            "frames": learnt.frames,
            "steps": learnt.steps,
            "seconds": round(learnt.seconds, 1),
        },
        "measured": {
            "export": str(files.parity),
            "held_out_error": f"{learnt.held_out_error:.4f} of 1, mean absolute colour error on footage held out",
            "packaged_driver": f"{report.line()}; every 5th frame of the packaged clip, own tracker",
        },
    }
    with tempfile.TemporaryDirectory(prefix="masquerade-") as made:
        folder = Path(made)
        write_bundle(folder, head, files.named() | skin, tables)
        parse_card((folder / CARD).read_bytes(), folder)
        (folder / PREVIEW_FILE).write_bytes(portrait(some))
        bundle = add_folder(folder)
    open_swapper(bundle, provider="cpu").close()
    return bundle


def portrait(some: Batch) -> bytes:
    """A JPEG of the person for lists: of these frames the one that looks ahead, eyes open, mouth shut or smiling."""
    told, pose = some.blendshapes.numpy(), some.pose.numpy()
    cost = 4 * np.abs(pose).sum(1) + told[:, BLINKS].sum(1) + told[:, JAW_OPEN] - 0.5 * told[:, SMILES].mean(1)
    best: Pixels = (some.target[int(cost.argmin())].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    large = cv2.resize(best, (PREVIEW_SIDE, PREVIEW_SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
