"""Stores the trained audio encoder and decoder as the bundle `trained_models/lip-sync`, and their weights."""

from pathlib import Path

import numpy as np
from torch import Tensor

from realtime.families.effect import FINE_FILE
from realtime.families.lip_sync.network import FACES, FIELD, LIP_SYNC_FILE, LIPS, MEL, MOUTH, PAINT, SEEN
from trained_models.recipes.lip_sync.network import SIZE, AudioEncoder, Decoder, LipSync, Ways, Widths
from trained_models.training.files import add_to_bundle, fill, save_halves, write_bundle
from trained_models.training.onnx_export import Parity, export_halves, giga_flops

Facts = dict[str, str | int | float]
Fed = list[tuple[Tensor, Tensor, Tensor]]
"""`mel` (1, 1, 80, 16), `faces` (1, 6, 128, 128) and `lips` (1, 2, 128, 128) each."""
TOLERANCE = 2e-4  # of colours 0..1: a twentieth of a grey level
KEPT_WHOLE = ["GridSample", "Resize"]
"""Where a face's pixels are looked up, half precision would be a thirtieth of a pixel."""
FINE_SIDE = 256  # the side of the fine variant's picture: a face in 720p is as large or larger
FAILS = (
    "the inside of a mouth is soft, also where a filmed person's own teeth were seen; a part of how far that person "
    "opens the mouth still shows through; teeth may smear beyond 30 degrees of yaw; smiles and laughter in a voice are "
    "not heard; learnt from synthetic people only"
)


def to_onnx(network: LipSync, samples: Fed, *, fine: bool = False) -> tuple[bytes, Parity]:
    """The network as one ONNX file. Raises ValueError where it differs from the network. `fine`: as `Ways`."""
    outputs = [FIELD, PAINT, SEEN] if fine else [MOUTH]
    return export_halves(
        Ways(network) if fine else network,
        samples,
        [MEL, FACES, LIPS],
        dict.fromkeys(outputs, "picture"),
        tolerance=TOLERANCE,
        kept_whole=KEPT_WHOLE,
    )


def write_lip_sync(folder: Path, network: LipSync, samples: Fed, training: Facts, measured: Facts) -> Parity:
    """`lip_sync.onnx` and the card."""
    model, parity = to_onnx(network, samples)
    head = {
        "name": folder.name,
        "title": "Lip sync",
        "family": "lip-sync",
        "licence": "MIT",
        "description": "Makes a still picture, or the people of a video, speak with a voice.",
        "identity": {"kind": "none"},
    }
    facts = {"export": str(parity), "work": _work(network, samples), **measured, "fails": FAILS}
    tables = {
        "input": {"size": SIZE, "layout": "NCHW", "colour": "BGR", "range": "0..1"},
        "training": {
            "recipe": "trained_models/recipes/lip_sync",
            "data": "people rendered by trained_models/recipes/people, voices of espeak-ng",
            **training,
        },
        "measured": facts,
    }
    write_bundle(folder, head, {LIP_SYNC_FILE: model}, tables)
    return parity


def add_fine(folder: Path, network: LipSync, samples: Fed, training: Facts) -> Parity:
    """`fine.onnx` beside the first network, and what the card says of it."""
    model, parity = to_onnx(network, samples, fine=True)
    tables = {
        "output": {"fine_size": FINE_SIDE},
        "training": {f"fine_{name}": value for name, value in training.items()},
        "measured": {"fine_export": str(parity), "fine_work": _work(network, samples)},
    }
    add_to_bundle(folder, {FINE_FILE: model}, tables)
    return parity


def _work(network: LipSync, samples: Fed) -> str:
    return f"{giga_flops(network, samples[0]):.2f} GFLOP a picture"


def save_weights(network: LipSync, path: Path) -> None:
    sizes = {"widths": network.decoder.widths, "finish": network.decoder.finish}
    save_halves(path, network, sizes, named=_stored_name)


def load_weights(path: Path) -> LipSync:
    """The network of a `save_weights` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        a, b, c = (int(width) for width in file["widths"])
        widths: Widths = (a, b, c)
        network = LipSync(AudioEncoder(), Decoder(widths, int(file["finish"]) if "finish" in file else 0))
        return fill(network, file, named=_stored_name)


def _stored_name(name: str) -> str:
    """A tensor's name in the checkpoints, where the two halves have names of their own."""
    for part, stored in (("encoder.", "ear."), ("decoder.", "painter.")):
        if name.startswith(part):
            return stored + name.removeprefix(part)
    return name
