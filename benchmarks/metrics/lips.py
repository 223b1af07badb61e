"""Whether a mouth moves with its voice and has the right shape: opening against speech envelope, lips against lips.

The offset mirrors what SyncNet tells (Chung and Zisserman, 2016) by plain correlation, without a network: the lag where
mouth and voice agree best, and how far it stands out of all other lags.
"""

from typing import Any

import numpy as np

from benchmarks.metrics import OUTER_EYES, Bools, Floats, Reals
from realtime.audio.source import SPEECH_HZ
from realtime.families.motion.mesh.head import INNER_LIPS, OUTER_LIPS, Head, read
from realtime.tracking.face import Face

LIPS = np.concatenate([OUTER_LIPS, INNER_LIPS])

FARTHEST = 15
"""Frames by which sound and mouth are shifted against each other at most."""

LEAST_SEEN = 10
"""Frames with a readable mouth that a figure needs."""

_LOW_HZ, _HIGH_HZ = 300.0, 3400.0
"""The band of a telephone: vowels, and little of breath and hum."""
_WINDOW_S = 0.100
_FLOOR_DB = 40.0
"""Below the loudest moment by this much is silence: how quiet a silence is says nothing of a mouth."""


def envelope(samples: Floats, times_s: Reals) -> Reals:
    """The level of speech about each of those seconds, (n,) decibels of full scale; `samples` are at 16 kHz, mono.

    The root mean square of 300 to 3400 Hz in windows of 100 ms about each time, no lower than 40 dB under the loudest.
    """
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hz = np.fft.rfftfreq(len(samples), 1 / SPEECH_HZ)
    spectrum[(hz < _LOW_HZ) | (hz > _HIGH_HZ)] = 0.0
    power = np.concatenate([[0.0], np.cumsum(np.fft.irfft(spectrum, len(samples)) ** 2)])
    half = 0.5 * _WINDOW_S
    low, high = (np.clip(((times_s + way) * SPEECH_HZ).round().astype(int), 0, len(samples)) for way in (-half, half))
    level = 10 * np.log10((power[high] - power[low]) / np.maximum(high - low, 1) + 1e-12)
    return np.asarray(np.maximum(level, level.max() - _FLOOR_DB))


def lip_offset(mouth: Reals, level: Reals, rate_hz: float) -> dict[str, Any]:
    """Offset, confidence and correlation of a mouth's opening with the envelope at the same frames, (n,) each.

    rho(lag) is Pearson's r of the mouth with the envelope `lag` frames before: a positive offset is a mouth that comes
    late. `confidence`: the highest rho less the median of all lags'. Frames without a face are left out.
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


def motion_at_rest(mouth: Reals, speaks: Bools, **still: Bools) -> dict[str, Any]:
    """How much a mouth moves where nobody speaks, in parts of its motion in speech: standard deviations of its opening.

    `still` names the frames (n,) of each kind of rest. The reader's own trembling is in it, and idle life's.
    """
    seen = {name: mouth[part & np.isfinite(mouth)] for name, part in {"speech": speaks, **still}.items()}
    if any(len(values) < LEAST_SEEN for values in seen.values()):
        return {"missing": "the reader saw the face in too few pictures"}
    moves = {name: float(values.std()) for name, values in seen.items()}
    if not moves["speech"] > 1e-4:
        return {"missing": "the mouth does not move in speech either"}
    return {n: round(v if n == "speech" else v / moves["speech"], 4) for n, v in moves.items()}


def lip_points(head: Head, face: Face | None) -> Reals:
    """(40, 2) the lips in parts of the outer-eye distance, pose taken out; not numbers without a face."""
    nowhere = np.full((len(LIPS), 2), np.nan)
    if face is None:
        return nowhere
    try:
        shape = read(head, face).shape
    except ValueError:
        return nowhere
    return np.asarray(shape[LIPS, :2] / np.linalg.norm(shape[OUTER_EYES[0]] - shape[OUTER_EYES[1]]))


def lip_shape_error(truth: Reals, drawn: Reals, speaks: Bools) -> dict[str, Any]:
    """How far drawn lips are from the true ones, (n, 40, 2) each, in percent of the outer-eye distance (300-W's NME).

    Over the frames that `speaks`, (n,) bool, marks; `at_rest`: what a mouth that never moved would have.
    """
    both = speaks & np.isfinite(truth).all(axis=(1, 2)) & np.isfinite(drawn).all(axis=(1, 2))
    if both.sum() < LEAST_SEEN:
        return {"missing": "too few frames show both mouths speaking"}
    true, off = truth[both], drawn[both] - truth[both]
    error, rest = _mean_length(off - off.mean(axis=0)), _mean_length(true - true.mean(axis=0))
    return {
        "frames": int(both.sum()),
        "nme": round(_mean_length(off), 2),
        "nme_without_constant": round(error, 2),
        "at_rest": round(rest, 2),
        "of_rest": round(error / max(rest, 1e-6), 3),
    }


def _mean_length(off: Reals) -> float:
    return float(100 * np.linalg.norm(off, axis=2).mean())
