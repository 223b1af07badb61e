"""Covers faces: nothing of what was there can be told from what is left, and it is calm to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.frame import Pixels

SOLID = 0.8  # of the oval's radii: from there it fades out
DARKER, LIGHTER = 0.75, 45.0  # a light face is covered by a darker colour, one in the dark by a lighter
DARK = 80.0  # of 255
_STEPS = 16.0  # cv2 draws on a grid of sixteenths of a pixel
_SHIFT = 4


@dataclass(frozen=True, slots=True)
class Oval:
    """An ellipse in a picture: middle, radii in pixels, and `turn` (radians, clockwise as seen)."""

    x: float
    y: float
    across: float
    down: float
    turn: float = 0.0


def cover(pixels: Pixels, ovals: Sequence[Oval]) -> Pixels:
    """The picture with each oval filled with one colour and a soft edge: a new array.

    One colour, because a blurred or coarse face is still like the face; and not its own mean, which is what much of
    an evenly lit face is made of.
    """
    out = pixels.copy()
    for oval in ovals:
        reach = 1.05 * max(oval.across, oval.down) + 2.0
        x0, y0 = max(int(oval.x - reach), 0), max(int(oval.y - reach), 0)
        x1, y1 = min(int(oval.x + reach) + 1, out.shape[1]), min(int(oval.y + reach) + 1, out.shape[0])
        if x1 <= x0 or y1 <= y0:
            continue
        part = out[y0:y1, x0:x1]
        mask = np.zeros(part.shape[:2], np.uint8)
        middle = round((oval.x - x0) * _STEPS), round((oval.y - y0) * _STEPS)
        share = (1.0 + SOLID) / 2
        radii = round(share * oval.across * _STEPS), round(share * oval.down * _STEPS)
        cv2.ellipse(mask, middle, radii, float(np.degrees(oval.turn)), 0, 360, 255, -1, cv2.LINE_AA, _SHIFT)
        mean = np.array(cv2.mean(part, mask)[:3], np.float32)
        colour = mean * np.float32(DARKER) if mean.mean() > DARK else mean + np.float32(LIGHTER)
        # Linear from 1 at `SOLID` to 0 at the edge: a Gaussian's tail would let the face shine through.
        fade = max((1.0 - SOLID) * min(oval.across, oval.down), 1.0)
        # No wider than the part: OpenCV keeps as many rows in memory as the kernel has.
        side = 2 * int(min(fade, *part.shape[:2]) / 2) + 1
        soft = cv2.blur(mask, (side, side), borderType=cv2.BORDER_REPLICATE).astype(np.float32)[..., None] / 255.0
        part[...] = np.rint(part + (colour - part) * soft).astype(np.uint8)
    return out
