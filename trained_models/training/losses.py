"""Losses between pictures, under weights."""

import torch.nn.functional as F
from torch import Tensor

# Wang et al. 2004: (0.01 L)^2 and (0.03 L)^2 for a range L of 1.
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def weighted_mean(x: Tensor, weight: Tensor) -> Tensor:
    """The mean of (N, C, H, W) under (N, 1, H, W) weights."""
    return (x * weight).sum() / (weight.sum() * x.shape[1] + 1e-6)


def structure_loss(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Half of 1 - SSIM (Wang et al. 2004) of the grey pictures. With flat 8x8 windows on every second pixel: enough for
    a loss, and cheap."""

    def mean(x: Tensor) -> Tensor:
        # Twice a small window is the 8x8 window on every second pixel, at a third of its cost.
        return F.avg_pool2d(F.avg_pool2d(x, 2), 4, 1)

    drawn, target = drawn.mean(1, keepdim=True), target.mean(1, keepdim=True)
    mu_d, mu_t = mean(drawn), mean(target)
    var_d = mean(drawn * drawn) - mu_d * mu_d
    var_t = mean(target * target) - mu_t * mu_t
    cov = mean(drawn * target) - mu_d * mu_t
    ssim = ((2 * mu_d * mu_t + SSIM_C1) * (2 * cov + SSIM_C2)) / (
        (mu_d * mu_d + mu_t * mu_t + SSIM_C1) * (var_d + var_t + SSIM_C2)
    )
    return weighted_mean((1 - ssim) / 2, mean(weight))


def edge_loss(drawn: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """How far neighbouring pixels' differences are off: what keeps lashes, brows and lips sharp."""
    error = drawn - target
    across = (error[..., :, 1:] - error[..., :, :-1]).abs()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs()
    return weighted_mean(across, weight[..., :, 1:]) + weighted_mean(down, weight[..., 1:, :])
