"""What FFmpeg decoded, as pixels: right colours, square pixels, upright."""

import struct
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from realtime.frame import Pixels
from realtime.imaging.resize import capped

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_LINES = 576  # above this, untagged video is taken as BT.709, as players do


class ToBgr:
    """Makes pixels of one stream's frames; `ratio` is the width to height of its pixels (None: square).

    The display matrix (a telephone's rotation, a mirror) is looked up only when the rotation changes:
    PyAV's side data and frame hold each other, so asking every frame would keep each of them, some
    megabytes, until the garbage collector comes by.
    """

    def __init__(self, ratio: Fraction | None = None) -> None:
        self._ratio = ratio
        self._turn: tuple[int, tuple[int, int, int, int]] | None = None

    def __call__(self, frame: VideoFrame) -> Pixels:
        """(H, W, 3) uint8 BGR, upright, at most 3840x2160, whatever the pixel format and depth.

        High dynamic range is converted, not tone-mapped.
        """
        width, height = capped(_square(frame, self._ratio))
        untagged = frame.colorspace == _UNSPECIFIED and frame.height > _HD_LINES
        pixels = frame.to_ndarray(
            width=width, height=height, format="bgr24", src_colorspace="ITU709" if untagged else None
        )
        return _turned(np.ascontiguousarray(pixels, dtype=np.uint8), self._matrix(frame))

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) of what the frame becomes."""
        width, height = capped(_square(frame, self._ratio))
        upright = self._matrix(frame)[0] != 0
        return (width, height) if upright else (height, width)

    def _matrix(self, frame: VideoFrame) -> tuple[int, int, int, int]:
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, _matrix(frame)
        return self._turn[1]


def _square(frame: VideoFrame, ratio: Fraction | None) -> tuple[int, int]:
    """The decoded size with square pixels: the width stretched by the pixels' own ratio."""
    width = frame.width if not ratio else max(1, round(frame.width * float(ratio)))
    return width, frame.height


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the display matrix, each -1, 0 or 1: x' = a x + c y, y' = b x + d y.

    Rotations that are no quarter turns are rounded to the nearest one; no matrix is the identity.
    """
    side = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))  # the stub says object
    if side is None or side.buffer_size < 36:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(side))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _turned(pixels: Pixels, matrix: tuple[int, int, int, int]) -> Pixels:
    a, b, c, d = matrix
    if matrix == (1, 0, 0, 1):
        return pixels
    if not a:
        pixels = _uint8(cv2.transpose(pixels))
        # Now x' = c x and y' = b y.
        a, d = c, b
    if a < 0 and d < 0:
        return _uint8(cv2.flip(pixels, -1))
    if a < 0 or d < 0:
        return _uint8(cv2.flip(pixels, 1 if a < 0 else 0))
    return pixels


def _uint8(array: object) -> Pixels:
    return np.ascontiguousarray(array, dtype=np.uint8)
