"""The networks as a bundle's files run them."""

import torch
from torch import Tensor, nn

from trained_models.recipes.autoencoder.network import SwapNetwork

THIN = 7
"""Pixels of a 160-pixel crop: a finger is wider; a shadow beside the nose or a rim, where the driver would look out, is
not."""
STEEPER, DOUBT = 2.5, 1.0
"""A probability of 0.5 becomes 0.73, 0.7 becomes 0.96 and 0.2 becomes 0.08."""


class Wearable(nn.Module):
    """The network as a bundle's `swap.onnx` runs it; the driver's mask is made sure of itself.

    `celeb_face` (N, 3, S, S) BGR 0..1, `celeb_mask` (N, 1, S, S) 0..1, `visible` likewise: where the driver's own face
    shows, without what lies before it; and `features`, which `fine.onnx` takes.
    """

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, face: Tensor, blendshapes: Tensor, pose: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        drawn = self.network(face, blendshapes, pose)
        return drawn.face.clamp(0, 1), drawn.mask.sigmoid(), _closed(_decided(drawn.driver_mask)), drawn.features


def _decided(logits: Tensor) -> Tensor:
    """The mask, 0..1, steeper than trained, and where in doubt the face: doubt must not show the driver."""
    return torch.sigmoid(STEEPER * logits + DOUBT)


def _closed(mask: Tensor) -> Tensor:
    """The mask (N, 1, S, S) 0..1 without gaps under `THIN` pixels: greyscale closing with a square."""
    return 1 - _widest(1 - _widest(mask))


def _widest(mask: Tensor) -> Tensor:
    """The largest value in a square of `THIN` pixels: along one side, then the other."""
    reach = THIN // 2
    along = torch.nn.functional.max_pool2d(mask, (1, THIN), 1, (0, reach))
    return torch.nn.functional.max_pool2d(along, (THIN, 1), 1, (reach, 0))


class WearableFine(nn.Module):
    """The fine head as a bundle's `fine.onnx` runs it: `features` to `fine_face` (N, 3, 1.5 S, 1.5 S) BGR 0..1."""

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.fine = network.decoder.fine

    def forward(self, features: Tensor) -> Tensor:
        face: Tensor = self.fine(features).clamp(0, 1)
        return face
