"""Resizes pictures: letterboxed, capped, even."""

import cv2
import numpy as np

from realtime.frame import Pixels

LARGEST = (3840, 2160)  # wider or higher pictures are scaled down: an 8K picture would cost 100 MB a frame for nothing


def letterbox(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The whole picture, as large as it fits in `size` (width, height), centred on black.

    The picture itself, not a copy, when it has that size already.
    """
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    inner = scaled_into((width, height), size)
    if inner != (width, height):
        kernel = cv2.INTER_AREA if inner[0] < width else cv2.INTER_LINEAR
        pixels = np.ascontiguousarray(cv2.resize(pixels, inner, interpolation=kernel), dtype=np.uint8)
    if inner == size:
        return pixels
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = pixels
    return canvas


def scaled_into(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """`size` scaled, with its shape kept, to the largest that fits in `box`; at least 1x1."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return (
        min(box[0], max(1, round(size[0] * scale))),
        min(box[1], max(1, round(size[1] * scale))),
    )


def capped(size: tuple[int, int]) -> tuple[int, int]:
    """`size`, scaled down if it exceeds LARGEST (which also holds upright)."""
    box = LARGEST if size[0] >= size[1] else LARGEST[::-1]
    return size if size[0] <= box[0] and size[1] <= box[1] else scaled_into(size, box)


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
