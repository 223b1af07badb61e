"""The square around a head that motion models were trained on: hair, chin and some shoulder, upright.

Unlike the crops of `align` it is never turned: a head that tilts must be seen to tilt.
"""

import numpy as np

from realtime.imaging.affine import Matrix, Points
from realtime.imaging.align import FACE_OVAL

SIDE = 1.85
"""The square's side in heights of the face (chin to hairline).

Set by eye to the framing of VoxCeleb as cut for First Order Motion: the face takes about half of the height.
"""

UP = 0.06
"""How far the square's centre lies above the face's, in sides."""

_OVAL = np.array(FACE_OVAL)


def portrait_square(landmarks: Points) -> tuple[float, float, float]:
    """(x, y, side) of the square around the head of (478, 3) landmarks: its centre and side, in their pixels.

    Raises ValueError for landmarks without extent or that are not finite.
    """
    oval = np.asarray(landmarks, np.float64)[_OVAL, :2]
    low, high = oval.min(axis=0), oval.max(axis=0)
    # A head that nods or turns looks smaller one way only; the larger of the two keeps the square steady.
    face = float(max(high[1] - low[1], 1.2 * (high[0] - low[0])))
    if not (np.isfinite(face) and face > 0):
        raise ValueError("landmarks without extent have no portrait")
    x, y = ((low + high) / 2).tolist()
    return x, y - UP * SIDE * face, SIDE * face


def crop_of_square(x: float, y: float, side: float, size: int) -> Matrix:
    """The matrix from the pixels where the square lies to a crop of `size` pixels; (0, 0) is a pixel's centre."""
    scale = size / side
    shift = 0.5 * (size - 1)
    return np.array([[scale, 0.0, shift - scale * x], [0.0, scale, shift - scale * y]])


def portrait_crop(landmarks: Points, size: int) -> Matrix:
    """`crop_from_picture`, (2, 3) float64: one scale and a shift. Raises as `portrait_square`."""
    return crop_of_square(*portrait_square(landmarks), size)
