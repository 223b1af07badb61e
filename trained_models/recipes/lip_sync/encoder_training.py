"""The training of the audio encoder: windows of speech as rooms and microphones change it, and the mouths with them.

Echo and noise add up as power; a microphone's colour and the distance add up as decibels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from realtime.audio.mel import BANDS, RATE_HZ, WINDOW
from trained_models.recipes.lip_sync.network import CLOSERS, CODE, JAW, AudioEncoder
from trained_models.recipes.lip_sync.samples import BEFORE
from trained_models.recipes.lip_sync.spoken import Spoken
from trained_models.recipes.people.assets import Floats
from trained_models.training.ema import EmaTraining, Plan

Rng = np.random.Generator

PLAN = Plan(batch=64, steps=1600, peak_rate=1.5e-3, last_rate=1.5e-5, average=0.0)
MEASURED_FROM = 1_000_000  # batches from this number on are measured on, and no training comes that far

DB_A_STEP, FLOOR_DB = 100.0 / 8.0, -80.0
"""A mel value of -4 is -80 dB, and 8 more are 100 dB more (`realtime.audio.mel`)."""


def _curve(rng: Rng, count: int, tilt_db: float, waves_db: float) -> Floats:
    """(count, 80, 1) decibels: a slope and three slow waves over the bands."""
    x = np.linspace(-1, 1, BANDS)[None, :, None]
    out = rng.normal(0, tilt_db, (count, 1, 1)) * x
    for k in (1, 2, 3):
        turn = rng.uniform(0, 6.28, (count, 1, 1))
        out = out + rng.normal(0, waves_db / k, (count, 1, 1)) * np.sin(np.pi * k * x + turn)
    return out.astype(np.float32)


def _warped(mel: Floats, factors: Floats) -> Floats:
    """(n, 80, t) read at `factors` times their band: longer and shorter throats."""
    at = np.clip(np.arange(BANDS)[None] * factors[:, None], 0, BANDS - 1.001)
    low = at.astype(int)
    share = (at - low).astype(np.float32)[:, :, None]
    rows = np.arange(len(mel))[:, None]
    return np.asarray(mel[rows, low] * (1 - share) + mel[rows, low + 1] * share, np.float32)


def heard(mel: Floats, rng: Rng) -> Floats:
    """(n, 80, 16) windows as some microphone hears them, from (n, 80, 24 + 16) with what was before."""
    n, _, length = mel.shape
    mel = _warped(mel, np.exp(rng.normal(0, 0.09, n)).astype(np.float32))
    blurred = rng.random((n, 1, 1)) < 0.35  # breathy and hoarse voices have no harmonics
    soft = np.pad(mel, ((0, 0), (2, 2), (0, 0)), mode="edge")
    soft = np.stack([soft[:, k : k + BANDS] for k in range(5)]).mean(0)
    mel = np.where(blurred, soft, mel)
    db = mel * np.float32(DB_A_STEP) + np.float32(FLOOR_DB + 4 * DB_A_STEP)
    level = rng.uniform(-26, 10, (n, 1, 1))
    db = db + _curve(rng, n, 5.0, 4.0) + level
    db = db + rng.normal(0, 1, db.shape) * np.abs(rng.normal(0, 2.0, (n, 1, 1)))
    power = 10 ** (np.clip(db, -120, 60) / 10)
    lasts = rng.uniform(0.1, 0.6, (n, 1))
    keep = 10 ** (-6 / (lasts * RATE_HZ))
    amount = np.where(rng.random((n, 1)) < 0.5, 10 ** (rng.uniform(-16, -2, (n, 1)) / 10), 0.0)
    echo = np.zeros((n, BANDS))
    for t in range(length):
        echo = keep * echo
        here = power[:, :, t] + amount * echo
        echo = echo + (1 - keep) * power[:, :, t] * 6
        power[:, :, t] = here
    loud = 10 * np.log10(np.percentile(power.mean(1), 90, axis=1) + 1e-8)[:, None, None]
    # A window of silence has no level of its own: the voice's own level stands for it.
    loud = np.maximum(loud, level - 25)
    hiss = loud - rng.uniform(5, 45, (n, 1, 1)) + _curve(rng, n, 8.0, 4.0) + rng.normal(0, 2.5, power.shape)
    noisy = rng.random((n, 1, 1)) < 0.6
    power = power + np.where(noisy, 10 ** (hiss / 10), 0.0)
    out = (10 * np.log10(power + 1e-12) - FLOOR_DB - 4 * DB_A_STEP) / DB_A_STEP
    line = rng.random(n) < 0.08  # a telephone's band
    out[line, :14] -= 2.5
    out[line, 62:] -= 3.0
    return np.clip(out[:, :, -WINDOW:], -4, 4).astype(np.float32)


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

    def batch(self, number: int, count: int) -> tuple[Tensor, Tensor]:
        """Batch `number`: `count` windows as microphones hear them, (n, 1, 80, 16), and their codes."""
        rng = np.random.default_rng([1, number])
        mel, codes = self.at(rng.integers(BEFORE, len(self) - WINDOW, count))
        return torch.from_numpy(heard(mel, rng)[:, None]), torch.from_numpy(codes)


def encoder_loss(told: Tensor, truth: Tensor) -> Tensor:
    """The mean squared error, where lips meet and where nobody speaks more than elsewhere."""
    closed = truth[:, list(CLOSERS)].amax(1) > CLOSED
    silent = truth.amax(1) < 0.02
    weight = 1 + closed * (CLOSED_COUNTS - 1) + silent * (SILENT_COUNTS - 1)
    error = (told - truth) ** 2 * torch.from_numpy(COUNTS.astype(np.float32))
    return (error * weight[:, None]).mean()


@torch.no_grad()
def answers(encoder: AudioEncoder, said: Sayings) -> tuple[Tensor, Tensor]:
    """(3000, 12) what the encoder says of windows in rooms, and the truth."""
    batches = [said.batch(MEASURED_FROM + number, 250) for number in range(12)]
    return torch.cat([encoder(mel) for mel, _ in batches]), torch.cat([codes for _, codes in batches])


def correlations(encoder: AudioEncoder, said: Sayings) -> dict[str, float]:
    """By name: how the encoder's answers go with the truth."""
    a, t = (x.numpy() for x in answers(encoder, said))
    return {name: float(np.corrcoef(a[:, k], t[:, k])[0, 1]) for k, name in enumerate(CODE) if t[:, k].std() > 1e-3}


class EncoderTraining(EmaTraining):
    """An audio encoder in training; its average is its newest weights."""

    def __init__(self, plan: Plan = PLAN) -> None:
        torch.manual_seed(plan.seed)
        super().__init__(AudioEncoder(), peak_rate=plan.peak_rate, average=plan.average, weight_decay=0.02, clip=1.0)
        self.plan = plan

    def step(self, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
        mel, codes = batch
        loss = encoder_loss(self.network(mel), codes)
        self.descend(loss, self.plan.rate(self.step_number))
        return {"loss": float(loss.detach())}

    def judge(self, held_out: Sayings) -> dict[str, float]:
        """How the answers go with the truth: the jaw's, and the mean of all."""
        found = correlations(self.averaged, held_out)
        return {"jaw": found["jawOpen"], "mean": float(np.mean(list(found.values())))}
