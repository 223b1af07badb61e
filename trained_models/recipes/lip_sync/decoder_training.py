"""The training of the decoder: one step, exact to resume."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trained_models.recipes.lip_sync.batches import Batch
from trained_models.recipes.lip_sync.network import WIDTHS, Decoder, Widths
from trained_models.training.ema import EmaTraining, Plan
from trained_models.training.losses import edge_loss, structure_loss, weighted_mean

PLAN = Plan(batch=8, steps=7000)
ALONE = 0.15
"""How much the moved face counts by itself, without what is painted: else all would be painted, and blurred."""
PAINT_COSTS = 0.001
EDGES = 3.0
LED = 1.0  # how much the field is led by the lips' corners, middles and outlines, whose way is known
SLIP = 0.03  # codes are learnt with this much noise: the encoder is never exact


def led(field: Tensor, points: Tensor, moves: Tensor) -> Tensor:
    """How far a field (n, 80, 128, 2) is from `moves` (n, 44, 2) at `points` (n, 44, 2), all in halves of the crop. The
    first four are known to be true, and count as much as the others together."""
    there = F.grid_sample(field.permute(0, 3, 1, 2), points[:, None], padding_mode="border", align_corners=False)
    off = (there[:, :, 0].transpose(1, 2) - moves).abs()
    return 0.5 * (off[:, :4].mean() + off[:, 4:].mean())


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch drawn: `made`, `painted` (n, 3, 80, 128), `seen` (n, 1, 80, 128); `loss`, and `errors` to be told."""

    made: Tensor
    painted: Tensor
    seen: Tensor
    loss: Tensor
    errors: dict[str, float]


class DecoderTraining(EmaTraining):
    def __init__(self, plan: Plan = PLAN, widths: Widths = WIDTHS, finish: int = 0) -> None:
        torch.manual_seed(plan.seed)
        super().__init__(Decoder(widths, finish), peak_rate=plan.peak_rate, average=plan.average)
        self.plan = plan

    def step(self, batch: Batch) -> dict[str, float]:
        drawn = self.drawn(batch)
        self.descend(drawn.loss, self.plan.rate(self.step_number))
        return {"loss": float(drawn.loss.detach()), **drawn.errors}

    def drawn(self, batch: Batch) -> Drawn:
        """What the decoder makes of a batch, and how far it is off."""
        noise = torch.randn(batch.codes.shape, generator=torch.Generator().manual_seed(self.step_number))
        shown = batch.shown.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            told = (batch.codes + SLIP * noise).clamp(0, 1)
            moved, painted, seen, field = (x.float() for x in self.network.parts(shown, batch.lips, told))
        made = moved + seen * (painted - moved)
        colour = weighted_mean((made - batch.truth).abs(), batch.weight)
        alone = weighted_mean((moved - batch.truth).abs(), batch.weight)
        loss = 4 * colour + structure_loss(made, batch.truth, batch.weight)
        loss = loss + EDGES * edge_loss(made, batch.truth, batch.weight) + 4 * ALONE * alone + PAINT_COSTS * seen.mean()
        loss = loss + LED * led(field, batch.points, batch.moves)
        errors = {"colour": float(colour.detach()), "seen": float(seen.detach().mean())}
        return Drawn(made, painted, seen, loss, errors)

    def begin(self, network: Decoder) -> None:
        """Start from these weights. Raises ValueError where they are of other widths."""
        given, own = ((d.widths, d.finish) for d in (network, self.network))
        if given != own:
            raise ValueError(f"a decoder of widths {given} cannot start one of {own}")
        super().begin(network)

    @torch.no_grad()
    def judge(self, batch: Batch) -> dict[str, float]:
        """The averaged decoder's weighted colour error, and that of leaving the face as it was."""
        made = self.averaged(batch.shown, batch.lips, batch.codes)
        return {
            "colour": float(weighted_mean((made - batch.truth).abs(), batch.weight)),
            "untouched": float(weighted_mean((batch.shown - batch.truth).abs(), batch.weight)),
        }
