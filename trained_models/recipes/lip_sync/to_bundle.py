"""The trained ear and painter made into the bundle `trained_models/lip-sync`: one ONNX file, half-precision weights."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from realtime.families.face_swap.autoencoder import FINE_FILE
from realtime.families.lip_sync.network import (
    FACES,
    FIELD,
    LIP_SYNC_FILE,
    LIPS,
    MEL,
    MEL_SHAPE,
    MOUTH,
    PAINT,
    PLANES,
    SEEN,
)
from trained_models.recipes.card_facts import write_facts
from trained_models.recipes.half_onnx import Parity, answers, written
from trained_models.recipes.lip_sync.network import SIZE, Ear, LipSync, Painter, Ways, Widths, multiply_adds

TOLERANCE = 2e-4
"""Of colours 0..1: a twentieth of a grey level."""
LEAST_PSNR_DB = 50.0
KEPT_WHOLE = ["GridSample", "Resize"]
"""Where a face's pixels are looked up, half precision would be a thirtieth of a pixel."""
FINE_SIDE = 256
"""The side of the fine variant's picture: a face in 720p is as large or larger."""
FAILS = (
    "the inside of a mouth is soft, also where a filmed person's own teeth were seen; a part of how far that person "
    "opens the mouth still shows through; teeth may smear beyond 30 degrees of yaw; smiles and laughter in a voice are "
    "not heard; learnt from synthetic people only"
)


def to_onnx(
    network: LipSync, samples: list[tuple[Tensor, Tensor, Tensor]], *, fine: bool = False
) -> tuple[bytes, Parity]:
    """The network as one ONNX file, float32 in and out. Raises ValueError where it differs from the network.

    `samples`: `mel` (1, 1, 80, 16), `faces` (1, 6, 128, 128) and `lips` (1, 2, 128, 128) each. `fine`: as `Ways`.
    """
    painter = network.painter
    plain = LipSync(Ear(), Painter(painter.widths, painter.finish), network.stress, network.middle)
    plain.load_state_dict(network.state_dict())
    module = Ways(plain).eval() if fine else plain.eval()
    outputs = [FIELD, PAINT, SEEN] if fine else [MOUTH]
    blank = torch.zeros(1, 1, *MEL_SHAPE), torch.zeros(1, 6, SIZE, SIZE), torch.zeros(1, PLANES, SIZE, SIZE)
    full, half = written(module, blank, [MEL, FACES, LIPS], outputs, kept_whole=KEPT_WHOLE)
    worst, squares = 0.0, []
    for mel, faces, lips in samples:
        feed = {MEL: mel.numpy(), FACES: faces.numpy(), LIPS: lips.numpy()}
        with torch.no_grad():
            made = module(mel, faces, lips)
        expected = [part.numpy() for part in (made if fine else [made])]
        for told, whole, small in zip(
            expected, answers(full, outputs, feed), answers(half, outputs, feed), strict=True
        ):
            worst = max(worst, float(np.abs(whole - told).max()))
            squares.append(float(((small - told) ** 2).mean()))
    return half, Parity.of(worst, squares, tolerance=TOLERANCE, least_psnr_db=LEAST_PSNR_DB)


def write_bundle(
    folder: Path,
    network: LipSync,
    parity: Parity,
    model: bytes,
    training: dict[str, str | int | float],
    measured: dict[str, str | float],
) -> None:
    """`lip_sync.onnx` and the card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LIP_SYNC_FILE).write_bytes(model)
    facts = {
        "export": f"fp32 within {parity.worst:.1e} of PyTorch, fp16 {parity.half_psnr_db:.1f} dB PSNR",
        "work": f"{2 * multiply_adds(network) / 1e9:.2f} GFLOP a picture",
        **measured,
        "fails": FAILS,
    }

    def rows(table: dict[str, str | int | float]) -> list[str]:
        return [f"{k} = {v}" if isinstance(v, int | float) else f'{k} = "{v}"' for k, v in table.items()]

    lines = [
        *("schema = 1", f'name = "{folder.name}"', 'title = "Lip sync"', 'family = "lip-sync"', 'licence = "MIT"'),
        'description = "Makes a still picture, or the people of a video, speak with a voice."',
        *("", "[identity]", 'kind = "none"', "", "[files]"),
        f'"{LIP_SYNC_FILE}" = "sha256:{hashlib.sha256(model).hexdigest()}"',
        *("", "[input]", f"size = {SIZE}", 'layout = "NCHW"', 'colour = "BGR"', 'range = "0..1"', "", "[training]"),
        'recipe = "trained_models/recipes/lip_sync"',
        'data = "people rendered by trained_models/recipes/people, voices of espeak-ng"',
        *rows(training),
        *("", "[measured]", *rows(dict(facts))),
    ]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def add_fine(
    folder: Path, network: LipSync, parity: Parity, model: bytes, training: dict[str, str | int | float]
) -> None:
    """`fine.onnx` beside the first network, and what the card says of it."""
    (folder / FINE_FILE).write_bytes(model)
    write_facts(
        folder,
        {
            "files": {FINE_FILE: f"sha256:{hashlib.sha256(model).hexdigest()}"},
            "output": {"fine_size": FINE_SIDE},
            "training": {f"fine_{name}": value for name, value in training.items()},
            "measured": {
                "fine_export": f"fp32 within {parity.worst:.1e} of PyTorch, fp16 {parity.half_psnr_db:.1f} dB PSNR",
                "fine_work": f"{2 * multiply_adds(network) / 1e9:.2f} GFLOP a picture",
            },
        },
    )


def save_weights(network: LipSync, path: Path) -> None:
    """The weights in half precision, an `.npz` without pickles."""
    tensors = {k: v.numpy() for k, v in network.state_dict().items()}
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 and v.ndim > 1 else v for k, v in tensors.items()}
    whole = io.BytesIO()
    np.savez_compressed(whole, **halves, widths=np.array(network.painter.widths), finish=network.painter.finish)
    path.write_bytes(whole.getvalue())


def load_weights(path: Path) -> LipSync:
    """The network of a `save_weights` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        a, b, c = (int(width) for width in file["widths"])
        widths: Widths = (a, b, c)
        network = LipSync(Ear(), Painter(widths, int(file["finish"]) if "finish" in file else 0))
        stored = {k: file[k] for k in network.state_dict()}
    whole = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in stored.items()}
    network.load_state_dict({k: torch.from_numpy(v) for k, v in whole.items()})
    return network.eval()
