"""The head's place and turn in space, from landmarks in a picture.

MediaPipe's face geometry: a virtual camera of 63° vertical view looks at a canonical head (468 points, in
centimetres); weighted orthogonal Procrustes (Akca 2003, section 2.4) on 33 of its points gives scale,
rotation and translation. A landmark's z is only relative, so the depth is found in two rounds: fit, put
the points at the depth that the fit's scale implies, fit again.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.face import Floats

Doubles = npt.NDArray[np.float64]

VERTICAL_VIEW_DEG = 63.0
POINTS = 468  # the mesh; the last 10 of the 478 landmarks are the irises
MIRROR_Z = np.array([1.0, 1.0, -1.0])


class HeadPose:
    """The canonical head and how to fit it. `file` is the bundle's `pose.npz`."""

    def __init__(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as stored:
                canonical, basis, weights = stored["canonical"], stored["basis"], stored["weights"]
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{file.name} is not the pose file of a face bundle: reinstall masquerade") from error
        self.canonical: Doubles = canonical.astype(np.float64)
        self._basis = basis
        self._sources: Doubles = self.canonical[basis]
        self._weights: Doubles = weights.astype(np.float64) / weights.sum(dtype=np.float64)
        centred = self._sources - self._weights @ self._sources
        self._weighted: Doubles = centred * self._weights[:, None]
        self._spread = float(np.sum(self._weighted * centred))

    def __call__(self, landmarks: Floats, size: tuple[int, int]) -> Floats:
        """(4, 4) float32: camera-from-canonical-head, in centimetres; y up, z towards the viewer.

        `landmarks` are (478, 3) in the pixels of a frame of `size` (width, height).
        """
        points, depth, scale = self._placed(landmarks, size)
        return self._fit(_in_space(points[self._basis], depth, scale)).astype(np.float32)

    def fit(self, landmarks: Floats, size: tuple[int, int]) -> tuple[Floats, Doubles]:
        """The pose, and (468, 3) float64: the mesh's points in space, in the camera's centimetres."""
        points, depth, scale = self._placed(landmarks, size)
        space = _in_space(points, depth, scale)
        return self._fit(space[self._basis]).astype(np.float32), space

    def _placed(self, landmarks: Floats, size: tuple[int, int]) -> tuple[Doubles, float, float]:
        """The points on the near plane, their mean depth there, and the head's scale, found in two rounds."""
        points, depth = _on_near_plane(landmarks, size)
        basis = points[self._basis]
        scale = self._scale(basis * MIRROR_Z)
        return points, depth, scale * self._scale(_in_space(basis, depth, scale))

    def _scale(self, targets: Doubles) -> float:
        """The scale alone of `_fit`: the sum of the singular values, without the rotation."""
        product = targets.T @ self._weighted
        values = np.linalg.svd(product, compute_uv=False)
        if np.linalg.det(product) < 0:
            values[2] *= -1
        return float(values.sum()) / self._spread

    def _fit(self, targets: Doubles) -> Doubles:
        """The similarity (4, 4) that best carries the canonical points onto `targets` (33, 3)."""
        u, values, vt = np.linalg.svd(targets.T @ self._weighted)
        if np.linalg.det(u) * np.linalg.det(vt) < 0:  # a mirrored head is no solution
            u[:, 2] *= -1
            values[2] *= -1
        fitted = np.eye(4)
        fitted[:3, :3] = float(values.sum()) / self._spread * (u @ vt)
        fitted[:3, 3] = self._weights @ (targets - self._sources @ fitted[:3, :3].T)
        return fitted


def head_shape(pose: Floats, space: Doubles) -> Doubles:
    """(468, 3) float64: points in space as they lie on the canonical head, pose and scale taken out."""
    inverse = np.linalg.inv(pose.astype(np.float64))
    return np.asarray(space @ inverse[:3, :3].T + inverse[:3, 3])


def angles_deg(pose: Floats) -> tuple[float, float, float]:
    """(pitch, yaw, roll) in degrees, each 0 for a head looking straight into the camera."""
    r = pose[:3, :3] / np.linalg.norm(pose[:3, 0])
    pitch = np.degrees(np.arctan2(-r[1, 2], r[2, 2]))
    yaw = np.degrees(np.arcsin(np.clip(r[0, 2], -1, 1)))
    roll = np.degrees(np.arctan2(-r[0, 1], r[0, 0]))
    return float(pitch), float(yaw), float(roll)


def _on_near_plane(landmarks: Floats, size: tuple[int, int]) -> tuple[Doubles, float]:
    """The mesh points on the camera's near plane (1 cm), y up, and the mean of their z."""
    width, height = size
    per_pixel = 2.0 * np.tan(np.radians(VERTICAL_VIEW_DEG / 2)) / height
    points = landmarks[:POINTS].astype(np.float64) * per_pixel
    points[:, 0] -= width * per_pixel / 2
    points[:, 1] = height * per_pixel / 2 - points[:, 1]
    return points, float(points[:, 2].mean())


def _in_space(points: Doubles, depth: float, scale: float) -> Doubles:
    """Near-plane points moved out to where a head of that scale stands."""
    z = (points[:, 2] - depth + 1.0) / scale
    return np.column_stack([points[:, 0] * z, points[:, 1] * z, -z])
