"""Points of the face whose place is known exactly, because they are vertices of the mesh."""

from functools import cache

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import BODY_VERTICES, Floats, Ints
from trained_models.recipes.people.topology import topology

NAMED = {
    "nose tip": (0.0, 6.93, 1.66),
    "chin": (0.0, 6.27, 1.43),
    "between the brows": (0.0, 7.42, 1.45),
    "left corner of the mouth": (0.255, 6.61, 1.30),
    "right corner of the mouth": (-0.255, 6.61, 1.30),
    "upper lip": (0.0, 6.67, 1.52),
    "lower lip": (0.0, 6.53, 1.50),
    "left outer eye corner": (0.45, 7.27, 1.16),
    "left inner eye corner": (0.155, 7.25, 1.25),
    "right outer eye corner": (-0.45, 7.27, 1.16),
    "right inner eye corner": (-0.155, 7.25, 1.25),
}
"""Where they lie on the mean head, dm; "left" is the person's own left, right in the picture."""
COUNT = 68


@cache
def landmark_vertices() -> Ints:
    """(68,) vertices: the `NAMED` in their order, then points spread over the front of the face.

    Each of the latter is the one farthest from all before it (Gonzalez 1985): the same on every machine.
    """
    skin = topology().template[:BODY_VERTICES]
    named = [int(((skin - place) ** 2).sum(1).argmin()) for place in NAMED.values()]
    moved = np.abs(topology().deltas).max((0, 2))[:BODY_VERTICES] > 1e-3
    front = (skin[:, 2] > 0.55) & (skin[:, 1] > 6.2) & (skin[:, 1] < 7.9) & (np.abs(skin[:, 0]) < 0.7)
    visible = np.flatnonzero(front & moved & ~_within_mouth(skin))
    chosen = list(named)
    distance = np.min([((skin[visible] - skin[k]) ** 2).sum(1) for k in chosen], 0)
    while len(chosen) < COUNT:
        chosen.append(int(visible[distance.argmax()]))
        distance = np.minimum(distance, ((skin[visible] - skin[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen, np.int64)


def _within_mouth(skin: Floats) -> npt.NDArray[np.bool_]:
    """(n,) bool: what lies behind the lips or in the nostrils."""
    mouth = (skin[:, 2] < 1.35) & (np.abs(skin[:, 0]) < 0.25) & (np.abs(skin[:, 1] - 6.6) < 0.2)
    nostrils = (skin[:, 2] < 1.48) & (np.abs(skin[:, 0]) < 0.17) & (np.abs(skin[:, 1] - 6.89) < 0.08)
    return np.asarray(mouth | nostrils, np.bool_)


def in_picture(points: Floats, view: Floats, size: tuple[int, int]) -> Floats:
    """(n, 2) pixel coordinates of points (n, 3) seen through the matrix `view` (4, 4); `size` is (w, h)."""
    seen = np.c_[points, np.ones(len(points))] @ view.T
    flat = seen[:, :2] / seen[:, 3:]
    return np.asarray((flat * [0.5, -0.5] + 0.5) * size, np.float32)
