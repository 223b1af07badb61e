"""Blinks found in a lid's series, and whether two videos blink together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

RISE = 0.3
"""A blink is a lid that closes by this much more than it usually is, on MediaPipe's scale of 0..1."""

FALL = 0.15
"""It is over when the lid is back within this much. Two thresholds, so that noise makes no second blink."""

WITHIN = 2
"""Frames that two blinks may lie apart and still be the same one."""


def blinks(lids: Reals) -> list[int]:
    """The frames at which the eyes are shut most, one a blink.

    `lids` is (T,): how far the lids are closed, 0..1, NaN where no face was read. What is usual is the median of the
    series itself, so that a narrow-eyed face is not taken for a blinking one. A blink cut off by the clip's end or
    by a lost face counts: its peak was seen.
    """
    known = lids[~np.isnan(lids)]
    if not len(known):
        return []
    usual = float(np.median(known))
    found: list[int] = []
    peak: int | None = None
    for n, closed in enumerate(lids - usual):
        if peak is None:
            peak = n if closed > RISE else None
        elif np.isnan(closed) or closed < FALL:
            found.append(peak)
            peak = None
        elif lids[n] > lids[peak]:
            peak = n
    return found if peak is None else [*found, peak]


def blink_match(driver: Sequence[int], output: Sequence[int], within: int = WITHIN) -> dict[str, Any]:
    """How many of the driver's blinks the output has, by greedy one-to-one pairs in time: counts, and F1.

    F1 = 2 both / (driver + output); None where neither blinks, because then nothing was tested.
    """
    left = list(output)
    both = 0
    for at in sorted(driver):
        near = [other for other in left if abs(other - at) <= within]
        if near:
            left.remove(min(near))
            both += 1
    return {"driver": len(driver), "output": len(output), "both": both, "f1": f1(both, len(driver), len(output))}


def f1(both: int, driver: int, output: int) -> float | None:
    """The harmonic mean of precision and recall from counts; None where there is nothing to find or found."""
    return round(2 * both / (driver + output), 3) if driver + output else None
