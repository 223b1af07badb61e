"""How large a picture says it is, without decoding it."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from realtime.web.picture_header import picture_header


def encoded(suffix: str, size: tuple[int, int] = (70, 46), options: tuple[int, ...] = ()) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    ok, data = cv2.imencode(f".{suffix}", cv2.GaussianBlur(pixels, (0, 0), 2), options)
    assert ok
    return data.tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp", "avif"])
@pytest.mark.parametrize("size", [(70, 46), (33, 300)])
def test_every_kind_says_its_size(suffix: str, size: tuple[int, int]) -> None:
    assert picture_header(encoded(suffix, size)) == (suffix, size)


def test_the_kinds_of_webp_and_jpeg() -> None:
    lossless = encoded("webp", (70, 46), (cv2.IMWRITE_WEBP_QUALITY, 101))
    assert lossless[12:16] == b"VP8L"
    assert picture_header(lossless) == ("webp", (70, 46))
    extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (4095).to_bytes(3, "little") + (99).to_bytes(3, "little")
    assert picture_header(extended) == ("webp", (4096, 100))
    progressive = encoded("jpg", (70, 46), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    assert picture_header(progressive) == ("jpg", (70, 46))
    plain = encoded("jpg")
    assert picture_header(plain[:2] + b"\xff\xe1\x00\x06Exif\xff" + plain[2:]) == ("jpg", (70, 46))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_what_is_claimed_is_read_and_nothing_is_decoded() -> None:
    assert picture_header(bomb(60_000, 60_000)) == ("png", (60_000, 60_000))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp", "avif"])
def test_a_broken_header_is_none_at_whatever_byte_it_ends(suffix: str) -> None:
    whole = encoded(suffix)
    answers = {picture_header(whole[:length]) for length in range(0, 400)}
    assert answers <= {None, (suffix, (70, 46))}
    noise = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(whole[:600])
        for at in noise.integers(12, len(data), 20):
            data[at] = noise.integers(0, 256)
        picture_header(bytes(data))  # gives an answer, and ends


@pytest.mark.parametrize(
    "data", [b"", b"BM", b"<svg/>", b"%PDF-1.7", b"GIF8", b"\xff\xd8\xff" * 9, b"\xff\xd8" + b"\xff" * 99]
)
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert picture_header(data) is None
