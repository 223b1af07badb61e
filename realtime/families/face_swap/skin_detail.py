"""Lays an identity's skin texture over the drawn face: freckles, moles and lines that small networks leave out.

The detail is a picture of the face unrolled (`unrolled`), which a mesh of landmarks carries to where the face is: the
expression moves it.
"""

from pathlib import Path

import cv2
import numpy as np

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError, ModelError
from realtime.families.motion.mesh.head import VERTICES
from realtime.frame import Doubles, Floats, Ints, Pixels
from realtime.imaging.affine import Matrix
from realtime.imaging.align import FACE_OVAL
from realtime.imaging.mesh_warp import affine_maps, paint_triangles

DETAIL_FILE = "detail.png"
SIDE = 192  # the unrolled face's side in pixels
UNCHANGED = 128  # the value that leaves a pixel as it is; another one multiplies it by value / 128
_MARGIN = 4
_AXIS_CM = 6.0  # how far behind the canonical head's origin the axis lies that the face is unrolled from
_POINTS = 96
_COARSE = 80  # the side at which the mesh is drawn: between its pixels places are interpolated
_NOWHERE = -1e5


class SkinDetail:
    """Lays one identity's `texture`, (SIDE, SIDE, 3) uint8 BGR, over drawn faces. One thread.

    `canonical` (468, 3): MediaPipe's canonical head, as in `HeadPose`.
    """

    def __init__(self, texture: Pixels, canonical: Doubles) -> None:
        self._texture = texture
        rest = unrolled(canonical)
        self._rows = spread_out(rest)
        self._rest = rest[self._rows]
        self._triangles = delaunay(self._rest)
        grid = np.arange(_COARSE, dtype=np.float32)
        self._x, self._y = np.meshgrid(grid, grid)
        self._numbers = np.empty((_COARSE, _COARSE), np.int32)

    def __call__(self, face: Pixels, landmarks: Floats, crop_from_frame: Matrix, size: int) -> Pixels:
        """The drawn `face` (S, S, 3) uint8 BGR with the detail on it, a new array.

        `landmarks` (478, 3) in the frame; `crop_from_frame` cut a crop of `size` pixels, of which S is the same or
        another resolution.
        """
        side = face.shape[0]
        x, y = (cv2.resize(part, (side, side)) for part in self._where(landmarks, crop_from_frame, _COARSE / size))
        neutral = (UNCHANGED, UNCHANGED, UNCHANGED)
        factor = cv2.remap(self._texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=neutral)
        return np.asarray(cv2.multiply(face, factor, scale=1.0 / UNCHANGED), np.uint8)

    def _where(self, landmarks: Floats, crop_from_frame: Matrix, scale: float) -> Floats:
        """(2, C, C) float32: the unrolled face's x and y that is seen in each pixel, far outside where none is."""
        points = np.asarray(landmarks[self._rows], np.float64)
        flat = (points[:, :2] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2] + 0.5) * scale - 0.5
        # Larger z is farther away here: what is nearest is drawn last.
        order = np.argsort(-points[self._triangles, 2].sum(axis=1), kind="stable")
        triangles = self._triangles[order]
        table = affine_maps(flat[triangles], self._rest[triangles])
        table[:, -1] = 0, 0, _NOWHERE, 0, 0, _NOWHERE
        paint_triangles(self._numbers, flat[triangles])
        a, b, c, d, e, f = np.take(table, self._numbers, axis=1)
        return np.stack([a * self._x + b * self._y + c, d * self._x + e * self._y + f])


def unrolled(canonical: Doubles) -> Doubles:
    """(468, 2): where the mesh's points lie in an unrolled face, in its pixels: around an upright axis, and up."""
    x, y, z = canonical[:VERTICES].T
    flat = np.stack([np.arctan2(x, z + _AXIS_CM), -y], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    return np.asarray((flat - low) / (high - low) * (SIDE - 1 - 2 * _MARGIN) + _MARGIN)


def spread_out(rest: Doubles) -> Ints:
    """The numbers of the outline's and of further points, each as far as can be from those before it."""
    chosen = list(FACE_OVAL)
    near = np.linalg.norm(rest[:, None] - rest[None, chosen], axis=2).min(axis=1)
    while len(chosen) < _POINTS:
        chosen.append(int(near.argmax()))
        near = np.minimum(near, np.linalg.norm(rest - rest[chosen[-1]], axis=1))
    return np.array(chosen, np.intp)


def delaunay(points: Doubles) -> Ints:
    """(n, 3): triangles of (k, 2) points in the unrolled face, by their numbers."""
    plane = cv2.Subdiv2D((0, 0, SIDE, SIDE))
    exact = points.astype(np.float32)
    numbers = {(float(x), float(y)): number for number, (x, y) in enumerate(exact)}
    plane.insert(exact.tolist())
    corners = np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2)
    found = [[numbers.get((float(x), float(y))) for x, y in three] for three in corners]
    # The triangles around them have corners of their own.
    return np.array([three for three in found if None not in three], np.intp)


def open_skin_detail(file: Path, canonical: Doubles) -> SkinDetail:
    """A bundle's detail. Raises ModelError for a file that is no such picture."""
    try:
        texture = decode_picture(file)
    except ConfigError as error:
        raise ModelError(f"model {file.parent.name}: {error}") from error
    if texture.shape != (SIDE, SIDE, 3):
        raise ModelError(
            f"model {file.parent.name}: {file.name} must be a colour picture of {SIDE}x{SIDE} pixels: "
            "export it again, or take the file out of [files] in its card"
        )
    return SkinDetail(texture, canonical)
