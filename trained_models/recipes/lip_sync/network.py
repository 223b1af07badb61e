"""The built-in lip-sync network: an encoder that hears a mouth's shape, and a decoder that gives it to a face.

The two meet in twelve numbers (`CODE`). The decoder moves the face's own pixels along a field and paints only what is
not there. What nothing moves stays as it was, to the bit. See README.md.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from realtime.families.lip_sync.network import PLANES
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.calibrate import side_names

CODE = (
    *("jawOpen", "mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthPucker", "mouthStretch", "mouthSmile"),
    *("mouthPress", "mouthRollLower", "mouthRollUpper", "mouthShrugUpper", "tongueOut"),
)
"""What speech moves, in the order of a code; a pair counts once."""

JAW = CODE.index("jawOpen")
OPENERS = tuple(CODE.index(name) for name in ("jawOpen", "mouthLowerDown", "mouthUpperUp"))
CLOSERS = tuple(CODE.index(name) for name in ("mouthPress", "mouthRollLower", "mouthRollUpper"))


def codes_of(actions: Floats, names: list[str]) -> Floats:
    """(..., 12) codes of (..., 52) weights in the order of `names`; a pair's mean."""
    columns = [actions[..., [names.index(half) for half in side_names(name)]].mean(-1) for name in CODE]
    return np.asarray(np.stack(columns, -1), np.float32)


def actions_of(codes: Floats, names: list[str]) -> Floats:
    """(..., 52) weights of (..., 12) codes: both halves of a pair alike."""
    out: npt.NDArray[np.float32] = np.zeros((*codes.shape[:-1], len(names)), np.float32)
    for k, name in enumerate(CODE):
        for half in side_names(name):
            out[..., names.index(half)] = codes[..., k]
    return out


ROUNDERS = tuple(CODE.index(name) for name in ("mouthFunnel", "mouthPucker"))


SIZE = 128
TOP = 48  # the decoder looks at the rows from here down; what is above stays
ROWS = SIZE - TOP
FARTHEST = 0.35  # how far the field may reach, in halves of the crop's width
Widths = tuple[int, int, int]
WIDTHS: Widths = (24, 44, 72)  # channels at a half, a quarter and an eighth of the crop's size
FINE_WIDTHS: Widths = (56, 96, 144)
FINISH = 24  # the fine decoder's, and how many it has at the crop's own size
CLOSED, PARTED = 0.03, 0.1
"""Below the first the fine decoder paints nothing between the lips, from the second on all that it would."""


class Conv(nn.Sequential):
    """3x3, batch norm, ReLU."""

    def __init__(self, inside: int, outside: int, stride: int | tuple[int, int] = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
        )


class AudioEncoder(nn.Module):
    """(n, 1, 80, 16) mel in -4..4 → (n, 12) codes, by and large 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(Conv(1, 24, (2, 1)), Conv(24, 32), Conv(32, 48, 2), Conv(48, 64), Conv(64, 80, 2), Conv(80, 96)),
            *(Conv(96, 96, (2, 1)), nn.Flatten(), nn.Linear(96 * 5 * 4, 160), nn.ReLU(), nn.Linear(160, len(CODE))),
        )

    def forward(self, mel: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(mel * 0.25))


class Tuned(nn.Module):
    """A convolution whose channels are scaled and shifted by what the mouth shall do."""

    def __init__(self, inside: int, outside: int, told: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(outside)
        self.scale, self.shift = nn.Linear(told, outside), nn.Linear(told, outside)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x * (1 + self.scale(told)[:, :, None, None]) + self.shift(told)[:, :, None, None])


def twice(x: Tensor) -> Tensor:
    """Nearest neighbours: `x` at double size."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def opens(code: Tensor) -> Tensor:
    """(n, 1, 1, 1) 0..1: whether lips part at all for a code; where they meet there is nothing to be painted."""
    weights = torch.zeros(len(CODE), 1)
    weights[list(OPENERS)] = torch.tensor([[1.0], [0.5], [0.5]])  # the jaw, and half of either lip's way
    return ((code @ weights - CLOSED) / (PARTED - CLOSED)).clamp(0.0, 1.0)[:, :, None, None]


class Decoder(nn.Module):
    """A lower face (n, 3, 80, 128), its lips (n, 2, 80, 128) and a code (n, 12), all 0..1 → it with that mouth."""

    def __init__(self, widths: Widths = WIDTHS, finish: int = 0) -> None:
        """`finish`: channels of the last layers, which see every pixel; 0 for none."""
        super().__init__()
        a, b, c = self.widths = widths
        self.finish = finish
        self.told = nn.Sequential(nn.Linear(len(CODE), 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.fine = nn.Sequential(Conv(4 * (3 + PLANES), a), Conv(a, a))
        self.mid = nn.Sequential(Conv(a, b, 2), Conv(b, b))
        self.down = Conv(b, c, 2)
        self.deep = nn.ModuleList([Tuned(c, c, 64), Tuned(c, c, 64), Tuned(c, c, 64)])
        self.mid_up, self.mid_more = Tuned(c + b, b, 64), Conv(b, b)
        self.fine_up, self.fine_more = Tuned(b + a, a, 64), Conv(a, a)
        self.field = nn.Conv2d(a, 2, 3, 1, 1)
        self.paint = nn.Conv2d(a, 16, 3, 1, 1)
        if finish:
            self.large = nn.Conv2d(a, 4 * finish, 3, 1, 1)
            self.finish_in = Conv(finish + 3 + PLANES, finish)
            self.finish_out = nn.Conv2d(finish, 4, 3, 1, 1)
            nn.init.zeros_(self.finish_out.weight)
            nn.init.zeros_(self.finish_out.bias)
        nn.init.normal_(self.field.weight, std=1e-3)
        nn.init.zeros_(self.field.bias)
        nn.init.normal_(self.paint.weight, std=1e-2)
        with torch.no_grad():
            self.paint.bias.copy_(torch.tensor([0.0] * 12 + [-1.5] * 4))
        x = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
        y = (torch.arange(ROWS) + 0.5) * (2 / ROWS) - 1
        grid = torch.stack([x.expand(ROWS, SIZE), y[:, None].expand(ROWS, SIZE)], -1)
        self.register_buffer("base", grid[None], persistent=False)

    def parts(self, face: Tensor, lips: Tensor, code: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The face moved, what is painted, how much of that is seen (n, 1, 80, 128), and the field (n, 80, 128, 2)."""
        told = self.told(code)
        fine = self.fine(F.pixel_unshuffle(torch.cat([face - 0.5, lips], 1), 2))
        mid = self.mid(fine)
        deep = self.down(mid)
        for layer in self.deep:
            deep = layer(deep, told)
        mid = self.mid_more(self.mid_up(torch.cat([mid, twice(deep)], 1), told))
        fine = self.fine_more(self.fine_up(torch.cat([fine, twice(mid)], 1), told))
        field = F.interpolate(self.field(fine), scale_factor=2.0, mode="bilinear", align_corners=False)
        field = torch.tanh(field.permute(0, 2, 3, 1)) * FARTHEST
        moved = F.grid_sample(face, self.base + field.float(), padding_mode="border", align_corners=False)
        paint = F.pixel_shuffle(self.paint(fine), 2)
        if self.finish:
            large = F.relu(F.pixel_shuffle(self.large(fine), 2))
            paint = paint + self.finish_out(self.finish_in(torch.cat([large, moved - 0.5, lips], 1)))
        painted = torch.sigmoid(paint)
        seen = painted[:, 3:] * opens(code) if self.finish else painted[:, 3:]
        return moved, painted[:, :3], seen, field

    def forward(self, face: Tensor, lips: Tensor, code: Tensor) -> Tensor:
        moved, painted, seen, _ = self.parts(face, lips, code)
        return moved + seen * (painted - moved)


class LipSync(nn.Module):
    """`mel` (1, 1, 80, 16), `faces` (1, 6, 128, 128), `lips` (1, 2, 128, 128) → `mouth` (1, 3, 128, 128).

    `stress`, `middle`: codes are drawn `stress` times as far from `middle` as the encoder says, since a network
    that learns from many voices mumbles; each (12,).
    """

    def __init__(
        self, encoder: AudioEncoder, decoder: Decoder, stress: Tensor | None = None, middle: Tensor | None = None
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("stress", torch.ones(len(CODE)) if stress is None else stress)
        self.register_buffer("middle", torch.zeros(len(CODE)) if middle is None else middle)

    def code(self, mel: Tensor) -> Tensor:
        """(n, 12) 0..1."""
        return ((self.encoder(mel) - self.middle) * self.stress + self.middle).clamp(0.0, 1.0)

    def forward(self, mel: Tensor, faces: Tensor, lips: Tensor) -> Tensor:
        mouth = self.decoder(faces[:, 3:, TOP:], lips[:, :, TOP:], self.code(mel))
        return torch.cat([faces[:, 3:, :TOP], mouth], 2)


class Ways(nn.Module):
    """What a fine decoder does, for a larger picture: fed as `LipSync`.

    Gives `field` (1, 2, 128, 128) in sides of the picture, `paint` (1, 3, 128, 128) and `seen` (1, 1, 128, 128), all 0
    above the rows that the decoder looks at.
    """

    def __init__(self, network: LipSync) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor, faces: Tensor, lips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        code = self.network.code(mel)
        _, painted, seen, field = self.network.decoder.parts(faces[:, 3:, TOP:], lips[:, :, TOP:], code)
        across, down = field[..., 0] / 2, field[..., 1] * (ROWS / SIZE / 2)
        made = (torch.stack([across, down], 1), painted, seen)
        field, painted, seen = (F.pad(x, (0, 0, TOP, 0)) for x in made)
        return field, painted, seen
