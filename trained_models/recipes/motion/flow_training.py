"""The flow network that leads hair, neck and room, a U-Net of 64 cells (0.14 GFLOP), and its training.

The picture at rest, looked up where the network says, is compared with the truth.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from realtime.families.motion.mesh.flow import (
    CHANNELS,
    EDGE,
    FULL_RAD,
    FULL_SHIFT_CM,
    FULL_ZOOM,
    MAP_GAIN,
    POSE_GAIN,
    SHIFT_CM,
    SIDE,
)
from trained_models.recipes.motion.flow_samples import FlowBatch
from trained_models.training.ema import EmaTraining, Plan

PLAN = Plan(batch=12, steps=1500, peak_rate=2e-3, last_rate=2e-5, average=0.99, seed=7)
ROUGH = 0.15
"""What a step between neighbouring cells costs, against colour."""
WIDTHS = (16, 24, 32, 48)
REACH = 0.1
"""Of the crop's side, for an answer of 1."""


def _conv(taken: int, given: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(taken, given, 3, stride, 1), nn.LeakyReLU(0.1))


def _larger(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class FlowNetwork(nn.Module):
    """(n, 17, 64, 64) as `realtime.families.motion.mesh.flow.fill` makes it → (n, 2, 64, 64) sides of the crop."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.widths = widths
        self.e0 = _conv(CHANNELS, a)
        self.e1 = nn.Sequential(_conv(a, b, 2), _conv(b, b))
        self.e2 = nn.Sequential(_conv(b, c, 2), _conv(c, c))
        self.e3 = nn.Sequential(_conv(c, d, 2), _conv(d, d), _conv(d, d))
        self.d2, self.d1, self.d0 = _conv(d + c, c), _conv(c + b, b), _conv(b + a, a)
        self.out = nn.Conv2d(a, 2, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, fed: Tensor) -> Tensor:
        a: Tensor = self.e0(fed)
        b: Tensor = self.e1(a)
        c: Tensor = self.e2(b)
        y: Tensor = self.d2(torch.cat([_larger(self.e3(c)), c], 1))
        y = self.d1(torch.cat([_larger(y), b], 1))
        y = self.d0(torch.cat([_larger(y), a], 1))
        made: Tensor = self.out(y)
        return REACH * made


def _grid() -> Tensor:
    at = (torch.arange(SIDE) + 0.5) / SIDE
    down, across = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([across, down])[None]


def looked_up(picture: Tensor, where: Tensor) -> Tensor:
    """A picture (n, 3, h, w) at places (n, 2, h', w') in sides."""
    return F.grid_sample(picture, (where * 2 - 1).permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def fed(batch: FlowBatch) -> Tensor:
    """(n, 17, 64, 64) what `realtime.families.motion.mesh.flow.fill` makes, for a batch."""
    n, still, grid = len(batch.pose), F.avg_pool2d(batch.still, 2), _grid()
    pose = (batch.pose * torch.from_numpy(POSE_GAIN))[:, :, None, None].expand(n, 6, SIDE, SIDE)
    drawn = looked_up(still, batch.where)
    places = (2 * grid - 1).expand(n, 2, SIDE, SIDE)
    return torch.cat([still - 0.5, drawn - 0.5, (batch.where - grid) * MAP_GAIN, batch.face, pose, places], 1)


def counted(batch: FlowBatch) -> Tensor:
    """(n, 1, 64, 64) what `realtime.families.motion.mesh.flow.counted` says, for a batch."""
    grid, pose = _grid(), batch.pose
    window = ((torch.minimum(grid, 1 - grid).amin(1, keepdim=True) * SIDE - 0.5) / EDGE).clamp(0, 1)
    far = pose[:, :3].norm(dim=1) / FULL_RAD + pose[:, 3:5].norm(dim=1) * SHIFT_CM / FULL_SHIFT_CM
    amount = (far + pose[:, 5].abs() / FULL_ZOOM).clamp(0, 1)[:, None, None, None]
    return (1 - F.avg_pool2d(batch.face, 3, 1, 1, count_include_pad=False)) * window * amount


def errors(batch: FlowBatch, away: Tensor) -> tuple[Tensor, Tensor]:
    """The mean absolute error of colour outside the face, and how rough `away` (n, 2, 64, 64) is."""
    weight = (1 - _larger(batch.face)) * (batch.inside > 0.9)
    made = looked_up(batch.still, _larger(batch.where + away))
    colour = ((made - batch.truth).abs().mean(1, keepdim=True) * weight).mean()
    rough = (away[..., 1:] - away[..., :-1]).abs().mean() + (away[..., 1:, :] - away[..., :-1, :]).abs().mean()
    return colour, rough


class FlowTraining(EmaTraining[FlowNetwork]):
    """A flow network in training."""

    def __init__(self, plan: Plan = PLAN, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        torch.manual_seed(plan.seed)
        rates = {"peak_rate": plan.peak_rate, "average": plan.average}
        super().__init__(FlowNetwork(widths), **rates, form={"widths": list(widths)})
        self.plan = plan

    def step(self, batch: FlowBatch) -> dict[str, float]:
        """One step of the optimiser; the error of colour."""
        away = self.network(fed(batch)) * counted(batch)
        colour, rough = errors(batch, away)
        self.descend(colour + ROUGH * rough, self.plan.rate(self.step_number))
        return {"colour": float(colour.detach())}

    @torch.no_grad()
    def judge(self, held_out: FlowBatch) -> dict[str, float]:
        """The averaged network's error, and the mesh's alone."""
        away = self.averaged(fed(held_out)) * counted(held_out)
        made, mesh = errors(held_out, away)[0], errors(held_out, torch.zeros_like(away))[0]
        return {"colour": float(made), "mesh": float(mesh)}
