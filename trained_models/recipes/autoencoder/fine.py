"""The fine variant's head: the decoder's last map drawn again, half as large once more and sharper."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from trained_models.recipes.autoencoder.network import Shape

GROWTH = 3
"""Pixels drawn along each side of a cell of the last map: the fast head draws 2."""


class Fine(nn.Module):
    """(N, d, S/2, S/2) to a face (N, 3, 1.5 S, 1.5 S) BGR about 0..1, unclamped."""

    def __init__(self, shape: "Shape") -> None:
        super().__init__()
        inward, wide = shape.decoder[-1], shape.fine
        self.widen = nn.Conv2d(inward, wide, 3, padding=1)
        self.again = nn.Conv2d(wide, wide, 3, padding=1)
        self.head = nn.Conv2d(wide, 3 * GROWTH**2, 3, padding=1)
        self.pixels = nn.PixelShuffle(GROWTH)
        with torch.no_grad():
            self.head.weight.mul_(0.2)
            self.head.bias.fill_(0.5)

    def forward(self, features: Tensor) -> Tensor:
        x = torch.relu(self.widen(features))
        x = torch.relu(x + self.again(x))
        drawn: Tensor = self.pixels(self.head(x))
        return drawn


class Critic(nn.Module):
    """Tells rendered faces from drawn ones, patch by patch (Isola et al. 2017): (N, 3, H, W) to (N, 1, h, w).

    One patch sees 31 pixels of the fine face: texture and edges, not who it is.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.utils.parametrizations.spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            nn.utils.parametrizations.spectral_norm(nn.Conv2d(2 * width, 2 * width, 4, stride=1, padding=1)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, face: Tensor) -> Tensor:
        said: Tensor = self.steps(face * 2 - 1)
        return said
