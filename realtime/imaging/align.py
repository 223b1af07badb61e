"""The square around a face: where it lies, and cutting it out.

A crop is named by a matrix `crop_from_frame`, (2, 3) float64, that takes frame pixels to crop pixels; it is
always a similarity (turn, scale, shift). The conventions are DeepFaceLab's, so that networks trained there
see what they were trained on: a least-squares similarity (Umeyama 1991) takes 33 landmarks onto `MEAN_FACE`'s
unit square, and the crop is a larger square around that one, its centre moved for some face types.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import ConfigError
from realtime.frame import Pixels

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
"""(33, 2) float64. The two halves are not mirror images (0.0002 and 0.98): kept as published."""

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

FACE_OVAL: tuple[int, ...] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip


Matrix = npt.NDArray[np.float64]
"""(2, 3) float64, a similarity; named `to_from`."""

Points = npt.NDArray[np.floating[Any]]
"""(N, 2) or (N, 3), x and y first, in pixels."""

Border = Literal["black", "edge"]

Value = TypeVar("Value", np.uint8, np.float32)


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

_MOST_SHRINK = 64.0
"""A crop that shrinks the picture further sees less than a 4K frame's height in 34 pixels: nobody's face."""

_FIRST, _SECOND = np.array(IBUG_68).T
_MEAN_FACE_ROWS = np.array(MEAN_FACE_POINTS)


def umeyama(src: Points, dst: Points) -> Matrix:
    """The similarity that takes `src` onto `dst` with the least squared error, (2, 3) float64.

    Both are (N, 2), N >= 2. Never a mirror image. In the plane Umeyama's (1991) optimum has a closed form:
    the centred points taken as complex numbers, turn and scale are one factor, sum(conj(src) dst) /
    sum(|src|^2). Raises ValueError where all of `src` is one point or a value is not finite.
    """
    a = np.array(src, dtype=np.float64)
    b = np.array(dst, dtype=np.float64)
    a_mean, b_mean = a.mean(axis=0), b.mean(axis=0)
    a -= a_mean
    b -= b_mean
    spread = float((a * a).sum())
    if not spread > 0.0 or not np.isfinite(b).all():
        raise ValueError("no similarity: the points coincide or are not finite")
    real = float((a * b).sum()) / spread
    imag = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    (ax, ay), (bx, by) = a_mean.tolist(), b_mean.tolist()
    tx, ty = bx - real * ax + imag * ay, by - imag * ax - real * ay
    return np.array([[real, -imag, tx], [imag, real, ty]])


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


def invert(matrix: Matrix) -> Matrix:
    """`frame_from_crop` of a `crop_from_frame` (and the reverse), (2, 3) float64."""
    (a, b, tx), (c, d, ty) = matrix.tolist()
    det = a * d - b * c
    if det == 0.0 or not math.isfinite(det):
        raise ValueError("a matrix without an inverse")
    return np.array(
        [
            [d / det, -b / det, (b * ty - d * tx) / det],
            [-c / det, a / det, (c * tx - a * ty) / det],
        ]
    )


def cut(pixels: Pixels, crop_from_frame: Matrix, size: int, border: Border = "black") -> Pixels:
    """The crop, (size, size, 3) uint8 BGR, a new array. Beyond the frame is black, or its edge repeated."""
    return warp(pixels, crop_from_frame, size, size, border)


def warp(
    pixels: npt.NDArray[Value],
    to_from: Matrix,
    width: int,
    height: int,
    border: Border = "black",
    *,
    averaged: bool = True,
) -> npt.NDArray[Value]:
    """The picture seen through a similarity, (height, width) and as many channels as before, a new array.

    uint8 or float32. Bilinear; where it shrinks to a half or less, the picture is first `averaged`, halved until
    that is no longer so, so that fine detail does not flicker as the face moves. Where nothing of the picture
    can be seen the result is black, whatever the border.
    """
    shrink = min(1.0 / max(math.hypot(to_from[0, 0], to_from[1, 0]), 1e-6), _MOST_SHRINK)
    step = 1 << max(int(math.log2(shrink)), 0) if averaged else 1
    seen = _seen(pixels, to_from, width, height, step)
    if seen is None:
        return np.zeros((height, width, *pixels.shape[2:]), dtype=pixels.dtype)
    part, to_part = seen
    # OpenCV 5 warps four channels in half the time of three.
    three = pixels.dtype == np.uint8 and part.shape[2:] == (3,)
    source = cv2.cvtColor(part, cv2.COLOR_BGR2BGRA) if three else part
    mode = cv2.BORDER_CONSTANT if border == "black" else cv2.BORDER_REPLICATE
    out = cv2.warpAffine(source, to_part, (width, height), flags=cv2.INTER_LINEAR, borderMode=mode)
    if three:
        out = cv2.cvtColor(out, cv2.COLOR_BGRA2BGR)
    return np.asarray(out, dtype=pixels.dtype)


def _seen(
    pixels: npt.NDArray[Value], to_from: Matrix, width: int, height: int, step: int
) -> tuple[npt.NDArray[Value], Matrix] | None:
    """The part of the picture that a warp needs, averaged in blocks of `step`, and the matrix from there.

    None where the warp does not meet the picture. The blocks lie on a grid fixed to the picture: one that
    moved with the face would make the picture swim.
    """
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ invert(to_from).T
    # In blocks, with some more on each side for the bilinear neighbours; the last block may be ragged.
    corners /= step
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    rows, columns = pixels.shape[:2]
    x0, y0 = max(math.floor(left) - 1, 0), max(math.floor(top) - 1, 0)
    x1, y1 = min(math.ceil(right) + 2, -(-columns // step)), min(math.ceil(bottom) + 2, -(-rows // step))
    if x1 <= x0 or y1 <= y0:
        return None
    part = pixels[y0 * step : y1 * step, x0 * step : x1 * step]
    if step > 1:
        ragged_x, ragged_y = (x1 - x0) * step - part.shape[1], (y1 - y0) * step - part.shape[0]
        if ragged_x or ragged_y:
            padded = cv2.copyMakeBorder(part, 0, ragged_y, 0, ragged_x, cv2.BORDER_REPLICATE)
            part = np.asarray(padded, dtype=pixels.dtype)
        part = _blocks(part, step)
    # The centre of block i is at coordinate i * step + (step - 1) / 2.
    origin = np.array([x0, y0]) * step + 0.5 * (step - 1)
    linear = to_from[:, :2]
    return part, np.hstack([linear * step, (to_from[:, 2] + linear @ origin)[:, None]])


def _blocks(pixels: npt.NDArray[Value], step: int) -> npt.NDArray[Value]:
    """The mean of each block of `step` x `step` pixels, a power of two that divides both sides.

    Halved again and again: OpenCV averages blocks of 2 x 2 in a third of the time of larger ones.
    """
    while step > 1:
        rows, columns = pixels.shape[:2]
        small = cv2.resize(pixels, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        pixels = np.asarray(small, dtype=pixels.dtype)
        step //= 2
    return pixels
