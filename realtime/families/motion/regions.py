"""Parts of an avatar's face as soft masks: what may change where only lips or eyes are to move."""

import cv2
import numpy as np

from realtime.families.motion.motion_model import Region
from realtime.frame import Floats
from realtime.imaging.affine import Matrix, Points
from realtime.imaging.align import IBUG_68

_FIRST = np.array([first for first, _ in IBUG_68])
_LIPS = (_FIRST[48:68],)
_EYES = (np.concatenate([_FIRST[36:42], _FIRST[17:22]]), np.concatenate([_FIRST[42:48], _FIRST[22:27]]))
_CHIN, _LOWER_LIP = 152, 17

GROWN = {"lips": 0.10, "eyes": 0.06}
"""How far a part's outline is pushed out, in face heights: lips open and brows rise beyond where they rest."""

SOFT = 0.03
"""The Gaussian sigma of the edges, in face heights."""

BORDER = 0.08
"""The width of a whole crop's soft border, in its sides."""


def border_mask(size: int, border: float = BORDER) -> Floats:
    """A whole crop, (size, size) float32: 1 within, falling to 0 at the edge over `border` sides (smoothstep)."""
    away = np.minimum(np.arange(size), np.arange(size)[::-1]) / (border * size)
    rise = np.clip(away, 0.0, 1.0)
    rise = rise * rise * (3.0 - 2.0 * rise)
    return np.ascontiguousarray(rise[:, None] * rise[None, :], dtype=np.float32)


def region_mask(landmarks: Points, crop_from_avatar: Matrix, size: int, region: Region) -> Floats:
    """Where a region of a face lies in a crop, (size, size) float32 0..1, soft, 0 at the crop's border.

    `landmarks` is (478, 3) in the avatar's pixels. Regions that are not parts of the face are the whole crop.
    """
    whole = border_mask(size)
    if region not in ("lips", "eyes"):
        return whole
    points = np.asarray(landmarks, np.float64)[:, :2] @ crop_from_avatar[:, :2].T + crop_from_avatar[:, 2]
    height = max(float(np.ptp(points[:, 1])), 1.0)
    drawn = np.zeros((size, size), np.uint8)
    for part in _LIPS if region == "lips" else _EYES:
        outline = points[part]
        if region == "lips":  # an opening jaw takes the chin with it
            outline = np.concatenate([outline, 0.35 * points[_LOWER_LIP : _LOWER_LIP + 1] + 0.65 * points[_CHIN]])
        hull = cv2.convexHull(np.clip(outline, -(2**15), 2**15).astype(np.float32)).astype(np.int32)
        cv2.fillConvexPoly(drawn, hull, 255)
    grow = 2 * round(GROWN[region] * height / 2) + 1
    wide = cv2.dilate(drawn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow, grow)))
    soft = cv2.GaussianBlur(wide.astype(np.float32) / 255.0, (0, 0), max(SOFT * height, 0.5))
    return np.asarray(soft * whole, np.float32)
