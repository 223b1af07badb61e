"""A still picture as a source: any depth, grey or colour, with or without alpha, turned as its EXIF says."""

import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.synthetic import CountedSource
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.imaging.resize import capped, letterbox

NEUTRAL = 128  # what shows through transparent places: mid grey, which favours neither light nor dark hair
_EXIF = 0  # cv2.IMAGE_METADATA_EXIF
_ORIENTATION = 0x0112  # TIFF 6.0 / EXIF 2.32 tag


class Picture(CountedSource):
    """One picture, the same read-only array each time. Obeys `Source`; reads never block."""

    def __init__(
        self,
        path: Path,
        *,
        size: tuple[int, int] | None = None,
        rate_hz: float = 30.0,
        count: int | None = None,
        clock: Clock = now_ns,
    ) -> None:
        pixels = load_picture(path)
        self._pixels = letterbox(pixels, size) if size else pixels
        self.name = path.name
        super().__init__((self._pixels.shape[1], self._pixels.shape[0]), rate_hz, count, clock)

    def _picture(self, seq: int) -> Pixels:
        return self._pixels


def load_picture(path: Path) -> Pixels:
    """A picture file as (H, W, 3) uint8 BGR, upright, at most 3840x2160.

    16-bit and float pictures are reduced to 8 bits, transparency is laid over mid grey. Raises ConfigError when the
    file cannot be read or is not a whole picture.
    """
    pixels = over_grey(decode_picture(path))
    size = pixels.shape[1], pixels.shape[0]
    return np.ascontiguousarray(letterbox(pixels, capped(size)))


def decode_picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture file as (H, W) or (H, W, 1..4) uint8, upright, channels as they are stored, alpha last.

    Of an animation the first picture. Raises ConfigError as `load_picture`.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        why = error.strerror or "input error"
        raise ConfigError(f"{path} cannot be read ({why}): check the file and its rights") from error
    try:
        found = cv2.imdecodeWithMetadata(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except (cv2.error, MemoryError) as error:
        raise ConfigError(f"{path} cannot be decoded, too large or damaged: give another picture") from error
    # The binding returns None for the image that does not decode, whatever its type stub says.
    image: npt.NDArray[np.generic] | None = None if found is None else found[0]
    if found is None or image is None:
        raise ConfigError(f"{path} is not a whole picture, damaged or cut off: give another file")
    kinds, blobs = found[1], found[2]
    exif = b"".join(np.asarray(b).tobytes() for kind, b in zip(kinds, blobs, strict=True) if kind == _EXIF)
    return upright(eight_bits(image), orientation(exif))


def eight_bits(image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Any decoded picture with 8 bits a channel; float pictures are taken as 0..1."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    if image.dtype == np.uint16:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return (np.nan_to_num(image.astype(np.float32)).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def over_grey(image: npt.NDArray[np.uint8]) -> Pixels:
    """(H, W), (H, W, 1..4) uint8 as BGR: grey repeated, alpha laid over NEUTRAL."""
    planes = image[..., None] if image.ndim == 2 else image
    channels = planes.shape[2]
    colour = planes[..., :3] if channels >= 3 else np.repeat(planes[..., :1], 3, axis=2)
    if channels in (2, 4):
        alpha = planes[..., -1:].astype(np.uint32)
        mixed = colour * alpha + NEUTRAL * (255 - alpha)
        colour = ((mixed + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(colour)


def upright(pixels: Pixels, turned: int) -> Pixels:
    """The picture as it is meant to be seen, for an EXIF orientation of 1 to 8."""
    if turned in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if turned in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turned in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, an EXIF block gives; 1 where it gives none or is broken."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, offset)
        for i in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * i)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
