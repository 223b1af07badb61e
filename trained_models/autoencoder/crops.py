"""How faces are cut for the swap network, as the live loop cuts them, and how much each pixel counts."""

from collections.abc import Callable

import cv2
import numpy as np

from realtime.frame import Doubles, Floats, Pixels
from realtime.imaging.align import crop_from_frame
from realtime.models.library import face_folder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder.dataset import WEIGHT_UNIT

FACE_TYPE = "whole_face"
COVERAGE = 1.75  # tighter than the face type's own 2.13: a fifth more pixels on the face, the open jaw still inside
SIZE = 160
FINE_SIZE = 240
MARGIN = 12

# MediaPipe's landmark numbers, and how much more than skin the region counts.
REGIONS: tuple[tuple[float, float, tuple[int, ...]], ...] = (
    (2.5, 0.035, (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)),
    (2.5, 0.035, (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)),
    (4.0, 0.030, (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)),
    (4.0, 0.030, (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)),
    (3.5, 0.035, (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)),
)
"""Brows, eyes, lips: weight, growth in crop sides, outline."""

FindOne = Callable[[Pixels], Face | None]


def finder() -> FindOne:
    """Finds the one face of a picture, with our own tracker."""
    cv2.setNumThreads(1)
    tracker = Tracker(face_folder(), provider="cpu")

    def find(pixels: Pixels) -> Face | None:
        found = tracker.find(np.ascontiguousarray(pixels))
        return found[0] if found else None

    return find


def importance(landmarks: Floats, crop_from_picture: Doubles, size: int) -> Pixels:
    """(size, size) uint8: how much each pixel's colour counts, in sixteenths, 16 for plain skin."""
    points = landmarks[:, :2] @ crop_from_picture[:, :2].T + crop_from_picture[:, 2]
    out = np.full((size, size), WEIGHT_UNIT, np.uint8)
    for weight, growth, outline in REGIONS:
        region = np.zeros((size, size), np.uint8)
        hull = cv2.convexHull(np.rint(points[list(outline)]).astype(np.int32))
        cv2.fillConvexPoly(region, hull, 1)
        reach = 2 * round(growth * size) + 1
        region = cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        out = np.maximum(out, region * np.uint8(weight * WEIGHT_UNIT))
    return out


def face_crop(landmarks: Floats, size: int = SIZE) -> Doubles:
    """(2, 3) from a picture to the crop of side `size`."""
    return crop_from_frame(landmarks, FACE_TYPE, size, coverage=COVERAGE)


def margin_crop(landmarks: Floats) -> Doubles:
    """(2, 3) from a picture to the crop of `SIZE` with `MARGIN` on all sides."""
    return np.asarray(face_crop(landmarks) + [[0, 0, MARGIN], [0, 0, MARGIN]])
