"""A new part of a picture in the tones of what is round it, so that its rim cannot be seen."""

import cv2
import numpy as np

from realtime.face import Floats
from realtime.frame import Pixels

_WIDE = 0.10
"""How far a difference found at the rim is carried, in sides of the crop (a Gaussian's sigma)."""

_SHAPE = 30.0
"""A difference much larger than this is one of shape (lips, teeth, what is behind a chin), not of tone."""


def match_rim(new: Pixels, old: Pixels, mask: Floats) -> Pixels:
    """`new`, (S, S, 3) uint8 BGR, with a smooth change of tone that takes it to `old` where the mask fades.

    A membrane as in Poisson editing (Pérez et al. 2003), by one normalised convolution (Knutsson and Westin 1993) in
    place of a system of equations: differences count at the rim only, and less where they are large.
    """
    size = mask.shape[0]
    off = old.astype(np.float32) - new.astype(np.float32)
    rim = 4.0 * mask * (1.0 - mask)
    weight = np.asarray(rim * np.exp(-((np.abs(off).mean(axis=2) / _SHAPE) ** 2)), np.float32)
    four = cv2.merge([*cv2.split(off * weight[:, :, None]), weight])
    spread = np.asarray(cv2.GaussianBlur(four, (0, 0), _WIDE * size, borderType=cv2.BORDER_CONSTANT), np.float32)
    # What little weight reaches the middle still decides there: its tone goes with the rim's as a whole.
    tone = spread[:, :, :3] / (spread[:, :, 3:] + 1e-4 + 0.02 * float(spread[:, :, 3].max()))
    toned = new.astype(np.float32) + tone + np.float32(0.5)
    return np.asarray(np.clip(toned, 0.0, 255.0), np.uint8)
