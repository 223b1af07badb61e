"""A new part of a picture in the tones of what is round it, so that its rim cannot be seen."""

import cv2
import numpy as np

from realtime.frame import Floats, Pixels

_WIDE = 0.10
"""How far a difference found at the rim is carried, in sides of the crop (a Gaussian's sigma)."""

_MOST = 128
"""The side at which tones are compared, of larger pictures too."""

_SHAPE = 30.0
"""A difference much larger than this is one of shape (lips, teeth, what is behind a chin), not of tone."""


_SEEN_FROM, _SEEN_WHOLLY = 3.0, 11.0
"""Grey levels: a change below the first is none, one above the second is taken over as it is."""

_AROUND = 0.03
"""How far about a change the new picture is taken over with it, in sides of the crop."""


def changed(new: Pixels, old: Pixels) -> Floats:
    """Where `new` says something else than `old`, (S, S) float32 0..1, soft; both are (S, S, 3) uint8.

    Elsewhere the frame itself is as good, and sharper: a network's picture is smaller than the face it goes back to.
    """
    size = new.shape[0]
    off = np.asarray(cv2.absdiff(new, old).max(axis=2), np.float32)
    reach = 2 * max(round(_AROUND * size), 1) + 1
    near = cv2.blur(cv2.dilate(cv2.blur(off, (3, 3)), np.ones((reach, reach), np.uint8)), (reach, reach))
    share = (np.asarray(near, np.float32) - _SEEN_FROM) / (_SEEN_WHOLLY - _SEEN_FROM)
    return np.asarray(np.clip(share, 0.0, 1.0), np.float32)


def match_rim(new: Pixels, old: Pixels, mask: Floats) -> Pixels:
    """`new`, (S, S, 3) uint8 BGR, with a smooth change of tone that takes it to `old` where the mask fades.

    A membrane as in Poisson editing (Pérez et al. 2003), by one normalised convolution (Knutsson and Westin 1993) in
    place of a system of equations: differences count at the rim only, and less where they are large.
    """
    side = mask.shape[0]
    size = min(side, _MOST)
    if size < side:  # what is smooth needs no fine picture
        small = (cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA) for part in (old, new, mask))
        tone = _tone(*(np.asarray(part, np.float32) for part in small))
        tone = np.asarray(cv2.resize(tone, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    else:
        tone = _tone(old.astype(np.float32), new.astype(np.float32), mask)
    toned = new.astype(np.float32) + tone + np.float32(0.5)
    return np.asarray(np.clip(toned, 0.0, 255.0), np.uint8)


def _tone(old: Floats, new: Floats, mask: Floats) -> Floats:
    """What to add to `new`, (S, S, 3)."""
    size = mask.shape[0]
    off = old - new
    rim = 4.0 * mask * (1.0 - mask)
    weight = np.asarray(rim * np.exp(-((np.abs(off).mean(axis=2) / _SHAPE) ** 2)), np.float32)
    four = cv2.merge([*cv2.split(off * weight[:, :, None]), weight])
    spread = np.asarray(cv2.GaussianBlur(four, (0, 0), _WIDE * size, borderType=cv2.BORDER_CONSTANT), np.float32)
    # What little weight reaches the middle still decides there: its tone goes with the rim's as a whole.
    tone = spread[:, :, :3] / (spread[:, :, 3:] + 1e-4 + 0.02 * float(spread[:, :, 3].max()))
    return np.asarray(tone, np.float32)
