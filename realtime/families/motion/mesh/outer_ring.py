"""What is around a face: hair and neck as rings of points that turn with the head, fading to a border that stays.

Ring by ring from the face's outline: the skull's side, the hair and throat, the crop's border. The second ring lies as
deep as the pivot, so that turning a head slides the face within an outline that hardly moves, as a round head does.
"""

import numpy as np

from realtime.families.motion.mesh.driving import PIVOT
from realtime.families.motion.mesh.points import OVAL, VERTICES, Doubles, Ints

COUNT = len(OVAL)
_MIDDLE = np.array([0.0, -0.5])


def surround(shape: Doubles) -> Doubles:
    """(72, 3) the two inner rings on the head's frame, for a face of (478, 3) `shape`."""
    oval = shape[OVAL]
    away = oval[:, :2] - _MIDDLE
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    up = away[:, 1]
    above, below = np.maximum(up, 0.0), np.maximum(-up, 0.0)
    near = 0.7 + 1.1 * above + 1.4 * below
    far = 2.0 + 1.6 * above + 2.5 * below
    # Beside the face the head goes straight back; over it and under the chin it curves.
    back = np.minimum(oval[:, 2] - 2.0 - 1.2 * below, np.interp(up, [-0.7, -0.2, 0.3, 0.8], [9, PIVOT[2], PIVOT[2], 9]))
    first = np.column_stack([oval[:, :2] + away * near[:, None], np.maximum(back, PIVOT[2])])
    second = np.column_stack([oval[:, :2] + away * far[:, None], np.full(COUNT, PIVOT[2])])
    return np.concatenate([first, second])


def share_of_head(shape: Doubles) -> Doubles:
    """(72, 1) 0..1: how much of the head's motion each point of `surround(shape)` makes. Throats turn little."""
    up = (shape[OVAL, 1] - _MIDDLE[1]) / np.maximum(np.linalg.norm(shape[OVAL, :2] - _MIDDLE, axis=1), 1e-6)
    first = np.interp(up, [-1.0, -0.5, 0.0], [0.55, 0.8, 0.95])
    second = np.interp(up, [-1.0, -0.5, 0.0, 1.0], [0.1, 0.2, 0.45, 0.8])
    return np.concatenate([first, second])[:, None]


def share_of_face() -> Doubles:
    """(72, 1): how much of what the outline's own points do (a dropped jaw) the rings do too."""
    return np.repeat([0.7, 0.2], COUNT)[:, None]


def border(ring: Doubles, centre: Doubles, side: int) -> Doubles:
    """(36, 2) where rays from `centre` (2,) through the outer ring (36, 2), in pixels, meet the crop's border."""
    ray = ring - centre
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-6)
    last = side - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(ray > 0, (last - centre) / ray, np.where(ray < 0, -centre / ray, np.inf))
    return np.asarray(centre + ray * np.maximum(reach, 0.0).min(axis=1)[:, None])


def strips() -> Ints:
    """(216, 3) triangles between outline, rings and border, the border's first: their points follow the face's 478."""
    rows = [OVAL.astype(np.intp)] + [np.arange(COUNT) + 478 + k * COUNT for k in range(3)]
    found = []
    for inner, outer in zip(rows[2::-1], rows[:0:-1], strict=True):
        then = np.roll(np.arange(COUNT), -1)
        found.append(np.stack([inner, inner[then], outer], axis=1))
        found.append(np.stack([inner[then], outer[then], outer], axis=1))
    return np.concatenate(found)


assert OVAL.max() < VERTICES
