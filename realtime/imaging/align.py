"""Where the square crop around a face lies, by DeepFaceLab's conventions, and the landmark tables that it takes.

Networks trained in DeepFaceLab see what they were trained on: a least-squares similarity (Umeyama 1991) takes 33
landmarks onto `MEAN_FACE`'s unit square, and the crop is a larger square around that one, its centre moved for some
face types.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from realtime.errors import ConfigError
from realtime.imaging.affine import Matrix, Points, umeyama

MEAN_FACE_POINTS = (*range(17, 49), 54)
"""The iBUG numbers of `MEAN_FACE`'s rows: brows, nose, eyes and the mouth's two corners."""

MEAN_FACE: npt.NDArray[np.float64] = np.array(
    [
        # brow on the picture's left, 17-21, then on its right, 22-26
        (0.000213256, 0.106454), (0.0752622, 0.038915), (0.18113, 0.0187482), (0.29077, 0.0344891),
        (0.393397, 0.0773906),
        (0.586856, 0.0773906), (0.689483, 0.0344891), (0.799124, 0.0187482), (0.904991, 0.038915),
        (0.98004, 0.106454),
        # bridge of the nose, 27-30, and under it, 31-35
        (0.490127, 0.203352), (0.490127, 0.307009), (0.490127, 0.409805), (0.490127, 0.515625),
        (0.36688, 0.587326), (0.426036, 0.609345), (0.490127, 0.628106), (0.554217, 0.609345),
        (0.613373, 0.587326),
        # eye on the picture's left, 36-41, and on its right, 42-47
        (0.121737, 0.216423), (0.187122, 0.178758), (0.265825, 0.179852), (0.334606, 0.231733),
        (0.260918, 0.245099), (0.182743, 0.244077),
        (0.645647, 0.231733), (0.714428, 0.179852), (0.793132, 0.178758), (0.858516, 0.216423),
        (0.79751, 0.244077), (0.719335, 0.245099),
        # corners of the mouth, 48 and 54
        (0.254149, 0.780233), (0.726104, 0.780233),
    ]
)  # fmt: skip
"""(33, 2) float64: what DeepFaceLab aligns to (its `landmarks_2D_new`), in a unit square, y down.

The two halves are not mirror images (0.0002 and 0.98): kept as published.
"""

IBUG_68: tuple[tuple[int, int], ...] = (
    # jaw
    (127, 127), (234, 234), (93, 93), (132, 58), (58, 172), (136, 136), (150, 150), (176, 176), (152, 152),
    (400, 400), (379, 379), (365, 365), (288, 397), (361, 288), (323, 323), (454, 454), (356, 356),
    # brows
    (70, 70), (63, 63), (105, 105), (66, 66), (107, 55),
    (336, 285), (296, 296), (334, 334), (293, 293), (300, 300),
    # nose
    (168, 168), (197, 197), (5, 5), (4, 4), (98, 98), (97, 97), (2, 2), (326, 326), (327, 327),
    # eyes
    (33, 33), (160, 160), (158, 158), (133, 133), (153, 153), (144, 144),
    (362, 362), (385, 385), (387, 387), (263, 263), (373, 373), (380, 380),
    # lips, outer then inner
    (61, 61), (39, 39), (37, 37), (0, 0), (267, 267), (269, 269), (291, 291),
    (405, 405), (314, 314), (17, 17), (84, 84), (181, 181),
    (78, 78), (82, 82), (13, 13), (312, 312), (308, 308), (317, 317), (14, 14), (87, 87),
)  # fmt: skip
"""Which of MediaPipe's 478 landmarks stand for the 68 points of iBUG's 300-W annotation (Sagonas et al. 2013), in its
order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67; of two the mean is taken.

The brows' outer ends (70, 300), their inner ends and the nose's wings (98, 327) are those that fit `MEAN_FACE` best: on
MediaPipe's canonical head 0.019 rms, against 0.028 for the list most in use (71, 301, 107, 336, 75, 305), which makes
crops 2 % wider.
"""

FACE_OVAL: tuple[int, ...] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""MediaPipe's outline of the face, clockwise in the picture from the top of the forehead."""


@dataclass(frozen=True, slots=True)
class FaceType:
    """How much of a head a network sees. Lengths are in sides of `MEAN_FACE`'s unit square.

    `padding` is DeepFaceLab's own constant: the margin on each side is its √2-fold. `up` moves the centre
    towards the top of the head. `follows_yaw` moves it sideways with the turn of the head.
    """

    padding: float
    up: float = 0.0
    follows_yaw: bool = False

    @property
    def coverage(self) -> float:
        """The crop's side."""
        return 1.0 + 2.0 * math.sqrt(2.0) * self.padding


FACE_TYPES: Mapping[str, FaceType] = MappingProxyType(
    {
        "half": FaceType(0.0),
        "mid-full": FaceType(0.0675),
        "full": FaceType(0.2109375),
        "whole_face": FaceType(0.40, up=0.07),
        "head": FaceType(0.70, up=0.50, follows_yaw=True),
    }
)
"""By DeepFaceLab's names; the constants are those of its `LandmarksProcessor.py`."""

_FIRST, _SECOND = np.array(IBUG_68).T
_MEAN_FACE_ROWS = np.array(MEAN_FACE_POINTS)


def landmarks_68(landmarks478: Points) -> Matrix:
    """The 68 iBUG points out of MediaPipe's 478 (or 468), (68, 2) float64, in the same pixels."""
    xy = np.asarray(landmarks478, dtype=np.float64)[:, :2]
    both: Matrix = xy[_FIRST] + xy[_SECOND]
    return 0.5 * both


def crop_from_frame(landmarks: Points, face_type: str, size: int, *, coverage: float | None = None) -> Matrix:
    """The matrix that cuts this face as `face_type` wants it, into `size` x `size` pixels.

    `landmarks` is (478, 3) as in `Face`, or (68, 2) in iBUG's order. `coverage` replaces the face type's own
    (the crop's side in sides of the mean face's square); the centre stays where the face type has it.
    Coordinate (0, 0) is the centre of the corner pixel in the frame and in the crop, as in OpenCV and
    DeepFaceLab. Raises ConfigError for an unknown face type or an impossible size, ValueError for landmarks
    without extent.
    """
    kind = FACE_TYPES.get(face_type)
    if kind is None:
        raise ConfigError(f"unknown face type {face_type!r}: use one of {', '.join(FACE_TYPES)}")
    side = kind.coverage if coverage is None else coverage
    if size < 1 or not side > 0.0:
        raise ConfigError(f"a crop of {size} px covering {side} faces cannot be cut: both must be above 0")
    points = np.asarray(landmarks, dtype=np.float64)[:, :2]
    if len(points) != len(IBUG_68):
        points = landmarks_68(points)
    unit_from_frame = umeyama(points[_MEAN_FACE_ROWS], MEAN_FACE)
    x, y = 0.5, 0.5 - kind.up
    if kind.follows_yaw:
        yaw = _yaw(points @ unit_from_frame[:, :2].T)
        x += 0.5 * yaw * abs(math.tanh(2.0 * yaw))
    matrix = unit_from_frame
    matrix[:, 2] -= (x - 0.5 * side, y - 0.5 * side)
    matrix *= size / side
    return matrix


def _yaw(unit_points: Matrix) -> float:
    """How far the head is turned: twice what the nose's bridge lies off the jaw's middle, in unit squares.

    DeepFaceLab's estimate, from the three upper points on either side; about 0 from the front.
    """
    x = unit_points[:, 0]
    return float(np.mean(x[[16, 15, 14]] + x[[0, 1, 2]] - 2.0 * x[[27, 28, 29]]))
