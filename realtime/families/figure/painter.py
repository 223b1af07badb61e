"""Draws deformed pictures onto a frame: triangles, layers and what lies over what.

Every triangle's number is filled into a byte picture; a pixel's number then gives the affine map into the texture. That
is one `remap` a run of triangles, whatever their number.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.families.figure.mesh import Picture
from realtime.frame import Doubles, Ints, Pixels
from realtime.imaging.mesh_warp import affine_maps

_OUTSIDE = -9.0  # texture coordinates of pixels in no triangle: beyond the picture, where it is transparent
_SUBPIXEL_BITS = 4
_FARTHEST_PX = 2.0**15 / 2  # of a corner from the frame: OpenCV's own limit with these bits


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Up to MOST_TRIANGLES triangles of one picture that are drawn at once.

    `triangles` (M, 3) number the vertices; `corners` (M, 3, 2) are where they lie in `picture`.
    """

    picture: Picture
    triangles: Ints
    corners: Doubles


class Painter:
    """Draws runs into frames of one size, with scratch pictures that it keeps. For one thread."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._width, self._height = size
        self._number = np.zeros((self._height, self._width), np.uint8)
        self._xs = np.arange(self._width, dtype=np.float32)[None]
        self._ys = np.arange(self._height, dtype=np.float32)[:, None]

    def draw(self, frame: Pixels, run: Run, vertices: Doubles) -> None:
        """Lay a run over `frame`, in place, its vertices (N, 2) at these places; beside the frame it is cut off."""
        corners = vertices[run.triangles]
        if not np.isfinite(corners).all():
            return
        corners = np.clip(corners, -_FARTHEST_PX, _FARTHEST_PX)
        low = np.floor(corners.min(axis=(0, 1))).astype(int) - 1
        high = np.ceil(corners.max(axis=(0, 1))).astype(int) + 2
        (x0, y0), (x1, y1) = np.maximum(low, 0).tolist(), np.minimum(high, (self._width, self._height)).tolist()
        if x1 <= x0 or y1 <= y0:
            return
        corners = corners - (x0, y0)
        number = self._number[: y1 - y0, : x1 - x0]
        number[:] = 0
        fixed = np.round(corners * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        for k, triangle in enumerate(fixed, start=1):
            cv2.fillConvexPoly(number, triangle, k, cv2.LINE_8, _SUBPIXEL_BITS)
        table = np.zeros((6, 256), np.float32)
        table[[2, 5]] = _OUTSIDE
        table[:, 1 : len(corners) + 1] = affine_maps(corners, run.corners)[:, :-1]
        look = [np.asarray(cv2.LUT(number, row), np.float32) for row in table]
        xs, ys = self._xs[:, : x1 - x0], self._ys[: y1 - y0]
        at = []
        for by_x, by_y, shift in (look[:3], look[3:]):
            by_x *= xs
            by_y *= ys
            shift += by_x
            shift += by_y
            at.append(shift)
        drawn = cv2.remap(run.picture, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        lay_over(frame[y0:y1, x0:x1], np.asarray(drawn, np.uint8))


def lay_over(under: Pixels | Picture, over: Picture) -> None:
    """Lay a picture with alpha over another of its size (BGR or BGRA), in place."""
    shows = cv2.bitwise_not(cv2.extractChannel(over, 3))
    if under.shape[2] == 4:
        colour, shares = over, cv2.merge([shows] * 4)
    else:
        colour = np.asarray(cv2.cvtColor(over, cv2.COLOR_BGRA2BGR), np.uint8)
        shares = cv2.cvtColor(shows, cv2.COLOR_GRAY2BGR)
    cv2.add(cv2.multiply(under, shares, scale=1 / 255), colour, dst=under)


def lay_moved(under: Pixels | Picture, picture: Picture, matrix: Doubles, clip: Picture | None = None) -> None:
    """Lay a picture over another, in place, moved by `matrix` (2, 3) from its pixels to theirs.

    `clip`: as large as `under`; the picture is seen only where that is opaque.
    """
    height, width = picture.shape[:2]
    corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)]) @ matrix.T
    if not np.isfinite(corners).all():
        return
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)) + 1, (under.shape[1], under.shape[0])).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    local = matrix - np.array([[0, 0, x0], [0, 0, y0]])
    moved = cv2.warpAffine(picture, local, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    if clip is not None:
        mask = np.ascontiguousarray(clip[y0:y1, x0:x1, 3])
        moved = cv2.multiply(moved, cv2.merge([mask] * 4), scale=1 / 255)
    lay_over(under[y0:y1, x0:x1], np.asarray(moved, np.uint8))
