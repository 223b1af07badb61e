"""The parts that the networks of the First Order Motion Model are made of (Siarohin et al., NeurIPS 2019).

Attribute names are upstream's, because they are the key names of its checkpoints. All tensors are NCHW
float32; positions are (x, y) from -1 (left, top) to 1 (right, bottom), both ends included.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.networks.motion_config import Hourglass, blur_side


class ConvNorm(nn.Module):
    """Convolution that keeps the size, batch norm, ReLU; then `then`: `halved`, `doubled` (before) or nothing."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, then: str = "") -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, padding=side // 2)
        self.norm = nn.BatchNorm2d(outputs)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        if self.then == "doubled":
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = F.relu(self.norm(self.conv(x)))
        return F.avg_pool2d(x, 2) if self.then == "halved" else x


class Residual(nn.Module):
    """Pre-activation residual block: batch norm, ReLU, convolution, twice, plus what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(inner)))


class _Levels(nn.Module):
    """A holder that gives a list of blocks its upstream name."""

    def __init__(self, name: str, blocks: list[ConvNorm]) -> None:
        super().__init__()
        self.add_module(name, nn.ModuleList(blocks))


class HourglassNetwork(nn.Module):
    """Down to the bottom and up again, with what was on each level put beside what comes up.

    Gives (N, width + inputs, H, W): the last level put beside it is the input itself.
    """

    def __init__(self, shape: Hourglass, inputs: int) -> None:
        super().__init__()
        down, up = [], []
        for level in range(shape.blocks):
            above = inputs if level == 0 else shape.channels(level)
            down.append(ConvNorm(above, shape.channels(level + 1), then="halved"))
        for level in reversed(range(shape.blocks)):
            beside = 1 if level == shape.blocks - 1 else 2
            up.append(ConvNorm(beside * shape.channels(level + 1), shape.channels(level), then="doubled"))
        self.encoder = _Levels("down_blocks", down)
        self.decoder = _Levels("up_blocks", up)
        self.outputs = shape.width + inputs if shape.width <= shape.widest else shape.widest + inputs

    def forward(self, x: Tensor) -> Tensor:
        levels = [x]
        for block in self.encoder.down_blocks:
            levels.append(block(levels[-1]))
        out = levels.pop()
        for block in self.decoder.up_blocks:
            out = torch.cat([block(out), levels.pop()], 1)
        return out


class Shrink(nn.Module):
    """A picture made `factor` times smaller: blurred with a Gaussian, then every `factor`-th pixel from the first.

    Outside the picture is black, as upstream has it. The Gaussian is a buffer of the checkpoint.
    """

    weight: Tensor

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        side = blur_side(factor)
        self.register_buffer("weight", gaussian(side, (factor - 1) / 2).expand(channels, 1, side, side).clone())

    def forward(self, picture: Tensor) -> Tensor:
        channels, _, side, _ = self.weight.shape
        # A stride takes the same pixels as blurring all of them would, and blurs factor² times fewer.
        return F.conv2d(picture, self.weight, stride=self.factor, padding=side // 2, groups=channels)


def gaussian(side: int, sigma: float) -> Tensor:
    """(side, side) float32 Gaussian that sums to 1."""
    away = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    line = torch.exp(-(away**2) / (2 * sigma**2))
    plane = line[:, None] * line[None, :]
    return plane / plane.sum()


def grid(height: int, width: int, like: Tensor) -> Tensor:
    """(height, width, 2): the position of every pixel, the first -1, the last 1; dtype and device of `like`."""
    x = torch.arange(width, dtype=like.dtype, device=like.device) * (2.0 / (width - 1)) - 1
    y = torch.arange(height, dtype=like.dtype, device=like.device) * (2.0 / (height - 1)) - 1
    return torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)], -1)


def inverse(matrices: Tensor) -> Tensor:
    """The inverses of (..., 2, 2) matrices, in closed form: ONNX has no operator for it."""
    a, b = matrices[..., 0, 0], matrices[..., 0, 1]
    c, d = matrices[..., 1, 0], matrices[..., 1, 1]
    determinant = a * d - b * c
    return torch.stack([d, -b, -c, a], -1).unflatten(-1, (2, 2)) / determinant[..., None, None]


def product(left: Tensor, right: Tensor) -> Tensor:
    """The products of (..., 2, 2) matrices, written out: a batched matrix product of this size is slow in runtimes."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)
