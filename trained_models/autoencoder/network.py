"""The swap network: one driver's face in, the identity's face and its mask out.

A shared encoder squeezes the driver's crop to a short code (light, gaze) and one decoder an identity draws the new face
from it, the DF shape of DeepFaceLab. Expression and pose are told to the decoder directly: blendshapes, head angles and
the lips' distances as the tracker reads them. Where the driver's face shows is a network of its own (`driver_mask`),
and the decoder's last map can be drawn larger (`fine`). All is plain 3x3 convolutions, into which batch norm folds.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
        return tuple(int(step[0].conv.out_channels) for step in self.down)

    def forward(self, face: Tensor) -> Tensor:
        x = face * 2 - 1
        crop = self.by_twos(x)
        levels = []
        for step in self.down:
            x = step(x)
            levels.append(x)
        for step, beside in zip(self.up, levels[-2::-1], strict=True):
            x = step(torch.cat([self.grow(x), beside], 1))
        return self.pixels(self.head(torch.cat([x, crop], 1)))


LIPS = 3
TOLD = 52 + 3 + LIPS  # blendshapes, head angles, the lips' distances
GROWTH = 3  # pixels drawn along each side of a cell of the last map: the fast head draws 2


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that make one network. `size` is the crop's side and a multiple of 32."""

    size: int = 160
    code: int = 192
    condition: int = 96
    encoder: tuple[int, ...] = (16, 32, 64, 96, 128)
    bottom: int = 72
    decoder: tuple[int, ...] = (128, 96, 72, 40)
    driver_mask: tuple[int, ...] = WIDTHS
    fine: int = 64

    def __post_init__(self) -> None:
        if self.size % 32 or self.size <= 0:
            raise ValueError(f"size must be a positive multiple of 32, not {self.size}")
        if len(self.encoder) != 5 or len(self.decoder) != 4 or len(self.driver_mask) != 5:
            raise ValueError("encoder and mask halve five times, the decoder doubles four times")

    @property
    def fine_size(self) -> int:
        return self.size // 2 * GROWTH

    def as_dict(self) -> dict[str, object]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(slots=True)
class Drawn:
    """What the network drew: `face` (N, 3, S, S) BGR about 0..1, unclamped; `mask` (N, 1, S, S) logits. `features` (N,
    d, S/2, S/2): the decoder's last map, from which `Fine` draws."""

    face: Tensor
    mask: Tensor
    features: Tensor | None = None


class Encoder(nn.Module):
    """(N, 3, S, S) BGR 0..1 to a code (N, code). Shared by all identities."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = (3, *shape.encoder)
        self.steps = nn.Sequential(*(Step(a, b, stride=2) for a, b in pairwise(widths)))
        cells = (shape.size // 32) ** 2
        self.squeeze = nn.Linear(widths[-1] * cells, shape.code)
        self.norm = nn.LayerNorm(shape.code)

    def forward(self, face: Tensor) -> Tensor:
        x = self.steps(face * 2 - 1)
        return self.norm(self.squeeze(x.flatten(1)))


class Condition(nn.Module):
    """Blendshapes (N, 52), head angles (N, 3) radians, the lips' distances (N, 3) as of `inner_lips` and a mirror flag
    (N, 1) to (N, condition).

    `mean` and `spread` are the training set's; a reading more than four spreads off is held there.
    The mirror flag says that the picture was flipped, so that flipped training pairs do not average the
    identity's own left and right. Exported networks have it fixed at 0.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(TOLD))
        self.register_buffer("spread", torch.ones(TOLD))
        self.first = nn.Linear(TOLD + 1, 2 * shape.condition)
        self.second = nn.Linear(2 * shape.condition, shape.condition)

    def forward(self, blendshapes: Tensor, pose: Tensor, lips: Tensor, mirrored: Tensor) -> Tensor:
        seen = ((torch.cat([blendshapes, pose, lips], 1) - self.mean) / self.spread).clamp(-4, 4)
        hidden = torch.relu(self.first(torch.cat([seen, mirrored], 1)))
        return torch.relu(self.second(hidden))

    @torch.no_grad()
    def take_lips_as(self, gain: float) -> None:
        """From now on take lips for `gain` times as far apart as told: for identities whose lips part farther."""
        for measure in (self.mean, self.spread):
            measure[-LIPS:] /= gain


class Block(nn.Module):
    """A 3x3 convolution, batch norm, the condition's gain and shift per channel, ReLU.

    `double` doubles the side by drawing 2x2 pixels at once. `told` is the condition's width; 0 leaves gain
    and shift out: at 80 pixels and more they cost time and the shape of the face is settled already.
    """

    def __init__(self, inward: int, outward: int, told: int, *, double: bool) -> None:
        super().__init__()
        wide = outward * 4 if double else outward
        self.conv = nn.Conv2d(inward, wide, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(wide)
        self.shuffle = nn.PixelShuffle(2) if double else nn.Identity()
        self.residual = not double
        self.told = nn.Linear(told, 2 * outward) if told else None
        if self.told is not None:
            nn.init.normal_(self.told.weight, std=0.02)
            nn.init.zeros_(self.told.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = self.shuffle(self.norm(self.conv(x)))
        if self.told is not None:
            gain, shift = self.told(condition)[:, :, None, None].chunk(2, 1)
            y = torch.addcmul(shift, y, 1 + gain)
        return torch.relu(x + y) if self.residual else torch.relu(y)


class Fine(nn.Module):
    """(N, d, S/2, S/2) to a face (N, 3, 1.5 S, 1.5 S) BGR about 0..1, unclamped."""

    def __init__(self, shape: Shape) -> None:
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
        return self.pixels(self.head(x))


class Decoder(nn.Module):
    """Code and condition to one identity's face and mask. The last step draws 2x2 pixels at once."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.cells = shape.size // 32
        self.bottom = shape.bottom
        told = shape.condition
        self.condition = Condition(shape)
        self.spread_out = nn.Linear(shape.code + told, shape.bottom * self.cells**2)
        a, b, c, d = shape.decoder
        sizes = ((shape.bottom, a, told), (a, b, told), (b, c, told), (c, c, told), (c, d, 0), (d, d, 0))
        self.blocks = nn.ModuleList(Block(*size, double=k not in (3, 5)) for k, size in enumerate(sizes))
        self.head = nn.Conv2d(d, 16, 3, padding=1)
        self.pixels = nn.PixelShuffle(2)
        self.fine = Fine(shape)
        with torch.no_grad():
            self.head.weight.mul_(0.2)
            self.head.bias.zero_()
            self.head.bias[:12] = 0.5

    def forward(
        self, code: Tensor, blendshapes: Tensor, pose: Tensor, lips: Tensor, mirrored: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.draw(self.features(code, blendshapes, pose, lips, mirrored))

    def features(self, code: Tensor, blendshapes: Tensor, pose: Tensor, lips: Tensor, mirrored: Tensor) -> Tensor:
        """The last map, (N, d, S/2, S/2)."""
        told = self.condition(blendshapes, pose, lips, mirrored)
        x = self.spread_out(torch.cat([code, told], 1)).relu()
        x = x.unflatten(1, (self.bottom, self.cells, self.cells))
        for block in self.blocks:
            x = block(x, told)
        return x

    def draw(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The face and the mask's logits that a last map shows."""
        drawn = self.pixels(self.head(features))
        return drawn[:, :3], drawn[:, 3:]


class SwapNetwork(nn.Module):
    """The encoder, one identity's decoder, and where the driver shows; parts that are not given are new. The driver's
    mask is trained apart and not drawn here: `export.Exported` puts both together."""

    def __init__(
        self,
        shape: Shape | None = None,
        encoder: Encoder | None = None,
        driver_mask: DriverMask | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.encoder = encoder or Encoder(self.shape)
        self.driver_mask = driver_mask or DriverMask(self.shape.driver_mask)
        self.decoder = decoder or Decoder(self.shape)

    def forward(
        self,
        face: Tensor,
        blendshapes: Tensor,
        pose: Tensor,
        lips: Tensor,
        mirrored: Tensor | None = None,
        keep_code: Tensor | None = None,
    ) -> Drawn:
        """Draw the identity. `keep_code` (N, 1), 0 or 1, blanks single samples' codes (training only)."""
        code = self.encoder(face)
        if keep_code is not None:
            code = code * keep_code.to(code.dtype)
        if mirrored is None:
            mirrored = torch.zeros_like(pose[:, :1])
        features = self.decoder.features(code, blendshapes, pose, lips, mirrored)
        drawn, mask = self.decoder.draw(features)
        return Drawn(drawn, mask, features)


class Family(nn.Module):
    """Several identities behind one encoder, as they are trained: a decoder for each name."""

    def __init__(self, names: Sequence[str], shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.encoder = Encoder(self.shape)
        self.driver_mask = DriverMask(self.shape.driver_mask)
        self.decoders = nn.ModuleDict({name: Decoder(self.shape) for name in names})

    def member(self, name: str) -> SwapNetwork:
        """One identity's network; its parts are this one's, not copies."""
        return SwapNetwork(self.shape, self.encoder, self.driver_mask, self.decoders[name])


class Critic(nn.Module):
    """Tells rendered faces from drawn ones, patch by patch (Isola et al. 2017): (N, 3, H, W) to (N, 1, h, w). One patch
    sees 31 pixels of the fine face: texture and edges, not who it is."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        normed = nn.utils.parametrizations.spectral_norm
        self.steps = nn.Sequential(
            *(nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)),
            *(normed(nn.Conv2d(width, 2 * width, 4, 2, 1)), nn.LeakyReLU(0.2)),
            *(normed(nn.Conv2d(2 * width, 2 * width, 4, 1, 1)), nn.LeakyReLU(0.2)),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, face: Tensor) -> Tensor:
        return self.steps(face * 2 - 1)
