"""The key point detector of the First Order Motion Model: where the parts of a picture are, and how they lie."""

import torch
from torch import Tensor, nn

from export.networks.motion_blocks import HourglassNetwork, Shrink, grid
from export.networks.motion_config import MotionConfig


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
