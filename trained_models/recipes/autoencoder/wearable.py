"""The networks as a bundle's files run them."""

import torch
from torch import Tensor, nn

from trained_models.recipes.autoencoder.network import SwapNetwork

GROWN = 7
"""A square of so many pixels: the identity's mask is grown by half of it, so that its chin covers a longer one."""
STEEPER, DOUBT = 2.5, 2.0
"""A probability of 0.5 becomes 0.88, 0.7 becomes 0.98 and 0.2 becomes 0.19."""


class Wearable(nn.Module):
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
        shows = _decided(self.network.driver_mask(face))
        return drawn.face.clamp(0, 1), widest(drawn.mask.sigmoid(), GROWN), shows, drawn.features


def _decided(logits: Tensor) -> Tensor:
    """The mask, 0..1, steeper than trained, and where in doubt the face: doubt must not show the driver."""
    return torch.sigmoid(STEEPER * logits + DOUBT)


def widest(mask: Tensor, side: int) -> Tensor:
    """The largest value in a square of `side` pixels, an odd number: along one side, then the other."""
    reach = side // 2
    along = torch.nn.functional.max_pool2d(mask, (1, side), 1, (0, reach))
    return torch.nn.functional.max_pool2d(along, (side, 1), 1, (reach, 0))


class WearableFine(nn.Module):
    """The fine head as a bundle's `fine.onnx` runs it: `features` to `fine_face` (N, 3, 1.5 S, 1.5 S) BGR 0..1."""

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.fine = network.decoder.fine

    def forward(self, features: Tensor) -> Tensor:
        face: Tensor = self.fine(features).clamp(0, 1)
        return face
