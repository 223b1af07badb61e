"""What one frame says of a driver: the face's shape in the head's own frame, and where the head is.

The head is seen without perspective, so that neither the camera's lens nor the place in the picture changes what a
face looks like: landmarks = scale * turn * shape + place, by weighted orthogonal Procrustes (Akca 2003).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.families.motion.mesh.points import BLINKS, Doubles, Head
from realtime.tracking.face import Face

PIVOT = np.array([0.0, -1.5, -5.0])
"""Where a head turns on its neck, in the canonical head's centimetres."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One face at one time.

    `shape`: (478, 3) centimetres in the canonical head's frame, pose taken out. `turn`: (3, 3), camera from head.
    `place`: (2,) where `PIVOT` is in the picture, y up, in pixels. `scale`: pixels a centimetre. `blink`: (2,)
    0..1, right and left.
    """

    shape: Doubles
    turn: Doubles
    place: Doubles
    scale: float
    blink: Doubles


def read(head: Head, face: Face) -> Reading:
    """The reading of a tracked face. Raises ValueError for landmarks that are not finite or have no extent."""
    points = face.landmarks.astype(np.float64) * (1.0, -1.0, -1.0)
    sources = head.canonical[head.basis]
    seen = points[head.basis]
    from_centre, seen_centre = head.weights @ sources, head.weights @ seen
    centred = sources - from_centre
    weighted = centred * head.weights[:, None]
    if not np.isfinite(points).all():
        raise ValueError("the landmarks are not finite")
    u, values, vt = np.linalg.svd((seen - seen_centre).T @ weighted)
    if np.linalg.det(u @ vt) < 0:
        u[:, 2] *= -1
        values[2] *= -1
    turn = u @ vt
    scale = float(values.sum() / np.sum(weighted * centred))
    if not scale > 1e-6:
        raise ValueError("the landmarks have no extent")
    origin = seen_centre - scale * turn @ from_centre
    shape = (points - origin) @ turn / scale
    place = origin + scale * turn @ PIVOT
    return Reading(shape, turn, place[:2], scale, face.blendshapes[list(BLINKS)].astype(np.float64))


def between(a: Reading, b: Reading, share: float) -> Reading:
    """A reading on the way from `a` (share 0) to `b` (share 1)."""
    part = a.turn @ turned(rotation_vector(a.turn.T @ b.turn) * share)
    return Reading(
        a.shape + share * (b.shape - a.shape),
        part,
        a.place + share * (b.place - a.place),
        float(a.scale ** (1 - share) * b.scale**share),
        a.blink + share * (b.blink - a.blink),
    )


def rotation_vector(turn: Doubles) -> Doubles:
    """(3,) radians about x, y, z of a (3, 3) rotation."""
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64).ravel()


def turned(vector: Doubles) -> Doubles:
    """The (3, 3) rotation of a rotation vector."""
    return np.asarray(cv2.Rodrigues(np.asarray(vector, np.float64).reshape(3, 1))[0], np.float64)
