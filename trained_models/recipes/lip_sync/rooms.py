"""What rooms, microphones and lines do to a voice, done to mel windows: cheap enough to be drawn anew for each.

Echo and noise add up as power; a microphone's colour and the distance add up as decibels.
"""

import numpy as np
import numpy.typing as npt

from realtime.audio.mel import BANDS, RATE_HZ, WINDOW

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator

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
