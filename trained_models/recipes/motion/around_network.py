"""The network that leads hair, neck and room: a U-Net of 64 cells, 0.14 GFLOP."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from realtime.families.motion.mesh.flow import CHANNELS

WIDTHS = (16, 24, 32, 48)
REACH = 0.1
"""Of the crop's side, for an answer of 1."""


def _conv(taken: int, given: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(taken, given, 3, stride, 1), nn.LeakyReLU(0.1))


def _larger(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class AroundNetwork(nn.Module):
    """(n, 17, 64, 64) as `mesh.flow.fill` makes it → (n, 2, 64, 64) sides of the crop; begins at 0."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.widths = widths
        self.e0 = _conv(CHANNELS, a)
        self.e1 = nn.Sequential(_conv(a, b, 2), _conv(b, b))
        self.e2 = nn.Sequential(_conv(b, c, 2), _conv(c, c))
        self.e3 = nn.Sequential(_conv(c, d, 2), _conv(d, d), _conv(d, d))
        self.d2, self.d1, self.d0 = _conv(d + c, c), _conv(c + b, b), _conv(b + a, a)
        self.out = nn.Conv2d(a, 2, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, fed: Tensor) -> Tensor:
        a: Tensor = self.e0(fed)
        b: Tensor = self.e1(a)
        c: Tensor = self.e2(b)
        y: Tensor = self.d2(torch.cat([_larger(self.e3(c)), c], 1))
        y = self.d1(torch.cat([_larger(y), b], 1))
        y = self.d0(torch.cat([_larger(y), a], 1))
        made: Tensor = self.out(y)
        return REACH * made
