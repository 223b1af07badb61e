"""The training of the refiner: one step, exact to resume."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from realtime.families.motion.mesh.refiner import SHADE_SIDE
from realtime.families.motion.mesh.source import EYE_WINDOW, MOUTH_CHANNELS, MOUTH_WINDOW
from trained_models.recipes.motion.batches import Batch
from trained_models.recipes.motion.refiner_network import Refiner, Widths
from trained_models.training.ema import EmaTraining, Plan
from trained_models.training.losses import edge_loss, structure_loss, weighted_mean

PLAN = Plan(batch=8, steps=8000, peak_rate=2e-3, last_rate=5e-5, warm_up_steps=150, average=0.998)
"""`batch` mouths a step and twice as many eyes."""
OPENING, RED, ELSEWHERE = 5.0, 3.0, 1.0
"""How much a pixel counts: in an opening, on the lips or by the lids, in the rest of the window."""


def weights(guides: Tensor, window: Any) -> Tensor:
    """(n, 1, s, s) from guides (n, 2, s, s): the first one the opening, both together what is about it."""
    near = F.max_pool2d(guides.amax(1, keepdim=True), 9, 1, 4)
    opening = F.max_pool2d(guides[:, :1], 3, 1, 1)
    soft = torch.from_numpy(np.ascontiguousarray(window[None, None, :, :, 0]))
    return soft * (ELSEWHERE + (RED - ELSEWHERE) * near + (OPENING - RED) * opening)


def shaded(change: Tensor, opening: Tensor) -> Tensor:
    """What `realtime.families.motion.mesh.refiner.shaded` does, for a batch: `opening` (n, 1, s, s)."""

    def spread(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, SHADE_SIDE, 1, SHADE_SIDE // 2)

    smooth = spread(change * opening) / (spread(opening) + 1e-3)
    return change + opening * (smooth - change)


def patch_loss(fed: Tensor, change: Tensor, truth: Tensor, window: Any) -> tuple[Tensor, float]:
    """The loss of one kind of patch, and the plain weighted colour error."""
    if fed.shape[1] == MOUTH_CHANNELS:
        change = shaded(change.float(), fed[:, 6:7])
    soft = torch.from_numpy(np.ascontiguousarray(window[None, None, :, :, 0]))
    made = fed[:, :3] + change.float() * soft
    weight = weights(fed[:, 6:8], window)
    colour = weighted_mean((made - truth).abs(), weight)
    structure = structure_loss(made, truth, weight)
    edges = edge_loss(made, truth, weight)
    return 4 * colour + structure + 2 * edges, float(colour.detach())


class RefinerTraining(EmaTraining[Refiner]):
    """A refiner in training."""

    def __init__(self, plan: Plan = PLAN, widths: Widths | None = None) -> None:
        torch.manual_seed(plan.seed)
        network = Refiner(widths)
        rates = {"peak_rate": plan.peak_rate, "average": plan.average}
        super().__init__(network, **rates, form={"widths": network.widths.as_dict()})
        self.plan = plan

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; the errors."""
        fed = [t.contiguous(memory_format=torch.channels_last) for t in (batch.mouth_fed, batch.eye_fed)]
        with torch.autocast("cpu", torch.bfloat16):
            mouth, eyes = self.network(*fed)
        of_mouth, mouth_error = patch_loss(batch.mouth_fed, mouth, batch.mouth_truth, MOUTH_WINDOW)
        of_eyes, eye_error = patch_loss(batch.eye_fed, eyes, batch.eye_truth, EYE_WINDOW)
        loss = of_mouth + 0.7 * of_eyes
        self.descend(loss, self.plan.rate(self.step_number))
        return {"loss": float(loss.detach()), "mouth": mouth_error, "eyes": eye_error}

    @torch.no_grad()
    def judge(self, batch: Batch) -> dict[str, float]:
        """The averaged network's errors, and those of geometry alone."""
        mouth, eyes = self.averaged(batch.mouth_fed, batch.eye_fed)
        out = {}
        for name, fed, change, truth, window in (
            ("mouth", batch.mouth_fed, mouth, batch.mouth_truth, MOUTH_WINDOW),
            ("eyes", batch.eye_fed, eyes, batch.eye_truth, EYE_WINDOW),
        ):
            out[name] = patch_loss(fed, change, truth, window)[1]
            out[name + "_geometry"] = patch_loss(fed, torch.zeros_like(change), truth, window)[1]
        return out
