"""The network that refines what geometry drew: two small U-Nets, one for a mouth's patch and one for an eye's.

Plain 3x3 convolutions at half of the patch's size and below; batch norms fold into them. What comes out is added to
the patch, so that a network that knows nothing changes nothing.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from realtime.families.motion.mesh.source import EYE_CHANNELS, MOUTH_CHANNELS


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels at a half, a quarter and an eighth of the patch's size."""

    mouth: tuple[int, int, int] = (32, 56, 88)
    eyes: tuple[int, int, int] = (24, 40, 64)

    def as_dict(self) -> dict[str, list[int]]:
        """For a file."""
        return {"mouth": list(self.mouth), "eyes": list(self.eyes)}


class Conv(nn.Sequential):
    """3x3, batch norm, ReLU."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
        )


class PatchNet(nn.Module):
    """(n, c, s, s) → (n, 3, s, s) of -1..1: what to add."""

    def __init__(self, channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.fine = nn.Sequential(Conv(4 * channels, a), Conv(a, a))
        self.mid = nn.Sequential(Conv(a, b, 2), Conv(b, b))
        self.deep = nn.Sequential(Conv(b, c, 2), Conv(c, c), Conv(c, c), Conv(c, b))
        self.mid_up = nn.Sequential(Conv(b, b), Conv(b, a))
        self.fine_up = Conv(a, a)
        self.last = nn.Conv2d(a, 12, 3, 1, 1)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(self, patch: Tensor) -> Tensor:
        fine = self.fine(F.pixel_unshuffle(patch, 2))
        mid = self.mid(fine)
        deep = self.deep(mid)
        mid = self.mid_up(mid + F.interpolate(deep, scale_factor=2.0, mode="nearest"))
        fine = self.fine_up(fine + F.interpolate(mid, scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.last(fine), 2)


class Refiner(nn.Module):
    """Both networks: `mouth` (1, 11, 112, 112) and `eyes` (2, 10, 64, 64) to what is to be added to each."""

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        self.widths = widths or Widths()
        self.mouth = PatchNet(MOUTH_CHANNELS, self.widths.mouth)
        self.eyes = PatchNet(EYE_CHANNELS, self.widths.eyes)

    def forward(self, mouth: Tensor, eyes: Tensor) -> tuple[Tensor, Tensor]:
        return self.mouth(mouth), self.eyes(eyes)
