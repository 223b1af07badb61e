"""Similarities of the plane, and pictures seen through them.

A matrix is (2, 3) float64 and named `to_from`: `crop_from_frame` takes frame pixels to crop pixels. Coordinate (0, 0)
is the centre of the corner pixel, as in OpenCV and DeepFaceLab.
"""

import math
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels

Matrix = npt.NDArray[np.float64]
"""(2, 3) float64, a similarity; named `to_from`."""

Points = npt.NDArray[np.floating[Any]]
"""(N, 2) or (N, 3), x and y first, in pixels."""

Border = Literal["black", "edge"]

Value = TypeVar("Value", np.uint8, np.float32)

# A crop that shrinks the picture further sees less than a 4K frame's height in 34 pixels: nobody's face.
_MOST_SHRINK = 64.0


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


def invert(matrix: Matrix) -> Matrix:
    """`frame_from_crop` of a `crop_from_frame` (and the reverse), (2, 3) float64."""
    (a, b, tx), (c, d, ty) = matrix.tolist()
    det = a * d - b * c
    if det == 0.0 or not math.isfinite(det):
        raise ValueError("a matrix without an inverse")
    inverse: Matrix = np.array([[d, -b, b * ty - d * tx], [-c, a, c * tx - a * ty]]) / det
    return inverse


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
    shift = whole_shift(to_from)
    if shift is not None:
        x, y = shift
        if x >= 0 and y >= 0 and y + height <= pixels.shape[0] and x + width <= pixels.shape[1]:
            return np.array(pixels[y : y + height, x : x + width], order="C")
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


def whole_shift(to_from: Matrix) -> tuple[int, int] | None:
    """(x, y) that stands in the corner, where a matrix only moves by whole pixels; else None."""
    x, y = (-to_from[:, 2]).tolist()
    whole = np.array_equal(to_from[:, :2], np.eye(2)) and x.is_integer() and y.is_integer()
    return (int(x), int(y)) if whole else None


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
