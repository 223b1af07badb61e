"""The head's mesh, and which of MediaPipe's 478 landmarks are lids, lips and irises.

Left and right are the person's own, as in MediaPipe's names.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.frame import Doubles, Ints
from realtime.imaging.align import FACE_OVAL
from realtime.inference.file_kind import read_arrays
from realtime.tracking.face import Face

LANDMARKS = 478
VERTICES = 468


def _row(*numbers: int) -> Ints:
    return np.array(numbers, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class EyePoints:
    """One eye: `upper` and `lower` lid in pairs, outer to inner; `crease`, `fold`: the skin's rows above `upper`.

    `corners`: outer, inner. `ring`: the opening's outline in order. `iris`: its centre; `rim`: four points on it.
    """

    upper: Ints
    lower: Ints
    crease: Ints
    fold: Ints
    corners: Ints
    iris: int
    rim: Ints

    @property
    def ring(self) -> Ints:
        """The outline of the opening, outer corner, upper lid, inner corner, lower lid."""
        return np.concatenate([self.corners[:1], self.upper, self.corners[1:], self.lower[::-1]])


RIGHT_EYE = EyePoints(
    upper=_row(246, 161, 160, 159, 158, 157, 173),
    lower=_row(7, 163, 144, 145, 153, 154, 155),
    crease=_row(247, 30, 29, 27, 28, 56, 190),
    fold=_row(113, 225, 224, 223, 222, 221, 189),
    corners=_row(33, 133),
    iris=468,
    rim=_row(469, 470, 471, 472),
)
LEFT_EYE = EyePoints(
    upper=_row(466, 388, 387, 386, 385, 384, 398),
    lower=_row(249, 390, 373, 374, 380, 381, 382),
    crease=_row(467, 260, 259, 257, 258, 286, 414),
    fold=_row(342, 445, 444, 443, 442, 441, 413),
    corners=_row(263, 362),
    iris=473,
    rim=_row(474, 475, 476, 477),
)
EYES = (RIGHT_EYE, LEFT_EYE)
BLINKS = (10, 9)  # the blendshapes eyeBlinkRight and eyeBlinkLeft, in the order of `EYES`
MOUTH_CORNERS = _row(78, 308)
INNER_UPPER_LIP = _row(191, 80, 81, 82, 13, 312, 311, 310, 415)
INNER_LOWER_LIP = _row(95, 88, 178, 87, 14, 317, 402, 318, 324)
OUTER_UPPER_LIP = _row(185, 40, 39, 37, 0, 267, 269, 270, 409)
OUTER_LOWER_LIP = _row(146, 91, 181, 84, 17, 314, 405, 321, 375)
OUTER_CORNERS = _row(61, 291)
INNER_LIPS = np.concatenate([MOUTH_CORNERS[:1], INNER_UPPER_LIP, MOUTH_CORNERS[1:], INNER_LOWER_LIP[::-1]])
OUTER_LIPS = np.concatenate([OUTER_CORNERS[:1], OUTER_UPPER_LIP, OUTER_CORNERS[1:], OUTER_LOWER_LIP[::-1]])
UNDER_NOSE, CHIN = 2, 152
OVAL = np.array(FACE_OVAL, np.intp)
BONES = _row(33, 133, 263, 362, 168, 6, 197, 5, 4, 2, 98, 327, 10, 151, 127, 234, 356, 454, 50, 280)
"""Points that no expression moves far: corners of the eyes, nose, forehead, temples, cheekbones."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """MediaPipe's canonical head: `canonical` (468, 3) centimetres, x to the picture's right, y up, z to the viewer.

    `basis` (33,) and `weights` (33,): the points that carry its pose. `triangles` (n, 3): its skin, without the
    openings of the eyes; over the mouth it is closed, as lips are that meet.
    """

    canonical: Doubles
    basis: Ints
    weights: Doubles
    triangles: Ints


def open_head(file: Path) -> Head:
    """The head of a motion bundle's `mesh.npz`. Raises ModelError for a file that is none."""
    canonical, basis, weights, triangles = read_arrays(file, "canonical", "basis", "weights", "triangles")
    if canonical.shape != (VERTICES, 3) or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ModelError(f"{file.name} holds a mesh of {canonical.shape} points: reinstall masquerade")
    skin = triangles.astype(np.intp)
    for eye in EYES:
        skin = skin[~np.isin(skin, eye.ring).all(axis=1)]
    weights = weights.astype(np.float64)
    return Head(canonical.astype(np.float64), basis.astype(np.intp), weights / weights.sum(), skin)


PIVOT = np.array([0.0, -1.5, -5.0])  # where a head turns on its neck, in the canonical head's centimetres


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
