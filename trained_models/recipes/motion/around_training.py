"""The training of the network for hair and neck: the picture at rest, looked up where it says, against the truth."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from realtime.families.motion.mesh.flow import (
    EDGE,
    FULL_RAD,
    FULL_SHIFT_CM,
    FULL_ZOOM,
    MAP_GAIN,
    POSE_GAIN,
    SHIFT_CM,
    SIDE,
)
from trained_models.recipes.averaged import AveragedTraining
from trained_models.recipes.motion.around_network import WIDTHS, AroundNetwork
from trained_models.recipes.motion.around_samples import AroundBatch, Sittings

ROUGH = 0.15
"""What a step between neighbouring cells costs, against colour."""


@dataclass(frozen=True, slots=True)
class AroundPlan:
    """`batch` moments a step; the rate falls along a cosine over `steps`."""

    batch: int = 12
    steps: int = 1500
    peak_rate: float = 2e-3
    warm_up_steps: int = 100
    average: float = 0.99
    seed: int = 7

    def rate(self, step: int) -> float:
        """The learning rate at `step`."""
        fall = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.peak_rate * min(1.0, (step + 1) / self.warm_up_steps) * max(fall, 0.01)


def _grid() -> Tensor:
    at = (torch.arange(SIDE) + 0.5) / SIDE
    down, across = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([across, down])[None]


def looked_up(picture: Tensor, where: Tensor) -> Tensor:
    """A picture (n, 3, h, w) at places (n, 2, h', w') in sides."""
    return F.grid_sample(picture, (where * 2 - 1).permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def fed(batch: AroundBatch) -> Tensor:
    """(n, 17, 64, 64) what `realtime.families.motion.mesh.flow.fill` makes, for a batch."""
    n, still, grid = len(batch.pose), F.avg_pool2d(batch.still, 2), _grid()
    pose = (batch.pose * torch.from_numpy(POSE_GAIN))[:, :, None, None].expand(n, 6, SIDE, SIDE)
    drawn = looked_up(still, batch.where)
    places = (2 * grid - 1).expand(n, 2, SIDE, SIDE)
    return torch.cat([still - 0.5, drawn - 0.5, (batch.where - grid) * MAP_GAIN, batch.face, pose, places], 1)


def counted(batch: AroundBatch) -> Tensor:
    """(n, 1, 64, 64) what `realtime.families.motion.mesh.flow.counted` says, for a batch."""
    grid, pose = _grid(), batch.pose
    window = ((torch.minimum(grid, 1 - grid).amin(1, keepdim=True) * SIDE - 0.5) / EDGE).clamp(0, 1)
    far = pose[:, :3].norm(dim=1) / FULL_RAD + pose[:, 3:5].norm(dim=1) * SHIFT_CM / FULL_SHIFT_CM
    amount = (far + pose[:, 5].abs() / FULL_ZOOM).clamp(0, 1)[:, None, None, None]
    return (1 - F.avg_pool2d(batch.face, 3, 1, 1, count_include_pad=False)) * window * amount


def _larger(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def errors(batch: AroundBatch, away: Tensor) -> tuple[Tensor, Tensor]:
    """The mean absolute error of colour outside the face, and how rough `away` (n, 2, 64, 64) is."""
    weight = (1 - _larger(batch.face)) * (batch.inside > 0.9)
    made = looked_up(batch.still, _larger(batch.where + away))
    colour = ((made - batch.truth).abs().mean(1, keepdim=True) * weight).mean()
    rough = (away[..., 1:] - away[..., :-1]).abs().mean() + (away[..., 1:, :] - away[..., :-1, :]).abs().mean()
    return colour, rough


class AroundTraining(AveragedTraining[AroundNetwork]):
    """A network in training, its running average, and the optimiser."""

    def __init__(self, plan: AroundPlan, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__(
            lambda: AroundNetwork(widths),
            seed=plan.seed,
            peak_rate=plan.peak_rate,
            average=plan.average,
            form={"widths": list(widths)},
        )
        self.plan = plan

    def step(self, batch: AroundBatch) -> float:
        """One step of the optimiser; the error of colour."""
        away = self.network(fed(batch)) * counted(batch)
        colour, rough = errors(batch, away)
        self.descend(colour + ROUGH * rough, self.plan.rate(self.step_number))
        return float(colour.detach())

    @torch.no_grad()
    def judge(self, batch: AroundBatch) -> tuple[float, float]:
        """The averaged network's error, and the mesh's alone."""
        away = self.averaged(fed(batch)) * counted(batch)
        return float(errors(batch, away)[0]), float(errors(batch, torch.zeros_like(away))[0])


def train_around(
    samples: Sittings, held_out: AroundBatch, run: Path, plan: AroundPlan, *, pause: Callable[[], bool] = lambda: False
) -> AroundTraining:
    """Train until `plan.steps`, with `run`/state.pt and log.csv; goes on where the last one stopped.

    Ends early where `pause` says True or `run`/STOP appears.
    """
    run.mkdir(parents=True, exist_ok=True)
    training = AroundTraining(plan)
    if (run / "state.pt").exists():
        training.load(run / "state.pt")
    total = 0.0
    while training.step_number < plan.steps and not pause() and not (run / "STOP").exists():
        started = time.perf_counter()
        total += training.step(samples.batch(training.step_number, plan.batch))
        training.seconds += time.perf_counter() - started
        if training.step_number % 100 == 0:
            made, mesh = training.judge(held_out)
            with (run / "log.csv").open("a", encoding="utf-8") as log:
                log.write(f"{training.step_number},{training.seconds:.0f},{total / 100:.5f},{made:.5f},{mesh:.5f}\n")
            total = 0.0
            training.save(run / "state.pt")
    training.save(run / "state.pt")
    return training
