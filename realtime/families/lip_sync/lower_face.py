"""Where a lip-sync network's picture lies in the frame, and which part of it is taken: the lower face, softly.

Wav2Lip (Prajwal et al. 2020) cuts the detector's box, forehead to chin and ear to ear, with a little more below, and
scales it to a square without keeping its shape; the new square goes back as it is, which is why one sees it. Here the
box is drawn round the landmarks, turned upright with the head, and only what lies within the jaw is taken over.
"""

import math

import cv2
import numpy as np

from realtime.frame import Floats
from realtime.imaging.affine import Matrix, Points
from realtime.tracking.face import Face
from realtime.tracking.smoothing import MAX_STEP_S, OneEuro

BELOW = 0.06
"""More of the picture below the chin, in face heights: Wav2Lip's pad of 10 pixels on faces 170 pixels high."""

_PLACE = (1.0, 45.0, 1.0)  # as `smooth.WHOLE`: the box goes with the head
_EXTENT = (0.6, 1.5, 1.0)  # but does not breathe with the jaw
_ROLL = (1.0, 10.0, 1.0)

_EYE_OUTER = (33, 263)
_JAW = (323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93)
_NOSE_BASE = (98, 2, 327)
_CHIN = 152

_INWARD = 0.84
"""How far out the mask goes at the cheeks, of the way from the middle to the outline: its soft edge lies on skin."""
_DOWN = 0.03
"""And beyond the chin, in box heights: an opening mouth takes the chin lower."""
_SOFT = 0.035
"""The edge's Gaussian sigma, in sides of the crop."""
_BORDER = 0.04
"""The crop's own border, where what is taken fades out in any case, in its sides."""
_LOWEST = 0.92
"""How far down the mask's outline may go, in sides of the crop: its soft edge must end within."""


class FaceBox:
    """Follows one face's box: steady in size, quick in place. One person, frame by frame."""

    def __init__(self, *, upright: bool = True) -> None:
        """`upright` False: the box's sides stay parallel to the frame's, as upstream has it."""
        self._upright = upright
        self._track: int | None = None
        self._last_s = 0.0
        self._start()

    def _start(self) -> None:
        self._place, self._extent, self._roll = OneEuro(*_PLACE), OneEuro(*_EXTENT), OneEuro(*_ROLL)

    def __call__(self, face: Face, now_s: float, size: int, steadiness: float = 1.0) -> Matrix:
        """`crop_from_frame`, (2, 3) float64, for a crop of `size` x `size`: stretched, so no similarity.

        `now_s` is the picture's time in seconds. Another person or a jump in time starts afresh.
        """
        step_s = now_s - self._last_s
        if face.track != self._track or not 0.0 < step_s <= MAX_STEP_S:
            self._start()
            step_s = 0.0
        self._track, self._last_s = face.track, now_s
        points = np.asarray(face.landmarks[:, :2], np.float64)
        left, right = points[_EYE_OUTER[0]], points[_EYE_OUTER[1]]
        angle = math.atan2(right[1] - left[1], right[0] - left[0]) if self._upright else 0.0
        turned = self._roll(np.array([[math.cos(angle), math.sin(angle)]]), step_s, steadiness)[0]
        angle = math.atan2(turned[1], turned[0])
        unturn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        low, high = (points @ unturn.T).min(axis=0), (points @ unturn.T).max(axis=0)
        # `low` and `high` are pixels' centres; the box reaches to their outer edges.
        extent = np.maximum(high - low + 1.0, 2.0)
        extent[1] *= 1.0 + BELOW
        middle = low - 0.5 + 0.5 * extent
        unit = float(extent.mean())
        in_frame = self._place((unturn.T @ middle)[None], step_s, steadiness, unit=unit)[0]
        extent = self._extent(extent[None], step_s, steadiness, unit=unit)[0]
        scale = size / extent
        linear = scale[:, None] * unturn
        return np.column_stack([linear, 0.5 * size - 0.5 - linear @ in_frame])


def lower_mask(landmarks: Points, crop_from_frame: Matrix, size: int) -> Floats:
    """The lower face in the crop, (size, size) float32 0..1, soft, 0 at the crop's border and above the nose's base.

    `landmarks` is (478, 3) in frame pixels.
    """
    points = np.asarray(landmarks, np.float64)[:, :2] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    jaw, nose = points[list(_JAW)], points[list(_NOSE_BASE)]
    middle_x = float(nose[:, 0].mean())
    line_y = float(nose[:, 1].mean())
    jaw[:, 0] = middle_x + _INWARD * (jaw[:, 0] - middle_x)
    jaw[:, 1] = np.maximum(jaw[:, 1], line_y)
    drop = np.clip((jaw[:, 1] - line_y) / max(float(points[_CHIN, 1]) - line_y, 1e-6), 0.0, 1.0)
    jaw[:, 1] += _DOWN * size * drop
    jaw[:, 1] = np.minimum(jaw[:, 1], _LOWEST * size)
    outline = np.clip(np.concatenate([nose, jaw]) * 16.0, -(2**20), 2**20).astype(np.int32)
    drawn = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(drawn, cv2.convexHull(outline), 255, lineType=cv2.LINE_AA, shift=4)
    hard = np.multiply(drawn, np.float32(1.0 / 255.0), dtype=np.float32)
    soft = cv2.GaussianBlur(hard, (0, 0), max(_SOFT * size, 0.3), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(soft * _inner(size), np.float32)


def _inner(size: int) -> Floats:
    """1 within the crop, 0 at its border."""
    away = np.minimum(np.arange(size), np.arange(size)[::-1]) / max(_BORDER * size, 1.0)
    rise = np.clip(away, 0.0, 1.0).astype(np.float32)
    return np.asarray(rise[:, None] * rise[None, :], np.float32)
