"""The training of the mending network: one step, exact to resume, and the run with its log and sheets."""

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

from realtime.families.motion.mesh.refiner import SHADE_SIDE
from realtime.families.motion.mesh.source import EYE_WINDOW, MOUTH_CHANNELS, MOUTH_WINDOW
from trained_models.recipes.autoencoder.losses import edge_loss, structure_loss, weighted_mean
from trained_models.recipes.averaged import AveragedTraining
from trained_models.recipes.motion.batches import Batch, Samples
from trained_models.recipes.motion.network import Mender, Widths

OPENING, RED, ELSEWHERE = 5.0, 3.0, 1.0
"""How much a pixel counts: in an opening, on the lips or by the lids, in the rest of the window."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`batch` mouths a step and twice as many eyes; the rate falls along a cosine over `steps`, then stays."""

    batch: int = 8
    steps: int = 8000
    peak_rate: float = 2e-3
    last_rate: float = 5e-5
    warm_up_steps: int = 150
    average: float = 0.998
    seed: int = 1

    def rate(self, step: int) -> float:
        """The learning rate at `step`."""
        warm = min(1.0, (step + 1) / self.warm_up_steps)
        fall = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return warm * (self.last_rate + (self.peak_rate - self.last_rate) * fall)


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


class Training(AveragedTraining[Mender]):
    """A network in training, its running average, and the optimiser."""

    def __init__(self, plan: Plan, widths: Widths | None = None) -> None:
        super().__init__(
            lambda: Mender(widths),
            seed=plan.seed,
            peak_rate=plan.peak_rate,
            average=plan.average,
            form={"widths": (widths or Widths()).as_dict()},
        )
        self.plan = plan

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; the errors."""
        rate = self.plan.rate(self.step_number)
        fed = [t.contiguous(memory_format=torch.channels_last) for t in (batch.mouth_fed, batch.eye_fed)]
        with torch.autocast("cpu", torch.bfloat16):
            mouth, eyes = self.network(*fed)
        of_mouth, mouth_error = patch_loss(batch.mouth_fed, mouth, batch.mouth_truth, MOUTH_WINDOW)
        of_eyes, eye_error = patch_loss(batch.eye_fed, eyes, batch.eye_truth, EYE_WINDOW)
        loss = of_mouth + 0.7 * of_eyes
        self.descend(loss, rate)
        return {"loss": float(loss.detach()), "mouth": mouth_error, "eyes": eye_error, "rate": rate}

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

    @torch.no_grad()
    def sheet(self, batch: Batch) -> Any:
        """Rows: at rest, as geometry draws it, mended, the truth; mouths, then eyes. (h, w, 3) uint8."""
        mouth, eyes = self.averaged(batch.mouth_fed, batch.eye_fed)
        blocks = []
        for fed, change, truth, window in (
            (batch.mouth_fed, mouth, batch.mouth_truth, MOUTH_WINDOW),
            (batch.eye_fed, eyes, batch.eye_truth, EYE_WINDOW),
        ):
            soft = torch.from_numpy(np.ascontiguousarray(window[None, None, :, :, 0]))
            if fed.shape[1] == MOUTH_CHANNELS:
                change = shaded(change, fed[:, 6:7])
            rows = [fed[:, 3:6], fed[:, :3], fed[:, :3] + change * soft, truth]
            block = np.vstack([np.hstack(list(r.clamp(0, 1).permute(0, 2, 3, 1).numpy())) for r in rows])
            blocks.append((block * 255).astype(np.uint8))
        width = blocks[0].shape[1]
        eyes_block = blocks[1]
        height = round(eyes_block.shape[0] * width / eyes_block.shape[1])
        return np.vstack([blocks[0], cv2.resize(eyes_block, (width, height))])


def train(
    samples: Samples, held_out: Batch, run: Path, plan: Plan, *, pause: Callable[[], bool] = lambda: False
) -> Training:
    """Train until `plan.steps`, with `run`/state.pt, log.csv and sheet.png; goes on where the last one stopped.

    `pause` is asked before each step and may wait; where it says True, or `run`/STOP appears, the run ends.
    """
    run.mkdir(parents=True, exist_ok=True)
    training = Training(plan)
    if (run / "state.pt").exists():
        training.load(run / "state.pt")
    sums: dict[str, float] = {}
    while training.step_number < plan.steps and not pause() and not (run / "STOP").exists():
        started = time.perf_counter()
        for name, value in training.step(samples.batch(training.step_number, plan.batch)).items():
            sums[name] = sums.get(name, 0.0) + value
        training.seconds += time.perf_counter() - started
        if training.step_number % 100 == 0:
            means = {name: total / 100 for name, total in sums.items()}
            sums.clear()
            _log(run / "log.csv", training, means | {f"held_{k}": v for k, v in training.judge(held_out).items()})
            training.save(run / "state.pt")
            if training.step_number % 500 == 0 or training.step_number == 100:
                cv2.imwrite(str(run / "sheet.png"), training.sheet(held_out))
    training.save(run / "state.pt")
    return training


def _log(path: Path, training: Training, values: dict[str, float]) -> None:
    row = {"step": training.step_number, "seconds": round(training.seconds, 1)} | {
        name: round(value, 6) for name, value in values.items()
    }
    new = not path.exists()
    with path.open("a", encoding="utf-8") as log:
        if new:
            log.write(",".join(row) + "\n")
        log.write(",".join(map(str, row.values())) + "\n")
