"""Whether a mouth moves with its voice: the mouth's opening against the speech's envelope, without a network.

Mirrors what SyncNet tells (Chung and Zisserman, 2016) by plain correlation: the lag where the two agree best, and how
far it stands out of all other lags.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.audio.source import SPEECH_HZ
from realtime.frame import Floats
from realtime.tracking.face import Face

Reals = npt.NDArray[np.float64]

UPPER_LIP, LOWER_LIP, OUTER_EYES = 13, 14, (33, 263)

FARTHEST = 15
"""Frames by which sound and mouth are shifted against each other at most."""

_LOW_HZ, _HIGH_HZ = 300.0, 3400.0
"""The band of a telephone: vowels, and little of breath and hum."""
_WINDOW_S = 0.100
_FLOOR_DB = 40.0
"""Below the loudest moment by this much is silence: how quiet a silence is says nothing of a mouth."""


def opening(face: Face | None) -> float:
    """How far the inner lips are apart, in outer-eye distances; not a number without a face."""
    if face is None:
        return float("nan")
    points = face.landmarks.astype(np.float64)
    eyes = float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
    return float(np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP])) / max(eyes, 1e-6)


def envelope(samples: Floats, times_s: Reals) -> Reals:
    """The level of speech about each of those seconds, (n,) decibels of full scale; `samples` are at 16 kHz, mono.

    The root mean square of 300 to 3400 Hz in windows of 100 ms about each time, no lower than 40 dB under the loudest.
    """
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hz = np.fft.rfftfreq(len(samples), 1 / SPEECH_HZ)
    spectrum[(hz < _LOW_HZ) | (hz > _HIGH_HZ)] = 0.0
    band = np.fft.irfft(spectrum, len(samples))
    power = np.concatenate([[0.0], np.cumsum(band**2)])
    half = 0.5 * _WINDOW_S
    low, high = (np.clip(((times_s + way) * SPEECH_HZ).round().astype(int), 0, len(samples)) for way in (-half, half))
    level = 10 * np.log10((power[high] - power[low]) / np.maximum(high - low, 1) + 1e-12)
    return np.asarray(np.maximum(level, level.max() - _FLOOR_DB))


def in_step(mouth: Reals, level: Reals, rate_hz: float) -> dict[str, Any]:
    """Offset, confidence and correlation of a mouth's opening with the envelope at the same frames, (n,) each.

    rho(lag) is Pearson's r of the mouth with the envelope `lag` frames before: a positive `offset_frames` is a mouth
    that comes late. `offset_ms` is its parabola's peak, finer than a frame. `confidence`: the highest rho less the
    median of all lags'. Frames without a face are left out.
    """
    lags = np.arange(-FARTHEST, FARTHEST + 1)
    rho = np.array([_r(mouth, level, lag) for lag in lags.tolist()])
    if np.isnan(rho).any():
        return {"missing": "the mouth does not move, or is seen in too few frames"}
    best = int(rho.argmax())
    fine = 0.0
    if 0 < best < len(lags) - 1:
        before, here, after = rho[best - 1 : best + 2]
        bend = before - 2 * here + after
        fine = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return {
        "offset_frames": int(lags[best]),
        "away_frames": abs(int(lags[best])),
        "offset_ms": round(1000 * float(lags[best] + fine) / rate_hz, 1),
        "correlation": round(float(rho[best]), 3),
        "correlation_unshifted": round(float(rho[FARTHEST]), 3),
        "confidence": round(float(rho[best] - np.median(rho)), 3),
    }


def _r(mouth: Reals, level: Reals, lag: int) -> float:
    """corr(mouth at t, level at t - lag) over the frames that have both."""
    a = mouth[lag:] if lag >= 0 else mouth[:lag]
    b = level[: len(level) - lag] if lag >= 0 else level[-lag:]
    seen = np.isfinite(a) & np.isfinite(b)
    a, b = a[seen], b[seen]
    if len(a) < 2 * FARTHEST or a.std() < 1e-6 or b.std() < 1e-6:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
