"""An avatar's picture from a file of any kind: colour and transparency apart."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.imaging.resize import scaled_into

LEAST_PX = 32
"""A picture with a shorter side shows nothing that could move."""

LARGEST_PX = 2560
"""Larger pictures are scaled down to this longer side: more is not seen, and many are kept ready at once."""

OPAQUE = 250
"""Alpha from here on is none: pictures that were resized have a rim a little below 255."""


def avatar_pixels(file: Path) -> tuple[Pixels, npt.NDArray[np.uint8] | None]:
    """(H, W, 3) uint8 BGR, upright, no side above 2560, and alpha (H, W) uint8, None where all is opaque.

    Grey, palette and 16-bit pictures come out as 8-bit colour; of an animation the first picture.
    Raises ConfigError for what is no picture, or too small.
    """
    image = decode_picture(file)
    planes = image[..., None] if image.ndim == 2 else image
    if min(planes.shape[:2]) < LEAST_PX:
        raise ConfigError(f"{file} is {planes.shape[1]}x{planes.shape[0]} pixels, too small: give a larger picture")
    channels = planes.shape[2]
    colour = planes[..., :3] if channels >= 3 else np.repeat(planes[..., :1], 3, axis=2)
    alpha = planes[..., -1] if channels in (2, 4) else None
    if alpha is not None and int(alpha.min()) >= OPAQUE:
        alpha = None
    size = planes.shape[1], planes.shape[0]
    if max(size) > LARGEST_PX:
        size = scaled_into(size, (LARGEST_PX, LARGEST_PX))
        if alpha is not None:  # what is transparent must not bleed into what is not
            colour = np.where(alpha[..., None] > 0, colour, 128).astype(np.uint8)
            alpha = np.asarray(cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_AREA), np.uint8)
        colour = np.asarray(cv2.resize(np.ascontiguousarray(colour), size, interpolation=cv2.INTER_AREA), np.uint8)
    if alpha is not None and not alpha.any():
        raise ConfigError(f"{file} is transparent all over: give a picture that shows something")
    return np.ascontiguousarray(colour), None if alpha is None else np.ascontiguousarray(alpha)
