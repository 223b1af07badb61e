"""Where the driver's own face shows, hands, cups and fringes before it left out. One small head for all identities."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from trained_models.recipes.autoencoder.network import Shape


class Merge(nn.Module):
    """A coarse map, doubled, beside a finer one: one 3x3 convolution, batch norm, ReLU."""

    def __init__(self, coarse: int, fine: int, outward: int) -> None:
        super().__init__()
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv = nn.Conv2d(coarse + fine, outward, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outward)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(torch.cat([self.grow(coarse), fine], 1))))


class DriverMask(nn.Module):
    """The encoder's maps of a crop to (N, 1, S, S) logits: above 0 where the face shows.

    A U-net's way up (Ronneberger et al. 2015) from S / 32 to S / 4, whose last step draws 4x4 pixels at once. It
    sees the driver's picture alone and knows no identity, so all share it.
    """

    def __init__(self, shape: "Shape") -> None:
        super().__init__()
        levels = shape.encoder[::-1]
        widths = (levels[0], *shape.driver_mask)
        self.steps = nn.ModuleList(
            Merge(coarse, fine, outward)
            for coarse, fine, outward in zip(widths, levels[1:4], shape.driver_mask, strict=False)
        )
        self.head = nn.Conv2d(shape.driver_mask[-1], 16, 3, padding=1)
        self.pixels = nn.PixelShuffle(4)
        with torch.no_grad():
            self.head.weight.mul_(0.2)
            self.head.bias.zero_()

    def forward(self, levels: list[Tensor]) -> Tensor:
        """`levels`: the encoder's maps, the largest first."""
        x = levels[-1]
        for step, finer in zip(self.steps, levels[-2:0:-1], strict=True):
            x = step(x, finer)
        drawn: Tensor = self.pixels(self.head(x))
        return drawn
