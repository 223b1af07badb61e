"""What is looked at before it is taken: a bundle's .zip, a picture's header, and the room on the disk."""

import asyncio
import stat
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import a_bundle, one_line

from realtime.errors import ConfigError, DeviceError
from realtime.models.library import load_bundle
from realtime.web.upload import MOST_FILES, check_picture, unpack, write_limited

CARD = ("model.toml", b"schema = 1")


def archive(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in entries:
            opened.writestr(name, data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("inside", ["", "eve/"])
def test_a_packed_bundle_is_the_bundle(tmp_path: Path, folder: Path, inside: str) -> None:
    bundle = a_bundle(tmp_path / "eve")
    files = [(f"{inside}{file.name}", file.read_bytes()) for file in bundle.iterdir()]
    unpack(archive(tmp_path / "a.zip", *files, ("__MACOSX/._x", b"x"), (f"{inside}.DS_Store", b"x")), folder)
    assert sorted(file.name for file in folder.iterdir()) == ["model.toml", "preview.jpg", "swap.onnx"]
    assert load_bundle(folder).name == "eve"


@pytest.mark.parametrize(
    "name",
    [
        "../evil.onnx", "a/../../evil.onnx", "/etc/evil.onnx", "a/b/c.onnx", "..", "a/..", "C:\\evil.onnx",
        "a\\..\\evil", "evil.pkl", "evil.so", "con.onnx", ".hidden", "evil\n.onnx",
        "\u202egnp.onnx", "x" * 300 + ".onnx",
    ],
)  # fmt: skip
def test_no_path_and_no_odd_name_reaches_the_disk(tmp_path: Path, folder: Path, name: str) -> None:
    file = archive(tmp_path / "a.zip", (name, b"evil"), CARD)
    one_line(lambda: unpack(file, folder), ConfigError)
    assert not list(folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "in"]


def test_a_bomb_is_stopped_by_what_it_unpacks_to(tmp_path: Path, folder: Path) -> None:
    file = archive(tmp_path / "a.zip", CARD, ("swap.onnx", bytes(8 << 20)))
    assert file.stat().st_size < 20_000
    assert "2 GiB" in one_line(lambda: unpack(file, folder, most_bytes=1 << 20), ConfigError)
    assert (folder / "swap.onnx").stat().st_size <= 1 << 20


def test_a_link_too_many_files_two_folders_twice_the_same_and_no_card(tmp_path: Path, folder: Path) -> None:
    link = zipfile.ZipInfo("swap.onnx")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(tmp_path / "twice.zip", CARD, CARD)
    many = archive(tmp_path / "many.zip", CARD, *((f"f{n}.bin", b"") for n in range(MOST_FILES + 1)))
    for file, words in (
        (archive(tmp_path / "link.zip", CARD, (link, b"/etc/passwd")), "link"),
        (many, str(MOST_FILES)),
        (archive(tmp_path / "two.zip", ("a/model.toml", b""), ("b/swap.onnx", b"")), "one folder"),
        (twice, ""),
        (archive(tmp_path / "no.zip", ("a.onnx", b"")), "model.toml"),
    ):
        assert words in one_line(partial(unpack, file, folder), ConfigError)
        assert not list(folder.iterdir())


def test_what_is_no_archive_or_a_damaged_one(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "text.zip").write_bytes(b"PK\x03\x04 not really")
    assert "cannot be read" in one_line(lambda: unpack(tmp_path / "text.zip", folder), ConfigError)
    good = archive(tmp_path / "a.zip", ("swap.onnx", b"network " * 1000), CARD)
    raw = bytearray(good.read_bytes())
    raw[50:60] = b"\xff" * 10
    good.write_bytes(raw)
    assert "cannot be read" in one_line(lambda: unpack(good, folder), ConfigError)
    encrypted = bytearray(archive(tmp_path / "b.zip", CARD).read_bytes())
    at = encrypted.index(b"PK\x01\x02") + 8
    encrypted[at] |= 1
    (tmp_path / "b.zip").write_bytes(encrypted)
    assert "encrypted" in one_line(lambda: unpack(tmp_path / "b.zip", folder), ConfigError)


def encoded(suffix: str, size: tuple[int, int] = (70, 46)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    ok, data = cv2.imencode(f".{suffix}", cv2.GaussianBlur(pixels, (0, 0), 2))
    assert ok
    return data.tobytes()


KINDS = ["png", "jpg", "gif", "bmp", "tif", "webp", "avif"]


def looked_at(folder: Path, data: bytes) -> str:
    """The picture's suffix; the error's line where it is refused."""
    (folder / "file").write_bytes(data)
    with suppress(ConfigError):
        return check_picture(folder / "file", "Mine")
    return one_line(lambda: check_picture(folder / "file", "Mine"), ConfigError)


@pytest.mark.parametrize("suffix", KINDS)
def test_a_picture_is_known_by_its_header_whatever_byte_it_ends_at(folder: Path, suffix: str) -> None:
    whole = encoded(suffix)
    assert looked_at(folder, whole) == suffix
    for length in range(0, 400, 7):
        assert looked_at(folder, whole[:length]) == suffix or "not a whole picture" in looked_at(folder, whole[:length])
    noise = np.random.default_rng(1)
    for _ in range(100):
        data = bytearray(whole[:600])
        for at in noise.integers(12, len(data), 20):
            data[at] = noise.integers(0, 256)
        looked_at(folder, bytes(data))  # gives an answer, and ends


def test_a_telephones_picture_is_known(folder: Path, shared: Path) -> None:
    assert looked_at(folder, (shared / "cases" / "photo.heic").read_bytes()) == "heic"


def huge_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (huge_png(60_000, 60_000), "60000x60000 pixels, too many"),
        (huge_png(10_001, 10_000), "too many"),
        (b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + bytes(8), "many|not a whole picture"),
        (b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, 50_000, -50_000, 1, 24, 0, 0, 0, 0, 0, 0), "too many"),
        *((data, "not a whole picture") for data in (b"", b"BM", b"GIF8", b"%!PS-Adobe EPSF-3.0")),
        (b"<svg/>", "Mine is an SVG drawing"),
        (b"%PDF-1.7", "Mine is a PDF document"),
        *((data, "not a whole picture") for data in (b"\xff\xd8\xff" * 9, b"\xff\xd8" + b"\xff" * 99)),
    ],
)
def test_a_huge_picture_and_what_is_none_are_refused_before_anything_is_decoded(
    folder: Path, data: bytes, words: str
) -> None:
    assert any(word in looked_at(folder, data) for word in words.split("|")), looked_at(folder, data)


def test_a_file_of_unknown_size_never_fills_the_disk(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    with pytest.raises(DeviceError, match="nearly full"):
        asyncio.run(write_limited(endless(), tmp_path / "file", 1 << 40, "too large", spare_bytes=1 << 62))
    assert sent <= 16 << 20
