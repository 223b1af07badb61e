"""A filmed mouth made ready for a lip-sync network: shut, and with the lips that the speaker has on average.

Lips that speak are thick and narrow in one frame, thin and wide in the next, shut or not; a network that moves the
frame's own pixels draws a mouth out of them that is as much wider or narrower. So the speaker's own words would show
through the new ones. The shut lips are brought to their mean shape of the last second, the skin about them goes along.
"""

import math

import cv2
import numpy as np

from realtime.families.lip_sync.close_mouth import shutting
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix
from realtime.tracking.face import Face
from realtime.tracking.smoothing import MAX_STEP_S

_LASTS_S = 1.0
"""How long a shape counts: words are shorter, and a head has turned by then."""
_FARTHEST, _LEAST = 0.06, 0.002
"""How far lips go, in sides of the crop, and from where on it is worth it."""
_ABOUT = 0.035
"""How far about the lips the skin goes along, in sides of the crop (a Gaussian's sigma)."""
_GRID = 32
_CORNERS = (0, 10)
"""Of a `lip_outline`."""


class SteadyLips:
    """Follows one speaker's lips, frame by frame."""

    def __init__(self) -> None:
        self._track: int | None = None
        self._last_s = 0.0
        self._seen = 0
        self._mean: Floats = np.zeros((0, 2), np.float32)

    def __call__(self, crop: Pixels, face: Face, crop_from_frame: Matrix, now_s: float) -> tuple[Pixels, Floats]:
        """`crop`, (S, S, 3), with lips that are shut and steady, and their outline in it, (40, 2) as `lip_outline`.

        `now_s` is the picture's time in seconds. Another person or a jump in time starts afresh.
        """
        size = crop.shape[0]
        from_y, outline = shutting(size, face.landmarks, crop_from_frame)
        wanted = self._steady(outline / np.float32(size), face.track, now_s) * np.float32(size)
        way = np.asarray(outline - wanted, np.float32)
        far = np.linalg.norm(way, axis=1, keepdims=True)
        way *= np.asarray(np.minimum(1.0, _FARTHEST * size / np.maximum(far, 1e-6)), np.float32)
        if float(far.max()) < _LEAST * size:
            way[:] = 0.0
        if from_y is None and not way.any():
            return crop, outline
        x = np.arange(size, dtype=np.float32)
        there = _spread(way, outline - way, size) + np.dstack(np.meshgrid(x, x))
        from_x, height = np.ascontiguousarray(there[..., 0]), np.ascontiguousarray(there[..., 1])
        if from_y is not None:  # where the shut mouth's pixels come from, at the places that the steady one asks for
            heights = cv2.remap(from_y, from_x, height, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            height = np.asarray(heights, np.float32)
        made = cv2.remap(crop, from_x, height, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(made, np.uint8), np.asarray(outline - way, np.float32)

    def _steady(self, outline: Floats, track: int, now_s: float) -> Floats:
        """The mean shape, about where the mouth is now; in sides of the crop."""
        middle = outline[list(_CORNERS)].mean(axis=0)
        step_s = now_s - self._last_s
        if track != self._track or not 0.0 < step_s <= MAX_STEP_S:
            self._seen, self._mean = 0, np.zeros_like(outline)
            step_s = 0.0
        self._track, self._last_s, self._seen = track, now_s, self._seen + 1
        # The first ones count alike: nobody knows which of them is the usual shape.
        newest = max(1.0 - math.exp(-step_s / _LASTS_S), 1.0 / self._seen)
        self._mean = self._mean + np.float32(newest) * (outline - middle - self._mean)
        return np.asarray(self._mean + middle, np.float32)


def _spread(ways: Floats, points: Floats, size: int) -> Floats:
    """(S, S, 2) ways that are `ways` at `points`, (40, 2) each, between them their mean, and nothing far away."""
    places = ((np.arange(_GRID) + 0.5) * size / _GRID - 0.5).astype(np.float32)
    off = -0.5 / (_ABOUT * size) ** 2
    across, down = (np.exp(off * (places[:, None] - points[:, k]) ** 2) for k in (0, 1))
    near = down[:, None] * across[None]  # (rows, columns, points): a Gaussian of both
    total = near.sum(axis=2, keepdims=True)
    grid = near @ ways / np.maximum(total, 1.0)
    return np.asarray(cv2.resize(grid.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
