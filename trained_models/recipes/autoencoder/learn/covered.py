"""Frames in which something is before the face, told by what the face looks like at other times in the same pose."""

import cv2
import numpy as np
import numpy.typing as npt

from realtime.imaging.masks import oval_mask
from trained_models.recipes.autoencoder.learn.footage import SMALL, Looks, unmoved
from trained_models.recipes.autoencoder.prepare import SIZE

SURE = 0.9
"""The tracker's score of an uncovered face is 1.00; of one behind a hand it may be less."""
JUMP_PX = 4.0
"""Landmarks that far off those before and after (mean, size and place taken out) have slipped; speech gives 2.6."""

# A hand 0.3 to 3 s long before a rendered face left 0.09 to 0.21 of it strange; all else stayed below 0.08.
STRANGE = 0.085
STRANGE_LIGHT = 28.0
STRANGE_COLOUR = 9.0
"""Steps of 8-bit CIELAB, after the frame's own shift of brightness and tone was taken out."""

NEIGHBOURS = 9
APART_S = 2.5
"""The frames compared with are at least so far away in time: what covers the face now must not be on them too."""
LIKE = 1.5
"""Farther in pose and expression than this there is nothing to compare with, and the frame passes."""

_JAW, _BLINKS, _SMILES, _PUCKER = 25, [9, 10], [44, 45], 38
_COARSE_FROM_CROP = np.array([[1.0, 0, 0], [0, 1, 0]]) * (SMALL / SIZE)
_COARSE_FROM_CROP[:, 2] = 0.5 * SMALL / SIZE - 0.5  # pixel centres


def uncovered(looks: Looks) -> npt.NDArray[np.bool_]:
    """(n,) True where nothing is before the face and the landmarks sit."""
    sure = looks.score >= SURE
    return np.asarray((strangeness(looks, sure) <= STRANGE) & (_jumps(looks) <= JUMP_PX) & sure)


def strangeness(looks: Looks, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n,) the share of each face, 0..1, that is unlike the median of the `known` frames most alike in pose.

    0 where there are too few of those.
    """
    out = np.zeros(len(looks))
    oval = np.stack([oval_mask(points, _COARSE_FROM_CROP, SMALL) > 0.8 for points in looks.landmarks])
    lab = np.stack([cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.8) for picture in looks.coarse])
    feel = _feel(looks)
    for i in range(len(looks)):
        elsewhere = (looks.clip != looks.clip[i]) | (np.abs(looks.at_s - looks.at_s[i]) > APART_S)
        far = np.where(elsewhere & known, ((feel - feel[i]) ** 2).sum(1), np.inf)
        nearest = np.argsort(far, kind="stable")[:NEIGHBOURS]
        nearest = nearest[far[nearest] <= LIKE**2]
        if len(nearest) < NEIGHBOURS // 2:
            continue
        both = oval[i] & (oval[nearest].mean(0) > 0.7)
        if not both.any():
            continue
        off = lab[i] - np.median(lab[nearest], axis=0)
        off -= np.median(off[both], axis=0)
        strange = (np.abs(off[..., 0]) > STRANGE_LIGHT) | (np.abs(off[..., 1:]).max(-1) > STRANGE_COLOUR)
        out[i] = float((strange & both).sum() / both.sum())
    return out


def _feel(looks: Looks) -> npt.NDArray[np.float64]:
    told = looks.blendshapes
    parts = [
        looks.pose * 6.0,
        told[:, _JAW] * 1.5,
        told[:, _BLINKS].mean(1),
        told[:, _SMILES].mean(1),
        told[:, _PUCKER],
    ]
    return np.column_stack(parts).astype(np.float64)


def _jumps(looks: Looks) -> npt.NDArray[np.float64]:
    jumps = np.zeros(len(looks))
    if len(looks) > 2:
        level = np.stack([unmoved(points) for points in looks.landmarks])
        steps = np.sqrt(((level[1:] - level[:-1]) ** 2).sum(-1)).mean(-1)
        jumps[1:-1] = np.minimum(steps[1:], steps[:-1])  # off both neighbours: a cut is no slip
    return jumps
