"""The training of the painter: one step, exact to resume, and the run with its log and sheets."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trained_models.recipes.autoencoder.losses import edge_loss, structure_loss, weighted_mean
from trained_models.recipes.averaged import AveragedTraining
from trained_models.recipes.lip_sync.batches import Batch, Samples
from trained_models.recipes.lip_sync.network import WIDTHS, Painter, Widths

ALONE = 0.15
"""How much the moved face counts by itself, without what is painted: else all would be painted, and blurred."""
PAINT_COSTS = 0.001
EDGES = 3.0
LED = 1.0
"""How much the field is led by the lips' corners, middles and outlines, whose way is known."""
SLIP = 0.03
"""Codes are learnt with this much noise: the ear is never exact."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rate falls along a cosine over `steps`, then stays."""

    batch: int = 8
    steps: int = 4000
    peak_rate: float = 2e-3
    last_rate: float = 5e-5
    warm_up_steps: int = 100
    average: float = 0.997
    seed: int = 1
    widths: Widths = WIDTHS
    finish: int = 0

    def rate(self, step: int) -> float:
        """The learning rate at `step`."""
        warm = min(1.0, (step + 1) / self.warm_up_steps)
        fall = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return warm * (self.last_rate + (self.peak_rate - self.last_rate) * fall)


def led(field: Tensor, points: Tensor, moves: Tensor) -> Tensor:
    """How far a field (n, 80, 128, 2) is from `moves` (n, 44, 2) at `points` (n, 44, 2), all in halves of the crop.

    The first four are known to be true, and count as much as the others together.
    """
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


class Training(AveragedTraining[Painter]):
    """A painter in training, its running average, and the optimiser."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            lambda: Painter(plan.widths, plan.finish), seed=plan.seed, peak_rate=plan.peak_rate, average=plan.average
        )
        self.plan = plan

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; the errors."""
        rate = self.plan.rate(self.step_number)
        drawn = self.drawn(batch)
        self.descend(drawn.loss, rate)
        return {"loss": float(drawn.loss.detach()), **drawn.errors, "rate": rate}

    def drawn(self, batch: Batch) -> Drawn:
        """What the painter makes of a batch, and how far it is off."""
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

    def begin(self, painter: Painter) -> None:
        """Start from these weights. Raises ValueError where they are of other widths."""
        given, own = ((p.widths, p.finish) for p in (painter, self.network))
        if given != own:
            raise ValueError(f"a painter of widths {given} cannot start one of {own}")
        for network in (self.network, self.averaged):
            network.load_state_dict(painter.state_dict())

    @torch.no_grad()
    def judge(self, batch: Batch) -> dict[str, float]:
        """The averaged painter's weighted colour error, and that of leaving the face as it was."""
        made = self.averaged(batch.shown, batch.lips, batch.codes)
        return {
            "colour": float(weighted_mean((made - batch.truth).abs(), batch.weight)),
            "untouched": float(weighted_mean((batch.shown - batch.truth).abs(), batch.weight)),
        }

    @torch.no_grad()
    def sheet(self, batch: Batch) -> Any:
        """Rows: as shown, moved, painted over, the truth, what is painted. (h, w, 3) uint8."""
        moved, painted, seen, _ = self.averaged.parts(batch.shown, batch.lips, batch.codes)
        made = moved + seen * (painted - moved)
        rows = (batch.shown, moved, made, batch.truth, seen.expand(-1, 3, -1, -1))
        strips = [np.hstack(list(r.clamp(0, 1).permute(0, 2, 3, 1).numpy())) for r in rows]
        return (np.vstack(strips) * 255).astype(np.uint8)


def train(
    load: Callable[[], Samples],
    held: Batch,
    run: Path,
    plan: Plan,
    *,
    begin: Painter | None = None,
    pause: Callable[[], bool] = lambda: False,
    make: Callable[[Plan], Training] = Training,
    name: str = "painter",
) -> Training:
    """Train until `plan.steps`, with `run`/painter.pt, .csv and .png (or `name`); goes on where the last one stopped.

    A run that has not begun starts from `begin`'s weights, if given. `load` gives the samples, and is asked again
    every 200 steps, since more may be rendered meanwhile. `pause` is asked before each step and may wait; where it says
    True, or `run`/STOP appears, the run ends.
    """
    run.mkdir(parents=True, exist_ok=True)
    training, file = make(plan), run / f"{name}.pt"
    if file.exists():
        training.load(file)
    elif begin is not None:
        training.begin(begin)
    samples, sums = load(), dict[str, float]()
    while training.step_number < plan.steps and not pause() and not (run / "STOP").exists():
        if training.step_number % 200 == 199:
            samples = load()
        started = time.thread_time()
        for error, value in training.step(samples.batch(training.step_number, plan.batch)).items():
            sums[error] = sums.get(error, 0.0) + value
        training.seconds += time.thread_time() - started
        if training.step_number % 100 == 0:
            means = {error: total / 100 for error, total in sums.items()}
            sums.clear()
            row = {"step": float(training.step_number), "seconds": training.seconds, "samples": float(len(samples))}
            row |= means | {f"held_{k}": v for k, v in training.judge(held).items()}
            with file.with_suffix(".csv").open("a", encoding="utf-8") as log:
                if log.tell() == 0:
                    log.write(",".join(row) + "\n")
                log.write(",".join(f"{v:.5g}" for v in row.values()) + "\n")
            training.save(file)
            cv2.imwrite(str(file.with_suffix(".png")), training.sheet(held))
    training.save(file)
    return training
