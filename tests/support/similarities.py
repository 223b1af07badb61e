"""Matrices for tests of pictures."""

import math

import numpy as np

from realtime.imaging.affine import Matrix


def similarity(scale: float, degrees: float, tx: float, ty: float) -> Matrix:
    """(2, 3): turned clockwise as seen, scaled and moved."""
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, tx], [s, c, ty]])
