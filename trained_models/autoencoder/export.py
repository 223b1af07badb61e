"""Exports a swap network as a bundle's `swap.onnx` and `fine.onnx`; what a card says of them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trained_models.autoencoder.crops import COVERAGE, FACE_TYPE
from trained_models.autoencoder.dataset import Batch
from trained_models.autoencoder.network import Shape, SwapNetwork
from trained_models.training.onnx_export import Parity, export_halves

INPUTS = ("face", "blendshapes", "pose", "lips")
OUTPUTS = ("celeb_face", "celeb_mask", "visible", "features")
LEAST_PSNR_DB = 45.0
GROWN = 7
"""A square of so many pixels: the identity's mask is grown by half of it, so that its chin covers a longer one."""
STEEPER, DOUBT = 2.5, 2.0  # A probability of 0.5 becomes 0.88, 0.7 becomes 0.98 and 0.2 becomes 0.19


class Exported(nn.Module):
    """The network as a bundle's `swap.onnx` runs it; the driver's mask is made sure of itself.

    `celeb_face` (N, 3, S, S) BGR 0..1, `celeb_mask` (N, 1, S, S) 0..1, `visible` likewise: where the driver's own face
    shows, without what lies before it; and `features`, which `fine.onnx` takes.
    """

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, face: Tensor, blendshapes: Tensor, pose: Tensor, lips: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        drawn = self.network(face, blendshapes, pose, lips)
        # Steeper than trained, and where in doubt the face: doubt must not show the driver.
        shows = torch.sigmoid(STEEPER * self.network.driver_mask(face) + DOUBT)
        return drawn.face.clamp(0, 1), widest(drawn.mask.sigmoid(), GROWN), shows, drawn.features


def widest(mask: Tensor, side: int) -> Tensor:
    """The largest value in a square of `side` pixels, an odd number: along one side, then the other."""
    reach = side // 2
    along = torch.nn.functional.max_pool2d(mask, (1, side), 1, (0, reach))
    return torch.nn.functional.max_pool2d(along, (side, 1), 1, (reach, 0))


class ExportedFine(nn.Module):
    """The fine head as a bundle's `fine.onnx` runs it: `features` to `fine_face` (N, 3, 1.5 S, 1.5 S) BGR 0..1."""

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.fine = network.decoder.fine

    def forward(self, features: Tensor) -> Tensor:
        return self.fine(features).clamp(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """A bundle's networks as ONNX files: what draws the face, and what draws it larger."""

    swap: bytes
    fine: bytes | None
    parity: Parity

    def named(self) -> dict[str, bytes]:
        return {"swap.onnx": self.swap} | ({} if self.fine is None else {"fine.onnx": self.fine})


def to_onnx(network: SwapNetwork, samples: Batch, *, fine: bool = True) -> Files:
    """The network as two ONNX files (or one) with half-precision weights and float32 inputs and outputs.

    Parity is measured on `samples`, one by one. Raises ValueError where a float32 file is off by more than 1e-4 or a
    half-precision one's PSNR is under 45 dB.
    """
    rows = list(zip(*(getattr(samples, name).contiguous().split(1) for name in INPUTS), strict=True))
    exported = Exported(network).eval()
    outputs = {name: "picture" if name == "celeb_face" else "numbers" for name in OUTPUTS}
    swap, parity = export_halves(exported, rows, INPUTS, outputs, least_psnr_db=LEAST_PSNR_DB)
    if not fine:
        return Files(swap, None, parity)
    with torch.no_grad():
        features = [(exported(*row)[3].contiguous(),) for row in rows]
    larger, other = export_halves(
        ExportedFine(network).eval(), features, ["features"], {"fine_face": "picture"}, least_psnr_db=LEAST_PSNR_DB
    )
    both = Parity(max(parity.worst, other.worst), min(parity.half_psnr_db, other.half_psnr_db))
    return Files(swap, larger, both)


def input_of(shape: Shape) -> dict[str, object]:
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
