"""How far the drawn identity is from the rendered one."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trained_models.autoencoder.network import Drawn
from trained_models.training.losses import edge_loss, structure_loss, weighted_mean

OUTSIDE = 0.03


@dataclass(frozen=True, slots=True)
class Shares:
    colour: float = 4.0
    structure: float = 1.0
    edges: float = 2.0
    mask: float = 0.5
    steady: float = 4.0
    fine: float = 1.0
    sharp: float = 0.01
    lips: float = 4.0
    readings: float = 4.0


SHARES = Shares()


def swap_loss(
    drawn: Drawn, target: Tensor, mask: Tensor, weight: Tensor, *, twins: bool = False
) -> tuple[Tensor, dict[str, float]]:
    """The loss, and its terms by name.

    `target` (N, 3, S, S) BGR 0..1; `mask` (N, 1, S, S) 0..1, where the identity's face is; `weight`
    (N, 1, S, S) >= 0, how much each pixel's colour matters (more on eyes, brows and mouth, nothing far
    outside the face). `twins`: two samples in a row are one moment before two cameras, to be drawn alike.
    """
    face = drawn.face.float()
    logits = drawn.mask.float()
    plain = weight
    # Outside the face any calm colour will do; with no say at all it can run away.
    weight = weight.clamp_min(OUTSIDE)
    # The tracker reads a half smile from a few pixels at the corners of the mouth: what counts more than
    # skin counts yet more, 2.5 -> 4, 3.5 -> 6.5, 4 -> 8.
    weight = weight * weight.clamp_min(1).sqrt()
    terms = {
        "colour": weighted_mean((face - target).abs(), weight),
        "structure": structure_loss(face, target, weight),
        "edges": edge_loss(face, target, weight),
        "mask": F.binary_cross_entropy_with_logits(logits, mask),
    }
    if twins:
        terms["steady"] = weighted_mean((face[0::2] - face[1::2]).abs(), plain[0::2])
    total = torch.stack([getattr(SHARES, name) * term for name, term in terms.items()]).sum()
    return total, {name: float(term.detach()) for name, term in terms.items()}


def fine_loss(face: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """How far the fine face is off: colour and edges. `weight` (N, 1, S, S) as in `swap_loss`, of the small face."""
    weight = F.interpolate(weight.clamp_min(OUTSIDE), face.shape[-2:], mode="nearest")
    weight = weight * weight.clamp_min(1).sqrt()
    return SHARES.colour * weighted_mean((face - target).abs(), weight) + SHARES.edges * edge_loss(face, target, weight)
