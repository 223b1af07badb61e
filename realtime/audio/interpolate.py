"""Samples at times between samples."""

import numpy as np

from realtime.frame import Floats


def at_positions(samples: Floats, first: float, count: int) -> Floats:
    """`count` values of `samples` at first, first + 1, …: (count,) float32; 0 beyond its ends.

    Cubic through the four neighbours (Catmull and Rom, 1974): where `first` is whole, the samples themselves. For
    positions that creep, as those of two crystals do; a change of rate is `Resampler`'s.
    """
    whole = int(np.floor(first))
    t = first - whole
    if abs(t - round(t)) < 1e-4:  # under a hundred nanoseconds of 48 kHz's step: the clock's own rounding
        return _cut(samples, round(first), count)
    a, b, c, d = (_cut(samples, whole + k, count) for k in (-1, 0, 1, 2))
    weights = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1.0 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2.0 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    return np.asarray(weights[0] * a + weights[1] * b + weights[2] * c + weights[3] * d, np.float32)


def _cut(samples: Floats, first: int, count: int) -> Floats:
    out = np.zeros(count, np.float32)
    lo, hi = max(first, 0), min(first + count, len(samples))
    if hi > lo:
        out[lo - first : hi - first] = samples[lo:hi]
    return out
