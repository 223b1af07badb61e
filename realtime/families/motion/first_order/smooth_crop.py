"""A square that follows a head slowly: what a motion model looks at, without trembling itself."""

import numpy as np

from realtime.families.motion.portrait import portrait_square
from realtime.imaging.affine import Points
from realtime.tracking.smoothing import MAX_STEP_S, OneEuro

FOLLOW = (0.25, 6.0, 1.0)
"""One-Euro of the square: lowest cutoff in Hz, Hz for each side a second, cutoff of the speed in Hz.

At rest the square hardly moves; a head that walks off is followed within a third of a second.
"""


class SteadySquare:
    """Where to look, from frame to frame."""

    def __init__(self) -> None:
        self._filter = OneEuro(*FOLLOW)
        self._last_s: float | None = None
        self._track: int | None = None

    def __call__(self, landmarks: Points, track: int, now_s: float) -> tuple[float, float, float]:
        """(x, y, side) in the landmarks' pixels. Another person, or a gap in time, starts afresh.

        Raises ValueError as `portrait_square`.
        """
        x, y, side = portrait_square(landmarks)
        step_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        if not 0 < step_s <= MAX_STEP_S or track != self._track:
            self._filter, self._track, step_s = OneEuro(*FOLLOW), track, 0.0
        steady = self._filter(np.array([[x, y, side]]), step_s, unit=side)[0]
        return float(steady[0]), float(steady[1]), float(steady[2])
