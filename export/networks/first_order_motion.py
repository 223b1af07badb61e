"""The networks of the First Order Motion Model, split into what is done once and what every frame.

The source's features depend on the source only: `SourceEncoder` runs once on it, `FrameDriver` and the key point
detector for every driven frame. Upstream encodes the source again for each frame; the picture is the same.

`align_corners` says how positions -1..1 become pixels where features are looked up: True puts -1 on the first pixel's
centre, as the positions are made; False on its outer edge. Upstream's code leaves it to PyTorch, whose default was True
up to 1.2 and is False since 1.3; the checkpoints of 2019 and 2020 were made with True. Pictures differ by up to 0.14.

Attribute names are upstream's, because they are the key names of its checkpoints. All tensors are NCHW float32;
positions are (x, y) from -1 (left, top) to 1 (right, bottom), both ends included.

Source: Siarohin, Lathuilière, Tulyakov, Ricci, Sebe, "First Order Motion Model for Image Animation", NeurIPS 2019.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.networks.motion_config import Hourglass, MotionConfig, blur_side

HEAT_VARIANCE = 0.01
"""Variance of the blob drawn at a key point, in squared half picture sides (upstream's kp_variance)."""


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


class KeypointDetector(nn.Module):
    """(N, 3, H, W) RGB 0..1 -> positions (N, K, 2) in -1..1, (x, y), and Jacobians (N, K, 2, 2).

    State dict: upstream's `kp_detector`. A key point is the mean position under its heat map; its Jacobian is
    the mean of a map of matrices under the same heat map.
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.predictor = HourglassNetwork(config.detector, config.channels)
        # Without padding: the heat map is 6 px smaller than the features.
        self.kp = nn.Conv2d(self.predictor.outputs, config.key_points, 7)
        self.jacobian_maps = 1 if config.single_jacobian else config.key_points
        self.jacobian = nn.Conv2d(self.predictor.outputs, 4 * self.jacobian_maps, 7)
        self.down = Shrink(config.channels, config.detector_shrink)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        features = self.predictor(self.down(picture))
        logits = self.kp(features)
        count, points, height, width = logits.shape
        heat = torch.softmax(logits.flatten(2) / self.temperature, 2)
        places = grid(height, width, heat).reshape(1, 1, height * width, 2)
        value = (heat[..., None] * places).sum(2)
        maps = self.jacobian(features).reshape(count, self.jacobian_maps, 4, height * width)
        jacobian = (heat[:, :, None] * maps).sum(3).reshape(count, points, 2, 2)
        return value, jacobian


def warp(features: Tensor, positions: Tensor, align_corners: bool) -> Tensor:
    """(N, C, H, W) looked up at (N, h, w, 2) positions, bilinearly, black outside -> (N, C, h, w)."""
    return F.grid_sample(features, positions, mode="bilinear", padding_mode="zeros", align_corners=align_corners)


class DenseMotion(nn.Module):
    """Small source picture and two sets of key points -> positions (N, h, w, 2), occlusion (N, 1, h, w), mask.

    State dict: the part `dense_motion_network.` of upstream's `generator`. `align_corners` is how positions
    become pixels: see the module.
    """

    def __init__(self, config: MotionConfig, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.hourglass = HourglassNetwork(config.motion, (config.key_points + 1) * (config.channels + 1))
        self.mask = nn.Conv2d(self.hourglass.outputs, config.key_points + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.outputs, 1, 7, padding=3)
        self.down = Shrink(config.channels, config.motion_shrink)

    def forward(
        self, small: Tensor, source: Tensor, source_jacobian: Tensor, driving: Tensor, driving_jacobian: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, channels, height, width = small.shape
        places = grid(height, width, small)
        motions = self._motions(places, source, source_jacobian, driving, driving_jacobian)
        ways = motions.shape[1]
        # One look-up in a tall grid instead of one a key point in copies of the picture.
        tall = warp(small, motions.reshape(count, ways * height, width, 2), self.align_corners)
        moved = tall.reshape(count, channels, ways, height, width).transpose(1, 2)
        heat = _blobs(places, driving) - _blobs(places, source)
        heat = F.pad(heat, (0, 0, 0, 0, 1, 0))  # the background comes first and has no blob
        seen = torch.cat([heat[:, :, None], moved], 2).reshape(count, ways * (channels + 1), height, width)
        features = self.hourglass(seen)
        mask = torch.softmax(self.mask(features), 1)
        positions = (motions * mask[..., None]).sum(1)
        return positions, torch.sigmoid(self.occlusion(features)), mask

    @staticmethod
    def _motions(
        places: Tensor, source: Tensor, source_jacobian: Tensor, driving: Tensor, driving_jacobian: Tensor
    ) -> Tensor:
        """(N, K + 1, h, w, 2): for every pixel its position in the source, by each key point; first: unmoved."""
        turn = product(source_jacobian, inverse(driving_jacobian))[:, :, None, None]
        away = places - driving[:, :, None, None]
        x, y = away[..., 0], away[..., 1]
        moved = torch.stack([turn[..., 0, 0] * x + turn[..., 0, 1] * y, turn[..., 1, 0] * x + turn[..., 1, 1] * y], -1)
        moved = moved + source[:, :, None, None]
        unmoved = places.expand(moved.shape[0], 1, *places.shape)
        return torch.cat([unmoved, moved], 1)


def _blobs(places: Tensor, points: Tensor) -> Tensor:
    """(N, K, h, w): a Gaussian blob of height 1 at each of (N, K, 2) points."""
    away = places - points[:, :, None, None]
    return torch.exp(-0.5 / HEAT_VARIANCE * (away**2).sum(-1))


class Generator(nn.Module):
    """The avatar's picture and key points, and the driver's key points -> the avatar moved, (N, 3, H, W) 0..1.

    State dict: upstream's `generator`. Pictures are RGB 0..1.
    """

    def __init__(self, config: MotionConfig, *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        shape = config.generator
        self.dense_motion_network = DenseMotion(config, align_corners)
        self.first = ConvNorm(config.channels, shape.channels(0), side=7)
        down = [
            ConvNorm(shape.channels(level), shape.channels(level + 1), then="halved") for level in range(shape.blocks)
        ]
        up = [
            ConvNorm(shape.channels(level + 1), shape.channels(level), then="doubled")
            for level in reversed(range(shape.blocks))
        ]
        self.down_blocks = nn.ModuleList(down)
        self.up_blocks = nn.ModuleList(up)
        self.bottleneck = nn.Sequential()
        for number in range(config.bottleneck):
            self.bottleneck.add_module(f"r{number}", Residual(shape.channels(shape.blocks)))
        self.final = nn.Conv2d(shape.channels(0), config.channels, 7, padding=3)

    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The avatar's features, (N, C, H / 4, W / 4) for two halvings, and its small picture for the motion."""
        features = self.first(picture)
        for block in self.down_blocks:
            features = block(features)
        return features, self.dense_motion_network.down(picture)

    def drive(
        self,
        features: Tensor,
        small: Tensor,
        source: Tensor,
        source_jacobian: Tensor,
        driving: Tensor,
        driving_jacobian: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The moved picture (N, 3, H, W) 0..1, and what it was made by: the motions' mask, the occlusion map."""
        positions, occlusion, mask = self.dense_motion_network(
            small, source, source_jacobian, driving, driving_jacobian
        )
        size, hidden = features.shape[2:], occlusion
        if positions.shape[1:3] != size:
            positions = F.interpolate(positions.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False)
            positions = positions.permute(0, 2, 3, 1)
            hidden = F.interpolate(occlusion, size=size, mode="bilinear", align_corners=False)
        out = self.bottleneck(warp(features, positions, self.align_corners) * hidden)
        for block in self.up_blocks:
            out = block(out)
        return torch.sigmoid(self.final(out)), mask, occlusion

    def forward(
        self, picture: Tensor, source: Tensor, source_jacobian: Tensor, driving: Tensor, driving_jacobian: Tensor
    ) -> Tensor:
        features, small = self.encode(picture)
        return self.drive(features, small, source, source_jacobian, driving, driving_jacobian)[0]


class SourceEncoder(nn.Module):
    """What is done once for an avatar: picture (N, 3, H, W) -> features, small picture, key points, Jacobians."""

    def __init__(self, model: "FirstOrderMotion") -> None:
        super().__init__()
        self.generator, self.detector = model.generator, model.detector

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features, small = self.generator.encode(picture)
        value, jacobian = self.detector(picture)
        return features, small, value, jacobian


class FrameDriver(nn.Module):
    """What is done for every frame: all of `SourceEncoder`'s outputs, then driving key points and Jacobians, relative
    to the source -> the picture, (N, 3, H, W) RGB 0..1."""

    def __init__(self, model: "FirstOrderMotion") -> None:
        super().__init__()
        self.generator = model.generator

    def forward(self, *given: Tensor) -> Tensor:
        return self.generator.drive(*given)[0]


@dataclass(frozen=True, slots=True, eq=False)
class FirstOrderMotion:
    """One model: its sizes and its two networks, on the CPU, in evaluation mode where a reader gives them."""

    config: MotionConfig
    detector: KeypointDetector
    generator: Generator

    @property
    def align_corners(self) -> bool:
        """How the generator looks features up: see the module's text."""
        return bool(self.generator.align_corners)


def build(config: MotionConfig, *, align_corners: bool) -> FirstOrderMotion:
    """The two networks of a configuration, with PyTorch's own first weights, in evaluation mode."""
    detector = KeypointDetector(config).eval()
    return FirstOrderMotion(config, detector, Generator(config, align_corners=align_corners).eval())
