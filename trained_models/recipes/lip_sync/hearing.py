"""The training of the ear: windows of sound from hours of espeak-ng, in all rooms, and the mouths that go with them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from realtime.audio.mel import WINDOW
from trained_models.recipes.lip_sync.mouth_code import CLOSERS, CODE, JAW
from trained_models.recipes.lip_sync.network import Ear
from trained_models.recipes.lip_sync.rooms import heard
from trained_models.recipes.lip_sync.spoken import Spoken
from trained_models.recipes.lip_sync.takes import BEFORE
from trained_models.recipes.people.assets import Floats

COUNTS = np.array(
    [1.6 if k == JAW else 0.5 if name in ("tongueOut", "mouthShrugUpper") else 1.0 for k, name in enumerate(CODE)]
)
CLOSED, CLOSED_COUNTS, SILENT_COUNTS = 0.12, 2.5, 1.5
"""Lips that meet, and silence, count more than their share: viewers see at once where they fail."""


class Sayings:
    """Speech end to end in one strip, and windows out of it."""

    def __init__(self, said: Sequence[Spoken]) -> None:
        self.mel = np.concatenate([s.mel for s in said], 1)
        self.codes = np.concatenate([s.codes for s in said])

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, starts: Any) -> tuple[Floats, Floats]:
        """(n, 80, 40) windows with what was before, and (n, 12) codes."""
        places = np.asarray(starts)[:, None] + np.arange(-BEFORE, WINDOW)
        return np.ascontiguousarray(self.mel[:, places].transpose(1, 0, 2)), self.codes[np.asarray(starts)]

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """`count` windows as microphones hear them, (n, 1, 80, 16), and their codes."""
        mel, codes = self.at(rng.integers(BEFORE, len(self) - WINDOW, count))
        return torch.from_numpy(heard(mel, rng)[:, None]), torch.from_numpy(codes)


@dataclass(frozen=True, slots=True)
class Plan:
    """The rate falls along a cosine over `steps`."""

    batch: int = 64
    steps: int = 1600
    peak_rate: float = 1.5e-3
    warm_up_steps: int = 100
    seed: int = 1

    def rate(self, step: int) -> float:
        """The learning rate at `step`."""
        fall = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return min(1.0, (step + 1) / self.warm_up_steps) * self.peak_rate * max(fall, 0.01)


def ear_loss(told: Tensor, truth: Tensor) -> Tensor:
    """The mean squared error, where lips meet and where nobody speaks more than elsewhere."""
    closed = truth[:, list(CLOSERS)].amax(1) > CLOSED
    silent = truth.amax(1) < 0.02
    weight = 1 + closed * (CLOSED_COUNTS - 1) + silent * (SILENT_COUNTS - 1)
    error = (told - truth) ** 2 * torch.from_numpy(COUNTS.astype(np.float32))
    return (error * weight[:, None]).mean()


def correlations(ear: Ear, said: Sayings, seed: int = 5, count: int = 3000) -> dict[str, float]:
    """By name: how the ear's answers go with the truth, in rooms."""
    rng = np.random.default_rng(seed)
    answers, truths = [], []
    with torch.no_grad():
        for _ in range(0, count, 250):
            mel, codes = said.batch(rng, 250)
            answers.append(ear(mel).numpy())
            truths.append(codes.numpy())
    a, t = np.concatenate(answers), np.concatenate(truths)
    return {name: float(np.corrcoef(a[:, k], t[:, k])[0, 1]) for k, name in enumerate(CODE) if t[:, k].std() > 1e-3}


def train_ear(
    said: Sayings,
    held: Sayings,
    run: Path,
    plan: Plan = Plan(),
    *,
    begin: Ear | None = None,
    pause: Callable[[], bool] = lambda: False,
) -> Ear:
    """Train until `plan.steps` with `run`/ear.pt, ear.csv; goes on where the last run stopped, ends at `run`/STOP.

    A run that has not begun starts from `begin`'s weights, if given.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    ear = Ear().train()
    optimizer = torch.optim.AdamW(ear.parameters(), lr=plan.peak_rate, weight_decay=0.02)
    step, seconds, file = 0, 0.0, run / "ear.pt"
    if file.exists():
        state = torch.load(file, weights_only=True)
        ear.load_state_dict(state["ear"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds = int(state["step"]), float(state["seconds"])
    elif begin is not None:
        ear.load_state_dict(begin.state_dict())
    sums = 0.0

    def save() -> None:
        part = file.with_suffix(".part")
        kept = {"ear": ear.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
        torch.save(kept, part)
        part.replace(file)

    while step < plan.steps and not pause() and not (run / "STOP").exists():
        started = time.thread_time()
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        mel, codes = said.batch(np.random.default_rng([plan.seed, step]), plan.batch)
        loss = ear_loss(ear(mel), codes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
        optimizer.step()
        step, sums, seconds = step + 1, sums + float(loss.detach()), seconds + time.thread_time() - started
        if step % 250 == 0:
            found = correlations(ear.eval(), held)
            ear.train()
            with (run / "ear.csv").open("a", encoding="utf-8") as log:
                mean = np.mean(list(found.values()))
                log.write(f"{step},{seconds:.0f},{sums / 250:.5f},{found['jawOpen']:.3f},{mean:.3f}\n")
            sums = 0.0
            save()
    save()
    return ear.eval()
