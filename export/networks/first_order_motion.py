"""The generator of the First Order Motion Model, and its split into what is done once and what every frame.

The avatar's features depend on the avatar only: `SourceEncoder` and the key point detector run once on it,
`FrameDriver` runs for every driven frame. Upstream encodes the avatar again for each frame; the picture is
the same.

`align_corners` says how positions -1..1 become pixels where features are looked up: True puts -1 on the first
pixel's centre, False on its outer edge. Upstream's code leaves it to PyTorch, whose default was True up to
1.2 and is False since 1.3. The checkpoints published in 2019 and 2020 were made while upstream asked for
PyTorch 1.0.0, that is with True; everybody who runs upstream's code on a PyTorch of today gets False. The
positions themselves are made with -1 and 1 on the outer pixels' centres, so True is the geometry they mean.
The pictures differ by up to 0.14: there is no default here.

Source: Siarohin, Lathuilière, Tulyakov, Ricci, Sebe, "First Order Motion Model for Image Animation", NeurIPS 2019.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.networks.motion_blocks import ConvNorm, Residual
from export.networks.motion_config import MotionConfig
from export.networks.motion_dense import DenseMotion, warp
from export.networks.motion_keypoints import KeypointDetector


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
    """What is done for every frame: all of `SourceEncoder`'s outputs, then driving key points and Jacobians
    (as `realtime.families.motion.first_order.keypoints` gives them) -> the picture, (N, 3, H, W) RGB 0..1."""

    def __init__(self, model: "FirstOrderMotion") -> None:
        super().__init__()
        self.generator = model.generator

    def forward(
        self,
        features: Tensor,
        small: Tensor,
        source: Tensor,
        source_jacobian: Tensor,
        driving: Tensor,
        driving_jacobian: Tensor,
    ) -> Tensor:
        return self.generator.drive(features, small, source, source_jacobian, driving, driving_jacobian)[0]


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
