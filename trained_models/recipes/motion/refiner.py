"""The network that refines what geometry drew, and its training: two small U-Nets, for a mouth's patch and an eye's.

Plain 3x3 convolutions at half of the patch's size and below; batch norms fold into them. What comes out is added to
the patch, so that a network that knows nothing changes nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from realtime.families.motion.mesh.refiner import SHADE_SIDE
from realtime.families.motion.mesh.source import EYE_CHANNELS, EYE_WINDOW, MOUTH_CHANNELS, MOUTH_WINDOW
from trained_models.recipes.lip_sync.network import Conv
from trained_models.recipes.motion.samples import Batch
from trained_models.training.ema import EmaTraining, Plan
from trained_models.training.losses import edge_loss, structure_loss, weighted_mean


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels at a half, a quarter and an eighth of the patch's size."""

    mouth: tuple[int, int, int] = (32, 56, 88)
    eyes: tuple[int, int, int] = (24, 40, 64)

    def as_dict(self) -> dict[str, list[int]]:
        return {"mouth": list(self.mouth), "eyes": list(self.eyes)}


class PatchNet(nn.Module):
    """(n, c, s, s) → (n, 3, s, s) of -1..1: what to add."""

    def __init__(self, channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.fine = nn.Sequential(Conv(4 * channels, a), Conv(a, a))
        self.mid = nn.Sequential(Conv(a, b, 2), Conv(b, b))
        self.deep = nn.Sequential(Conv(b, c, 2), Conv(c, c), Conv(c, c), Conv(c, b))
        self.mid_up = nn.Sequential(Conv(b, b), Conv(b, a))
        self.fine_up = Conv(a, a)
        self.last = nn.Conv2d(a, 12, 3, 1, 1)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(self, patch: Tensor) -> Tensor:
        fine = self.fine(F.pixel_unshuffle(patch, 2))
        mid = self.mid(fine)
        deep = self.deep(mid)
        mid = self.mid_up(mid + F.interpolate(deep, scale_factor=2.0, mode="nearest"))
        fine = self.fine_up(fine + F.interpolate(mid, scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.last(fine), 2)


class Refiner(nn.Module):
    """Both networks: `mouth` (1, 11, 112, 112) and `eyes` (2, 10, 64, 64) to what is to be added to each."""

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        self.widths = widths or Widths()
        self.mouth = PatchNet(MOUTH_CHANNELS, self.widths.mouth)
        self.eyes = PatchNet(EYE_CHANNELS, self.widths.eyes)

    def forward(self, mouth: Tensor, eyes: Tensor) -> tuple[Tensor, Tensor]:
        return self.mouth(mouth), self.eyes(eyes)


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


class RefinerTraining(EmaTraining):
    def __init__(self, plan: Plan = PLAN, widths: Widths | None = None) -> None:
        torch.manual_seed(plan.seed)
        network = Refiner(widths)
        rates = {"peak_rate": plan.peak_rate, "average": plan.average}
        super().__init__(network, **rates, form={"widths": network.widths.as_dict()})
        self.plan = plan

    def step(self, batch: Batch) -> dict[str, float]:
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
