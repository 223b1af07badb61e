"""Where the driver's own face shows, hands, cups, glasses and fringes before it left out. One for all identities."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

WIDTHS = (16, 24, 40, 56, 56)


class Step(nn.Sequential):
    """A 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inward: int, outward: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inward, outward, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outward)
        self.relu = nn.ReLU()


class DriverMask(nn.Module):
    """A crop (N, 3, S, S) BGR 0..1, S a multiple of 32, to (N, 1, S, S) logits: above 0 where the face shows.

    A U-net (Ronneberger et al. 2015) of its own: what an encoder keeps of a crop for another face to be drawn is not
    where a rim of glasses runs. The last step sees the crop's pixels, two by two, so that edges lie where they are.
    0.26 GFLOP at 160 pixels.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Sequential(Step(a, b, stride=2), Step(b, b)) for a, b in pairwise((3, *widths)))
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        coarse = tuple(widths[::-1])
        out = (*coarse[1:-1], widths[0])
        self.up = nn.ModuleList(
            Step(above + beside, outward)
            for above, beside, outward in zip((coarse[0], *out), coarse[1:], out, strict=False)
        )
        self.by_twos = nn.PixelUnshuffle(2)
        self.head = nn.Conv2d(widths[0] + 12, 4, 3, padding=1)
        self.pixels = nn.PixelShuffle(2)

    @property
    def widths(self) -> tuple[int, ...]:
        """What it was made with."""
        return tuple(int(step[0].conv.out_channels) for step in self.down)

    def forward(self, face: Tensor) -> Tensor:
        x = face * 2 - 1
        crop = self.by_twos(x)
        levels: list[Tensor] = []
        for step in self.down:
            x = step(x)
            levels.append(x)
        for step, beside in zip(self.up, levels[-2::-1], strict=True):
            x = step(torch.cat([self.grow(x), beside], 1))
        drawn: Tensor = self.pixels(self.head(torch.cat([x, crop], 1)))
        return drawn
