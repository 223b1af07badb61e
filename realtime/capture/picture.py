"""Picture files, still and animated: one reader for all of them."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from PIL import Image, ImageCms

from realtime.capture.synthetic import CountedSource
from realtime.capture.to_bgr import ToSdr
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import capped, letterbox
from realtime.imaging.sdr import HLG, PQ, is_sdr, over_grey

with suppress(ImportError):  # has no wheel for each Python there is
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False)

Bytes = npt.NDArray[np.uint8]

FORMATS: Final = {
    "PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif",
    "AVIF": "avif", "HEIF": "heic", "JPEG2000": "jp2", "PPM": "ppm",
}  # fmt: skip
"""Pillow's names of what is read, and the suffixes of such files."""

SUFFIXES: Final = (*FORMATS.values(), "jpeg", "jfif", "tiff", "heif", "hif", "pgm", "hdr")
MOST_PIXELS: Final = 100_000_000
"""Of a picture: 300 MB when it is decoded. JPEGs with more are decoded at a part of their size."""

_OPENED = tuple(form for form in FORMATS if form != "MPO")  # which begin as JPEGs
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
_OPENCVS = (b"#?RADIANCE", b"#?RGBE", b"II*\0", b"MM\0*", b"PF\n", b"Pf\n")  # floating point, which Pillow lacks
_UNTIMED_MS = 100  # what browsers make of a frame without a duration
_ORIENTATION = 0x0112  # TIFF 6.0 / EXIF 2.32 tag
_SRGB_NAMES = (b"sRGB", "sRGB".encode("utf-16-be"))
_SRGB = ImageCms.createProfile("sRGB")
_FOREIGN = {
    rb"\s*(<!doctype html|<html)": "a web page",
    rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg": "an SVG drawing",
    rb"%PDF": "a PDF document",
    rb"8BPS": "a Photoshop document",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "a JPEG XL picture",
    rb"\x76\x2f\x31\x01": "an OpenEXR picture",
    rb"....ftyp(heic|heix|mif1|heif|hevc|msf1)": "a HEIC picture or sequence",
    rb"....ftypcrx |IIRO|FUJIFILM|IIU\0": "a camera's raw picture",
    rb"....ftyp(?!avi[fs])|\x1a\x45\xdf\xa3|RIFF....AVI |\0\0\x01\xba|OggS": "a video",
    rb"PK\x03\x04": "a zip archive",
    rb"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
log = logging.getLogger(__name__)
warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files: one line says it
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
Image.MAX_IMAGE_PIXELS = None  # `open_picture` has a limit of its own, whose error names the size


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


class Animation:
    """The pictures of an animated GIF, PNG, WebP or AVIF, once. Obeys `Source`; reads never block."""

    live = False
    state = "ok"

    def __init__(self, path: Path, *, size: tuple[int, int] | None = None, clock: Clock = now_ns) -> None:
        self._path, self._clock = path, clock
        self.name = path.name
        self.duration_s: float | None = None
        self._ended = False
        self._seq = 0
        self._image = open_picture(path)
        try:
            first = _decoded(self._image, path)
        except BaseException:
            self._image.close()
            raise
        self.size = size or capped((first.shape[1], first.shape[0]))
        self.rate_hz = 1 / self._shown_s()
        self.rewind()

    def _shown_s(self) -> float:
        """How long the picture that was decoded last is shown."""
        return float(self._image.info.get("duration") or _UNTIMED_MS) / 1000

    def _frames(self) -> Iterator[tuple[float, Pixels]]:
        at_s = 0.0
        for number in range(getattr(self._image, "n_frames", 1)):
            try:
                self._image.seek(number)
                shown = letterbox(over_grey(_decoded(self._image, self._path)), self.size)
            except Exception as error:  # damaged files make Pillow raise nearly anything, and claim any number
                if not isinstance(error, EOFError):
                    log.warning("%s is damaged: it ends after %d pictures", self._path, number)
                break
            yield at_s, shown
            at_s += self._shown_s()
        self.duration_s = at_s

    def read(self) -> Frame | None:
        """The next picture; None at the end."""
        found = None if self._ended else next(self._left, None)
        if found is None:
            return None
        self._seq += 1
        return Frame(found[1], self._seq - 1, self._clock(), found[0])

    def rewind(self) -> None:
        """Start again; `seq` goes on, `media_s` starts anew."""
        self._left = self._frames()

    def unblock(self) -> None:
        self._ended = True

    def close(self) -> None:
        self._ended = True
        self._image.close()


def load_picture(path: Path) -> Pixels:
    """A picture file as (H, W, 3) uint8 BGR, upright, at most 3840x2160, transparency laid over mid grey.

    Raises ConfigError when the file cannot be read or is not a whole picture.
    """
    pixels = over_grey(decode_picture(path))
    size = pixels.shape[1], pixels.shape[0]
    return np.ascontiguousarray(letterbox(pixels, capped(size)))


def decode_picture(path: Path) -> Bytes:
    """A picture file as (H, W, 3) or (H, W, 4) uint8 BGR(A), upright, in sRGB; of an animation the first picture.

    16-bit and float pictures are reduced to 8 bits, high dynamic range to SDR. Raises ConfigError as `load_picture`.
    """
    if first_bytes(path).startswith(_OPENCVS) and not _pillow_knows(path):
        return _floating(path)
    with open_picture(path) as image:
        return _decoded(image, path)


def is_picture(path: Path) -> bool:
    """True for the file of a picture that can be read, by its first bytes. Raises ConfigError where it has none."""
    return first_bytes(path).startswith(_OPENCVS) or _pillow_knows(path)


def is_animated(path: Path) -> bool:
    """True for a picture file that `Animation` plays."""
    try:
        with Image.open(path, formats=_ANIMATED) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # damaged files make Pillow raise nearly anything
        return False


def open_picture(path: Path) -> Image.Image:
    """A picture's file, its header read and nothing decoded: a few kilobytes could fill the memory.

    Raises ConfigError for what is no picture, or has more than MOST_PIXELS.
    """
    start = first_bytes(path)
    try:
        with Image.open(path, formats=_OPENED) as seen:
            form, size = seen.format, seen.size
        if size[0] * size[1] <= MOST_PIXELS or form == "JPEG":
            # From memory: a TIFF that Pillow maps from its file is read wrong where it is turned.
            image = Image.open(BytesIO(path.read_bytes()), formats=_OPENED)
            if size[0] * size[1] > MOST_PIXELS:
                image.draft(None, (size[0] // 4, size[1] // 4))
                size = image.size
    except Exception as error:  # damaged headers make Pillow raise nearly anything
        what = foreign(start)
        if what is not None:
            raise ConfigError(f"{path} is {what}, which cannot be used as a picture: give a PNG or JPEG") from error
        raise ConfigError(f"{path} is not a whole picture, damaged or cut off: give another file") from error
    if size[0] * size[1] > MOST_PIXELS:
        raise ConfigError(f"{path} has {size[0]}x{size[1]} pixels, too many: make it smaller first")
    return image


def foreign(start: bytes) -> str | None:
    """What a file is by its first bytes, where that is something else that people take for a picture."""
    return next((what for magic, what in _FOREIGN.items() if re.match(magic, start, re.S | re.I)), None)


def first_bytes(path: Path) -> bytes:
    """The start of a file. Raises ConfigError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError as error:
        why = error.strerror or "input error"
        raise ConfigError(f"{path} cannot be read ({why}): check the file and its rights") from error


def _pillow_knows(path: Path) -> bool:
    try:
        with Image.open(path, formats=_OPENED):
            return True
    except Exception:
        return False


def _decoded(image: Image.Image, path: Path) -> Bytes:
    """The open picture, or the one of an animation where it stands, as `decode_picture` gives it."""
    try:
        image.load()
        eight = _eight_bits(image)
        bgr = np.asarray(cv2.cvtColor(_srgb(eight, *_code_points(path)), cv2.COLOR_RGB2BGR), np.uint8)
        if eight.has_transparency_data:
            bgr = np.dstack([bgr, np.asarray(eight.convert("RGBA").getchannel("A"), np.uint8)])
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise ConfigError(f"{path} is not a whole picture, damaged or cut off: give another file") from error
    turned = 1
    with suppress(Exception):  # broken EXIF means upright
        turned = image.getexif().get(_ORIENTATION, 1)
    return upright(bgr, turned)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel; float pictures are taken as 0..1."""
    if image.mode == "P" and image.has_transparency_data:  # else Pillow warns of what it drops
        return image.convert("RGBA")
    if image.mode == "F":
        return Image.fromarray(_bytes_of(np.asarray(image)))
    if image.mode.startswith("I"):
        return Image.fromarray(_bytes_of(np.asarray(image).clip(0, 65535).astype(np.uint16)))
    return image


def _bytes_of(values: npt.NDArray[np.generic]) -> Bytes:
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return (np.nan_to_num(values.astype(np.float32)).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _srgb(image: Image.Image, primaries: int, transfer: int) -> Bytes:
    """Its colours in sRGB, (H, W, 3): by the profile it brings, or by the code points where it is wide or HDR."""
    profile = image.info.get("icc_profile")
    if transfer not in (PQ, HLG) and profile and not any(name in profile for name in _SRGB_NAMES):
        bands = {"P": "RGB", "PA": "RGB", "LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode)
        with suppress(ImageCms.PyCMSError, OSError, ValueError):  # a broken or foreign profile says nothing
            given = ImageCms.ImageCmsProfile(BytesIO(profile))
            found = ImageCms.profileToProfile(image.convert(bands), given, _SRGB, outputMode="RGB")
            return np.asarray(found, np.uint8)
    rgb = np.asarray(image.convert("RGB"), np.uint8)
    if is_sdr(primaries, transfer):
        return rgb
    frame = VideoFrame.from_ndarray(rgb, "rgb24")
    frame.color_primaries, frame.color_trc = primaries, transfer
    return np.asarray(ToSdr()(frame).to_ndarray(format="rgb24"), np.uint8)


def _code_points(path: Path) -> tuple[int, int]:
    """The primaries and transfer that a PNG, AVIF or HEIC names; 2, 2 where it says nothing.

    Of files with a gain map the picture itself is SDR, and the names are those of what is made of both.
    """
    with path.open("rb") as file:
        start = file.read(1 << 16)
    found = re.search(rb"cICP(..)|colrnclx\0(.)\0(.)", start, re.S)
    if found is None or b"tmap" in start[:64]:
        return 2, 2
    primaries, transfer = found[1] or found[2] + found[3]
    return primaries, transfer


def _floating(path: Path) -> Bytes:
    """Radiance, PFM and float TIFF by OpenCV."""
    image: npt.NDArray[np.generic] | None = None
    with suppress(cv2.error, MemoryError, OSError):
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ConfigError(f"{path} is not a whole picture, damaged or cut off: give another file")
    planes = np.atleast_3d(_bytes_of(image))
    return planes if planes.shape[2] >= 3 else np.repeat(planes[..., :1], 3, axis=2)


def upright(pixels: Bytes, turned: int) -> Bytes:
    """The picture as it is meant to be seen, for an EXIF orientation of 1 to 8."""
    if turned in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if turned in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turned in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
