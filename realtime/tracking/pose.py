"""The head's place and turn in space, from landmarks in a picture.

MediaPipe's face geometry: a virtual camera of 63° vertical view looks at a canonical head (468 points, in
centimetres); weighted orthogonal Procrustes (Akca 2003, section 2.4) on 33 of its points gives scale, rotation and
translation. A landmark's z is only relative: the scale tells how far away the head stands. MediaPipe finds it in
rounds, but moving the points away along their lines of sight only divides all their coordinates by one number, so
that one fit says it all.
"""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles, Floats
from realtime.inference.file_kind import read_arrays

VERTICAL_VIEW_DEG = 63.0
POINTS = 468  # the mesh; the last 10 of the 478 landmarks are the irises

# The same picture of a head, shifted within a 1280x720 frame, reads as turned: by 0.26 +- 0.02 of the angle between the
# camera's axis and the head, the same for both axes, sizes and people tried (450 px to the side: 10 degrees).
LEAN = 0.26
_NO_POINTS = np.zeros(0, np.int_)


class HeadPose:
    """The canonical head and how to fit it. `file` is a face bundle's `pose.npz`. Raises ModelError where it is not."""

    def __init__(self, file: Path) -> None:
        canonical, self._basis, weights = read_arrays(file, "canonical", "basis", "weights")
        self.canonical: Doubles = canonical.astype(np.float64)
        sources: Doubles = self.canonical[self._basis]
        self._weights: Doubles = weights.astype(np.float64) / weights.sum(dtype=np.float64)
        self._centre: Doubles = self._weights @ sources
        centred = sources - self._centre
        self._weighted: Doubles = centred * self._weights[:, None]
        self._spread = float(np.sum(self._weighted * centred))

    def __call__(self, landmarks: Floats, size: tuple[int, int]) -> Floats:
        """(4, 4) float32: camera-from-canonical-head, in centimetres; y up, z towards the viewer.

        `landmarks` are (478, 3) in the pixels of a frame of `size` (width, height).
        """
        return self.fit(landmarks, size, _NO_POINTS)[0]

    def fit(self, landmarks: Floats, size: tuple[int, int], of: npt.NDArray[np.int_]) -> tuple[Floats, Doubles]:
        """The pose, and where the mesh's points `of` lie on the canonical head: (n, 3) float64, pose taken out."""
        count = len(self._basis)
        every = _in_camera(landmarks, size, np.concatenate([self._basis, of]))
        points = every[:count]
        u, values, vt = np.linalg.svd(points.T @ self._weighted)
        rotation = u @ vt
        if np.linalg.det(rotation) < 0:  # a mirrored head is no solution
            values[2] *= -1
            rotation -= 2.0 * np.outer(u[:, 2], vt[2])
        scale = float(values.sum()) / self._spread
        place = self._weights @ points / scale - rotation @ self._centre
        pose = np.eye(4, dtype=np.float32)
        pose[:3, :3], pose[:3, 3] = rotation, place
        return pose, np.asarray((every[count:] / scale - place) @ rotation)


def _in_camera(landmarks: Floats, size: tuple[int, int], of: npt.NDArray[np.int_]) -> Doubles:
    """The landmarks `of` in the camera's space, (n, 3), y up, were their mean depth 1 cm."""
    width, height = size
    per_pixel = 2.0 * math.tan(math.radians(VERTICAL_VIEW_DEG / 2)) / height
    points = landmarks[of].astype(np.float64)
    # On the camera's near plane, at 1 cm; x and y grow with the depth, which looks along -z.
    away = points[:, 2] * per_pixel + (1.0 - float(landmarks[:POINTS, 2].mean(dtype=np.float64)) * per_pixel)
    points[:, 0] = (points[:, 0] - width / 2) * per_pixel * away
    points[:, 1] = (height / 2 - points[:, 1]) * per_pixel * away
    points[:, 2] = -away
    return points


def forward(pose: Floats) -> Doubles:
    """(3,) the direction the head looks in, as a unit vector in the camera's space."""
    axis = pose[:3, 2].astype(np.float64)
    return np.asarray(axis / max(float(np.linalg.norm(axis)), 1e-9))


def head_angles(pose: npt.NDArray[np.floating]) -> Floats:
    """(3,) float32: pitch, yaw, roll in radians of a (4, 4) camera-from-canonical-head matrix, as networks take them.

    The rotation is read as Rz(roll) · Ry(yaw) · Rx(pitch); a scale in the matrix does not matter. In MediaPipe's axes
    (x to the picture's right, y up, z towards the camera) a head that faces the camera has 0, 0, 0; looking down is a
    positive pitch, turning to the picture's right a positive yaw, and tipping counter-clockwise as seen in the picture
    a positive roll. The angles are those of the head as it looks, wherever in the picture it is: see `LEAN`.
    """
    r = pose[:3, :3]
    pitch = math.atan2(r[2, 1], r[2, 2])
    yaw = math.atan2(-r[2, 0], math.hypot(r[2, 1], r[2, 2]))
    roll = math.atan2(r[1, 0], r[0, 0])
    right, up, away = (float(v) for v in (pose[0, 3], pose[1, 3], -pose[2, 3]))
    if away > 0.0:
        yaw += LEAN * math.atan2(right, away)
        pitch -= LEAN * math.atan2(up, away)
    return np.array([pitch, yaw, roll], np.float32)
