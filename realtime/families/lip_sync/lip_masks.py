"""Where a face's lips are, drawn as two planes: what tells a lip-sync network how far a mouth is open already.

A network that was trained on rendered people knows a real mouth's shape less surely than the tracker does. The planes
are the tracker's own outlines, so they look the same for everybody: rendered, filmed, drawn or painted.
"""

import cv2
import numpy as np

from realtime.families.motion.mesh.points import INNER_LIPS, OUTER_LIPS
from realtime.frame import Floats
from realtime.imaging.affine import Matrix, Points

LIP_POINTS = np.concatenate([OUTER_LIPS, INNER_LIPS])
"""(40,) landmarks: the outer ring from the person's right corner over the upper lip and back, and the inner one."""
PLANES = 2
_HALF, _RING = 10, 20
_SHIFT = 4


def lip_outline(landmarks: Points, crop_from_frame: Matrix) -> Floats:
    """(40, 2) the lips' outlines in pixels of a crop, in the order of `LIP_POINTS`; `landmarks` (478, 2 or 3)."""
    points = np.asarray(landmarks, np.float64)[LIP_POINTS, :2]
    return np.asarray(points @ crop_from_frame[:, :2].T + crop_from_frame[:, 2], np.float32)


def lip_planes(outline: Floats, width: int, height: int) -> Floats:
    """(2, height, width) float32 0..1: the upper lip's skin and the lower lip's; `outline` (40, 2) as `lip_outline`.

    Between the two is the open mouth. What lies outside of the picture is left out.
    """
    held = np.clip(outline.astype(np.float64) * (1 << _SHIFT), -(2**20), 2**20).round().astype(np.int32)
    outer, inner = held[:_RING], held[_RING:]
    upper = np.concatenate([outer[: _HALF + 1], inner[_HALF::-1]])
    lower = np.concatenate([outer[_HALF:], outer[:1], inner[:1], inner[: _HALF - 1 : -1]])
    drawn = np.zeros((PLANES, height, width), np.uint8)
    for plane, ring in zip(drawn, (upper, lower), strict=True):
        cv2.fillPoly(plane, [ring], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
    return np.multiply(drawn, np.float32(1 / 255), dtype=np.float32)
