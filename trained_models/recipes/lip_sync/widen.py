"""A wider painter that draws what a trained one draws: the fine variant begins where the fast one ended.

After Net2Net (Chen et al. 2016): a wider layer's channels are copies of the narrow one's, and who reads a channel
reads its copies by shares that add up to one. A little noise makes copies learn different things.
"""

from typing import Any

import torch
from torch import Tensor, nn

from trained_models.recipes.lip_sync.network import FINE_WIDTHS, FINISH, Painter, Widths

NOISE = 0.03
"""Of a layer's weights, in their own standard deviations: what the first steps take back."""


def _copies(narrow: int, wide: int) -> Tensor:
    """(wide,) which narrow channel each wide one is: all in turn."""
    return torch.arange(wide) % narrow


def _set(layer: Any, given: Any, outs: Tensor, ins: Tensor, noise: torch.Generator | None) -> None:
    """A convolution's or linear layer's weights from a narrower one's; `ins`, `outs` as `_copies`."""
    shares = 1.0 / torch.bincount(ins).float()[ins]
    weight = given.weight[outs][:, ins] * shares.reshape(1, -1, *[1] * (given.weight.dim() - 2))
    if noise is not None:
        weight = weight + NOISE * weight.std() * torch.randn(weight.shape, generator=noise)
    layer.weight.copy_(weight)
    if given.bias is not None:
        layer.bias.copy_(given.bias[outs])


def _set_norm(layer: nn.BatchNorm2d, given: nn.BatchNorm2d, outs: Tensor) -> None:
    own, old = layer.state_dict(), given.state_dict()  # the tensors themselves, not copies
    for name in ("weight", "bias", "running_mean", "running_var"):
        own[name].copy_(old[name][outs])


@torch.no_grad()
def widened(given: Painter, widths: Widths = FINE_WIDTHS, finish: int = FINISH, noise_seed: int | None = 1) -> Painter:
    """A painter of `widths` that draws as `given` does, to rounding errors without noise. Raises ValueError."""
    if any(new < old for new, old in zip(widths, given.widths, strict=True)):
        raise ValueError(f"a painter of widths {given.widths} cannot be widened to {widths}")
    painter = Painter(widths, finish)
    noise = None if noise_seed is None else torch.Generator().manual_seed(noise_seed)
    a, b, c = (_copies(old, new) for old, new in zip(given.widths, widths, strict=True))
    old_a, old_b, _ = given.widths
    told = torch.arange(64)
    painter.told.load_state_dict(given.told.state_dict())

    def conv(new: Any, old: Any, outs: Tensor, ins: Tensor) -> None:
        _set(new[0], old[0], outs, ins, noise)
        _set_norm(new[1], old[1], outs)

    def tuned(new: Any, old: Any, outs: Tensor, ins: Tensor) -> None:
        _set(new.conv, old.conv, outs, ins, noise)
        _set_norm(new.norm, old.norm, outs)
        _set(new.scale, old.scale, outs, told, None)
        _set(new.shift, old.shift, outs, told, None)

    face = torch.arange(given.fine[0][0].in_channels)  # type: ignore[index]
    conv(painter.fine[0], given.fine[0], a, face)
    conv(painter.fine[1], given.fine[1], a, a)
    conv(painter.mid[0], given.mid[0], b, a)
    conv(painter.mid[1], given.mid[1], b, b)
    conv(painter.down, given.down, c, b)
    for new, old in zip(painter.deep, given.deep, strict=True):
        tuned(new, old, c, c)
    tuned(painter.mid_up, given.mid_up, b, torch.cat([b, old_b + c]))
    conv(painter.mid_more, given.mid_more, b, b)
    tuned(painter.fine_up, given.fine_up, a, torch.cat([a, old_a + b]))
    conv(painter.fine_more, given.fine_more, a, a)
    _set(painter.field, given.field, torch.arange(2), a, None)
    _set(painter.paint, given.paint, torch.arange(16), a, None)
    return painter
