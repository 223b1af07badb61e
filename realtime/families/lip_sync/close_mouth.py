"""A mouth that is open in the picture with its lips together: what a lip-sync network is to start from.

A network that opens a mouth adds to what is open already: it knows how far a real mouth is open less well than the
tracker does. So the speaker's own words would show through the new ones. The crop is bent between the landmarks: the
lips meet on the line between the mouth's corners, and the skin from nose to chin stretches. The chin stays: were it to
go up, the room and the shirt behind it would be bent into the face.
"""

import cv2
import numpy as np

from realtime.families.lip_sync.lip_masks import lip_outline
from realtime.families.motion.mesh.points import CHIN, UNDER_NOSE
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, Points

_LEAST_GAP = 0.004
"""Lips that are nearer than that, in sides of the crop, meet: the tracker trembles as much."""
_RING = 20
_OVER, _UNDER = np.arange(1, 10), np.arange(11, 20)
_OUTER_TOP, _OUTER_BOTTOM = np.arange(11), np.append(np.arange(10, 20), 0)
"""Of a ring of `lip_outline`: the points of the upper lip and of the lower one, without and with the corners."""


def shut_mouth(crop: Pixels, landmarks: Points, crop_from_frame: Matrix) -> tuple[Pixels, Floats]:
    """`crop` with its lips together, (S, S, 3), and their outline in it, (40, 2) as `lip_outline` has it.

    `landmarks` (478, 2 or 3) are those of the frame. Where the lips meet already, `crop` itself.
    """
    size = crop.shape[0]
    from_y, outline = shutting(size, landmarks, crop_from_frame)
    if from_y is None:
        return crop, outline
    from_x = np.broadcast_to(np.arange(size, dtype=np.float32), (size, size))
    shut = cv2.remap(crop, np.ascontiguousarray(from_x), from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shut, np.uint8), outline


def shutting(size: int, landmarks: Points, crop_from_frame: Matrix) -> tuple[Floats | None, Floats]:
    """At what height of a crop each pixel of the shut mouth lies, (S, S), and the shut lips' outline, (40, 2).

    None for the heights where the lips meet already.
    """
    outline = lip_outline(landmarks, crop_from_frame)
    inner = outline[_RING:].astype(np.float64)
    x = np.arange(size, dtype=np.float64)
    above, below, seam = _lines(x, inner)
    rise = below - seam
    if float((below - above).max()) < _LEAST_GAP * size:
        return None, outline
    nose_y, chin_y = (
        float(np.asarray(landmarks[point, :2], np.float64) @ crop_from_frame[1, :2] + crop_from_frame[1, 2])
        for point in (UNDER_NOSE, CHIN)
    )
    y = x[:, None]
    # Where each pixel of the shut mouth comes from: the upper lip from above, the lower one from below.
    # Lips go as they are; the skin about them is what gives.
    top, bottom = (_along(x, outline[part].astype(np.float64)) for part in (_OUTER_TOP, _OUTER_BOTTOM))
    top, bottom = np.minimum(top + seam - above, seam), np.maximum(bottom - rise, seam)
    down = (seam - above) * _smooth((y - nose_y) / np.maximum(top - nose_y, 1.0)) * (y < seam)
    up = rise * (1.0 - _smooth((y - bottom) / np.maximum(chin_y - bottom, 1.0))) * (y >= seam)
    return (y - down + up).astype(np.float32), _met(outline, inner)


def _lines(x: Points, inner: Points) -> tuple[Points, Points, Points]:
    """The heights at each `x` of the upper lip's rim, the lower one's, and where they are to meet; `inner` (20, 2)."""
    corners = inner[[0, 10]]
    rims = (np.concatenate([corners[:1], inner[part], corners[1:]]) for part in (_OVER, _UNDER[::-1]))
    above, below, seam = (_along(x, line) for line in (*rims, corners))
    below = np.maximum(above, below)
    return above, below, np.clip(seam, above, below)


def _met(outline: Floats, inner: Points) -> Floats:
    """The outline of the shut mouth."""
    met = outline.copy()
    for part, rim in ((_OVER, 0), (_UNDER, 1)):
        lines = _lines(inner[part, 0], inner)
        way = (lines[2] - lines[rim]).astype(np.float32)
        met[part, 1] += way
        met[_RING + part, 1] += way
    return met


def _along(x: Points, line: Points) -> Points:
    """The height at each `x` of a line of points, (n, 2), from one corner of the mouth to the other; level beyond."""
    order = np.argsort(line[:, 0])
    return np.asarray(np.interp(x, line[order, 0], line[order, 1]))


def _smooth(share: Points) -> Points:
    """0 to 1 without a kink at either end."""
    held = np.clip(share, 0.0, 1.0)
    return np.asarray(held * held * (3.0 - 2.0 * held))
