"""Dense motion: from a few moved key points to where every pixel of the source goes, and what is hidden."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.networks.motion_blocks import HourglassNetwork, Shrink, grid, inverse, product
from export.networks.motion_config import MotionConfig

HEAT_VARIANCE = 0.01
"""Variance of the blob drawn at a key point, in squared half picture sides (upstream's kp_variance)."""


def warp(features: Tensor, positions: Tensor, align_corners: bool) -> Tensor:
    """(N, C, H, W) looked up at (N, h, w, 2) positions, bilinearly, black outside -> (N, C, h, w)."""
    return F.grid_sample(features, positions, mode="bilinear", padding_mode="zeros", align_corners=align_corners)


class DenseMotion(nn.Module):
    """Small source picture and two sets of key points -> positions (N, h, w, 2), occlusion (N, 1, h, w), mask.

    State dict: the part `dense_motion_network.` of upstream's `generator`. `align_corners` is how positions
    become pixels: see `export.networks.first_order_motion`.
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
