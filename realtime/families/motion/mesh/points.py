"""The head's mesh, and which of MediaPipe's 478 landmarks are lids, lips and irises.

Left and right are the person's own, as in MediaPipe's names.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.imaging.align import FACE_OVAL

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

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
BLINKS = (10, 9)
"""The blendshapes eyeBlinkRight and eyeBlinkLeft, in the order of `EYES`."""

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
    try:
        with np.load(file, allow_pickle=False) as stored:
            canonical, basis, weights, triangles = (
                stored[name] for name in ("canonical", "basis", "weights", "triangles")
            )
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"{file.name} is no mesh of a head: reinstall masquerade") from error
    if canonical.shape != (VERTICES, 3) or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ModelError(f"{file.name} holds a mesh of {canonical.shape} points: reinstall masquerade")
    skin = triangles.astype(np.intp)
    for eye in EYES:
        skin = skin[~np.isin(skin, eye.ring).all(axis=1)]
    weights = weights.astype(np.float64)
    return Head(canonical.astype(np.float64), basis.astype(np.intp), weights / weights.sum(), skin)
