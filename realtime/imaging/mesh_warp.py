"""A mesh's motion made a map for every pixel: which place of the still picture is seen where.

Triangles are painted from the farthest to the nearest into a picture of triangle numbers; each pixel then takes its
triangle's affine map. Some thousand triangles cost two milliseconds.
"""

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles, Floats, Ints

STEEPEST = 8.0
"""A triangle squeezed more than this has no map of its own: all of it shows its middle."""
TEAR_PX = 5.0
"""Neighbours of the map that come from further apart than this do not belong together."""
_SHIFT = 4
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class MeshWarp:
    """Turns moved points into a map, (2, side, side) float32 x and y, over and over. One thread.

    `points` (n, 2): where the mesh lies at rest, in pixels of the map. `behind`: triangles painted first, in the order
    given, then `face` by depth. Where no triangle lies a pixel stays where it is. Of the last map, `folds` (side, side)
    uint8 is 255 where it tears, along the outline of a turned face; `shown` where it draws the face, `covered` where it
    draws anything.
    """

    def __init__(self, side: int, points: Doubles, face: Ints, behind: Ints) -> None:
        self.side = side
        self._face, self._behind = face, behind
        self._rest = np.ascontiguousarray(points, np.float64)
        grid = np.arange(side, dtype=np.float32)
        self._x, self._y = np.meshgrid(grid, grid)
        self._numbers: npt.NDArray[np.int32] = np.empty((side, side), np.int32)
        self._where: Floats = np.zeros((2, side, side), np.float32)

    def __call__(self, points: Doubles) -> Floats:
        """The map for moved `points` (n, 3), z to the viewer. A new array."""
        depth = points[self._face, 2].sum(axis=1)
        triangles = np.concatenate([self._behind, self._face[np.argsort(depth, kind="stable")]])
        corners = points[triangles, :2]
        table = affine_maps(corners, self._rest[triangles])
        paint_triangles(self._numbers, corners)
        rows = np.take(table, self._numbers, axis=1)
        out = np.empty((2, self.side, self.side), np.float32)
        out[0] = rows[0] * self._x + rows[1] * self._y + rows[2]
        out[1] = rows[3] * self._x + rows[4] * self._y + rows[5]
        self._where = out
        return out

    @property
    def shown(self) -> npt.NDArray[np.uint8]:
        behind = len(self._behind)
        return ((self._numbers >= behind) & (self._numbers < behind + len(self._face))) * np.uint8(255)

    @property
    def covered(self) -> npt.NDArray[np.uint8]:
        return (self._numbers < len(self._behind) + len(self._face)) * np.uint8(255)

    @property
    def folds(self) -> npt.NDArray[np.uint8]:
        # Where the face's outline covers what is far from it in the picture at rest.
        where = self._where
        face = (self._numbers >= len(self._behind)).astype(np.uint8)
        rows, columns = np.nonzero(cv2.morphologyEx(face, cv2.MORPH_GRADIENT, _CROSS))
        jump = np.zeros(len(rows), np.float32)
        for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            other_row, other_column = (
                np.clip(at + step, 0, self.side - 1) for at, step in ((rows, down), (columns, across))
            )
            change = np.abs(where[:, other_row, other_column] - where[:, rows, columns]).max(axis=0)
            np.maximum(jump, change, out=jump)
        folds = np.zeros((self.side, self.side), np.uint8)
        torn = jump > TEAR_PX
        folds[rows[torn], columns[torn]] = 255
        return np.asarray(cv2.dilate(folds, _CROSS), np.uint8) if torn.any() else folds


def paint_triangles(numbers: npt.NDArray[np.int32], corners: Doubles) -> None:
    """Fill `numbers` (h, w) with the number of the last triangle (n, 3, 2) over each pixel, n where there is none."""
    numbers.fill(len(corners))
    fixed = np.rint(np.clip(corners, -4096, 4096) * (1 << _SHIFT)).astype(np.int32)
    for number, corner in enumerate(fixed):
        cv2.fillConvexPoly(numbers, corner, number, shift=_SHIFT)


def affine_maps(there: Doubles, here: Doubles) -> Floats:
    """(6, n + 1) float32: the maps from triangles `there` (n, 3, 2) to `here`, then one that changes nothing."""
    u, v = there[:, 1] - there[:, 0], there[:, 2] - there[:, 0]
    p, q = here[:, 1] - here[:, 0], here[:, 2] - here[:, 0]
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    safe = np.where(np.abs(area) < 1e-3, 1e-3, area)
    a = (p * v[:, 1:] - q * u[:, 1:]) / safe[:, None]
    b = (q * u[:, :1] - p * v[:, :1]) / safe[:, None]
    wild = (np.abs(a).max(axis=1) > STEEPEST) | (np.abs(b).max(axis=1) > STEEPEST)
    a[wild] = b[wild] = 0.0
    middle, home = there.mean(axis=1), here.mean(axis=1)
    c = home - a * middle[:, :1] - b * middle[:, 1:]
    table = np.stack([a[:, 0], b[:, 0], c[:, 0], a[:, 1], b[:, 1], c[:, 1]])
    stays = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])[:, None]
    return np.asarray(np.concatenate([table, stays], axis=1), np.float32)
