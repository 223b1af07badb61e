"""A picture of one size made from a picture of any size."""

import numpy as np

from realtime.capture.fit import letterbox
from realtime.frame import Pixels

__all__ = ["even", "letterbox", "pad_to_even"]


def pad_to_even(pixels: Pixels) -> Pixels:
    """The picture with its last column and row doubled where width or height is odd.

    4:2:0 video has one colour sample for two pixels each way, so it needs even sizes. A picture that is
    even already comes back itself.
    """
    h, w = pixels.shape[:2]
    if h % 2 == 0 and w % 2 == 0:
        return pixels
    return np.pad(pixels, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The size that `pad_to_even` gives."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2
