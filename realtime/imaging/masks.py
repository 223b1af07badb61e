"""Where the driver's own face is, drawn from its landmarks."""

import cv2
import numpy as np

from realtime.frame import Floats
from realtime.imaging.affine import Matrix, Points
from realtime.imaging.align import FACE_OVAL

_OVAL = np.array(FACE_OVAL)
_TOP, _CHIN = 10, 152

_FOREHEAD = 0.05
"""How far the upper half of the oval is stretched up, in face heights: more would paint skin over the hair."""

_COARSE = 4
"""The region is soft, so it is drawn at a quarter of the size: the cost of a large one is in the blur."""

_SOFT = 0.02
"""The edge's Gaussian sigma, in sides of the crop."""


def oval_mask(landmarks: Points, crop_from_frame: Matrix, size: int) -> Floats:
    """The driver's face with its forehead, (size, size) float32 0..1, soft at the edge.

    `landmarks` is (478, 3) in frame pixels. The region is convex, so that a turned head, whose outline folds
    over itself, leaves no hole. All zero where the face lies beside the crop.
    """
    points = np.asarray(landmarks, dtype=np.float64)[:, :2] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    up = points[_TOP] - points[_CHIN]
    height = max(float(np.hypot(*up)), 1e-6)
    oval = points[_OVAL]
    middle = 0.5 * (points[_TOP] + points[_CHIN])
    # 0 at the middle and below, 1 at the top of the forehead.
    rise = np.clip((oval - middle) @ up / (0.5 * height * height), 0.0, 1.0)
    oval = oval + (_FOREHEAD * rise)[:, None] * up
    coarse = max(size // _COARSE, 1)
    # Crop coordinate x is the centre of pixel x; cv2 takes 1/16 pixels with `shift`.
    scaled = ((oval + 0.5) * (coarse / size) - 0.5) * 16.0
    hull = cv2.convexHull(np.clip(scaled, -(2**20), 2**20).astype(np.int32))
    drawn = np.zeros((coarse, coarse), dtype=np.uint8)
    cv2.fillConvexPoly(drawn, hull, 255, lineType=cv2.LINE_AA, shift=4)
    hard = np.multiply(drawn, np.float32(1.0 / 255.0), dtype=np.float32)
    soft = cv2.GaussianBlur(hard, (0, 0), max(_SOFT * coarse, 0.3), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
