"""The parts DeepFaceLab's autoencoders are made of: encoder, inter and decoder, named as in its files.

Written from the recorded names, shapes and outputs. A weight's key is the upstream name with dots for slashes
(`down1/downs_0/conv1/weight:0` is `down1.downs_0.conv1.weight`); whoever loads them turns the layouts
(`export.families.deepfacelab`), as filters here are OIHW, matrices (out, in), and the filters of an
`Upscale` ordered for `pixel_shuffle` (channel c * 4 + dy * 2 + dx; upstream has (dy * 2 + dx) * C + c).
All pictures and features are (N, C, H, W) float32.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.functional import leaky_relu, pixel_shuffle

NORM_EPSILON = 1e-6


class Activation(nn.Module):
    """Leaky ReLU of `slope`; x * cos(x) where the model is `wavy` (archi flag c), whatever the slope."""

    def __init__(self, slope: float, wavy: bool) -> None:
        super().__init__()
        self.slope = slope
        self.wavy = wavy

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.cos(x) if self.wavy else leaky_relu(x, self.slope)


class PixelNorm(nn.Module):
    """A code divided by its root mean square (archi flag u)."""

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return code * torch.rsqrt(code.square().mean(dim=1, keepdim=True) + NORM_EPSILON)


def _conv(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Conv2d:
    """A convolution whose zero padding is the same on all sides, at stride 2 too (unlike TensorFlow's SAME)."""
    return nn.Conv2d(inputs, outputs, side, stride, padding=side // 2)


class Downscale(nn.Module):
    """Half the size."""

    def __init__(self, inputs: int, outputs: int, wavy: bool) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 5, stride=2)
        self.act = Activation(0.1, wavy)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv1(x))


class Upscale(nn.Module):
    """Twice the size."""

    def __init__(self, inputs: int, outputs: int, wavy: bool) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs * 4, 3)
        self.act = Activation(0.1, wavy)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return pixel_shuffle(self.act(self.conv1(x)), 2)


class Residual(nn.Module):
    """Two convolutions beside a straight line."""

    def __init__(self, channels: int, wavy: bool) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels, 3)
        self.conv2 = _conv(channels, channels, 3)
        self.act = Activation(0.2, wavy)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.conv2(self.act(self.conv1(x))))


def encoder_layers(dims: int, *, deep: bool, wavy: bool) -> "OrderedDict[str, nn.Module]":
    """From a picture to 8 * dims channels of a sixteenth of its side; `deep` (archi flag t): a thirty-second."""
    if not deep:
        widths = [3, dims, dims * 2, dims * 4, dims * 8]
        downs = OrderedDict((f"downs_{i}", Downscale(widths[i], widths[i + 1], wavy)) for i in range(4))
        return OrderedDict(down1=nn.Sequential(downs))
    return OrderedDict(
        down1=Downscale(3, dims, wavy),
        res1=Residual(dims, wavy),
        down2=Downscale(dims, dims * 2, wavy),
        down3=Downscale(dims * 2, dims * 4, wavy),
        down4=Downscale(dims * 4, dims * 8, wavy),
        down5=Downscale(dims * 8, dims * 8, wavy),
        res5=Residual(dims * 8, wavy),
    )


def encoder_features(resolution: int, dims: int, *, deep: bool) -> int:
    """How many numbers a picture of that side becomes."""
    side = resolution // (32 if deep else 16)
    return dims * 8 * side * side


class Decoder(nn.Module):
    """From the inter's channels to a picture (N, 3, R, R), BGR 0..1, and its mask (N, 1, R, R), 0..1.

    `deep` (archi flag t) has one stage more. `doubled` (flag d) gives the picture as four of half its side,
    one for each place of a 2 x 2 cell, and the mask one stage more.
    """

    def __init__(self, inputs: int, dims: int, mask_dims: int, *, deep: bool, doubled: bool, wavy: bool) -> None:
        super().__init__()
        factors = [8, 8, 4, 2] if deep else [8, 4, 2]
        self.stages = len(factors)
        self.mask_stages = self.stages + doubled
        self.doubled = doubled
        widths = [inputs] + [dims * factor for factor in factors]
        mask_widths = [inputs] + [mask_dims * factor for factor in [*factors, 1][: self.mask_stages]]
        for i in range(self.stages):
            self.add_module(f"upscale{i}", Upscale(widths[i], widths[i + 1], wavy))
            self.add_module(f"res{i}", Residual(widths[i + 1], wavy))
        for i in range(self.mask_stages):
            self.add_module(f"upscalem{i}", Upscale(mask_widths[i], mask_widths[i + 1], wavy))
        self.out_conv = _conv(widths[-1], 3, 1)
        if doubled:
            self.out_conv1 = _conv(widths[-1], 3, 3)
            self.out_conv2 = _conv(widths[-1], 3, 3)
            self.out_conv3 = _conv(widths[-1], 3, 3)
        self.out_convm = _conv(mask_widths[-1], 1, 1)

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.picture(z), self.mask(z)

    def picture(self, z: torch.Tensor) -> torch.Tensor:
        """Only the picture."""
        for i in range(self.stages):
            z = self.get_submodule(f"res{i}")(self.get_submodule(f"upscale{i}")(z))
        if not self.doubled:
            return torch.sigmoid(self.out_conv(z))
        places = (self.out_conv(z), self.out_conv1(z), self.out_conv2(z), self.out_conv3(z))
        return torch.sigmoid(pixel_shuffle(torch.stack(places, dim=2).flatten(1, 2), 2))

    def mask(self, z: torch.Tensor) -> torch.Tensor:
        """Only the mask: it shares nothing with the picture but `z`."""
        for i in range(self.mask_stages):
            z = self.get_submodule(f"upscalem{i}")(z)
        return torch.sigmoid(self.out_convm(z))
