"""What a picture's file is and how large, from its header: asked before anything is decoded.

A few kilobytes can claim a picture that fills the memory when it is decoded, and the live loop lives in the same
process. The numbers are where the formats' specifications put them (PNG 1.2, GIF89a, BMP, JPEG T.81, WebP RFC 9649,
TIFF 6.0, HEIF ISO 23008-12).
"""

import struct
from collections.abc import Callable

Size = tuple[int, int]


def picture_header(data: bytes) -> tuple[str, Size] | None:
    """(suffix, (width, height)) of a whole file; None where it is none of the kinds below, or its header is broken.

    What is rarer than these is for the command alone.
    """
    for at, magic, suffix, size_of in _KINDS:
        if data[at : at + len(magic)] == magic:
            try:
                size = size_of(data)
            except (struct.error, IndexError, ValueError):
                return None
            return (suffix, size) if min(size) > 0 else None
    return None


def _png(data: bytes) -> Size:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: bytes) -> Size:
    width, height = struct.unpack_from("<ii", data, 18)  # a negative height: rows from the top
    return abs(width), abs(height)


def _jpeg(data: bytes) -> Size:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # alone, without a length
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        elif marker in (0xD9, 0xDA):
            raise ValueError("no frame")
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> Size:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, at)
    found: dict[int, int] = {}
    for number in range(entries):
        tag, kind, _ = struct.unpack_from(order + "HHI", data, at + 2 + 12 * number)
        if tag in (256, 257):
            (found[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 10 + 12 * number)
    if len(found) < 2:
        raise ValueError("no size")
    return found[256], found[257]


def _avif(data: bytes) -> Size:
    """The largest of all images and tiles that the file says it holds."""
    sizes = []
    at = data.find(b"ispe")
    while at >= 0:
        sizes.append(struct.unpack_from(">II", data, at + 8))
        at = data.find(b"ispe", at + 4, 1 << 20)
    width, height = max(sizes, key=lambda size: int(size[0]) * int(size[1]))
    return int(width), int(height)


_KINDS: tuple[tuple[int, bytes, str, Callable[[bytes], Size]], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png", _png),
    (0, b"\xff\xd8\xff", "jpg", _jpeg),
    (0, b"GIF8", "gif", _gif),
    (0, b"BM", "bmp", _bmp),
    (0, b"II*\0", "tif", _tiff),
    (0, b"MM\0*", "tif", _tiff),
    (8, b"WEBP", "webp", _webp),
    (4, b"ftypavif", "avif", _avif),
)
