"""Picture files of every kind."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from realtime.capture.open_source import is_still, open_source
from realtime.capture.picture import Animation, Picture, decode_picture, load_picture, upright
from realtime.errors import ConfigError

QUADRANTS = np.zeros((20, 40, 3), np.uint8)
QUADRANTS[:10, :20] = (255, 0, 0)
QUADRANTS[:10, 20:] = (0, 255, 0)
QUADRANTS[10:, :20] = (0, 0, 255)
QUADRANTS[10:, 20:] = (255, 255, 255)


def saved(path: Path, image: npt.NDArray[np.generic]) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


LOSSLESS: dict[str, dict[str, object]] = {
    "webp": {"lossless": True},
    "jpg": {"quality": 98, "subsampling": 0},
    "avif": {"quality": 100, "subsampling": "4:4:4"},
}
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


def test_colour_is_kept_to_the_bit(tmp_path: Path) -> None:
    assert np.array_equal(load_picture(saved(tmp_path / "a.png", QUADRANTS)), QUADRANTS)


def test_grey_becomes_three_equal_planes(tmp_path: Path) -> None:
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    got = load_picture(saved(tmp_path / "a.png", grey))
    assert got.shape == (10, 20, 3)
    assert all(np.array_equal(got[..., i], grey) for i in range(3))


def test_sixteen_bits_are_rounded_to_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    assert load_picture(saved(tmp_path / "a.png", deep))[0, :, 0].tolist() == [0, 1, 128, 255]
    colour = np.full((4, 4, 3), (65535, 0, 257 * 7), np.uint16)
    assert load_picture(saved(tmp_path / "b.png", colour))[2, 2].tolist() == [255, 0, 7]


def test_float_pictures_are_taken_as_0_to_1(tmp_path: Path) -> None:
    light = np.array([[[0.0, 0.5, 2.0]]], np.float32)
    assert load_picture(saved(tmp_path / "a.tiff", light))[0, 0].tolist() == [0, 128, 255]


def test_transparency_shows_mid_grey(tmp_path: Path) -> None:
    image = np.zeros((1, 3, 4), np.uint8)
    image[0] = [(255, 0, 0, 255), (255, 0, 0, 0), (255, 0, 0, 128)]
    got = load_picture(saved(tmp_path / "a.png", image))[0].tolist()
    assert got == [[255, 0, 0], [128, 128, 128], [192, 64, 64]]


def test_a_palette_may_be_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.putpixel((1, 0), 0)
    image.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    assert load_picture(tmp_path / "a.png")[0].tolist() == [[0, 0, 255], [128, 128, 128]]


def test_one_pixel_stays_one_pixel(tmp_path: Path) -> None:
    got = load_picture(saved(tmp_path / "a.png", np.full((1, 1, 3), 9, np.uint8)))
    assert got.shape == (1, 1, 3)
    assert got[0, 0].tolist() == [9, 9, 9]


def test_8k_is_scaled_down_and_keeps_its_shape(tmp_path: Path) -> None:
    big = np.zeros((4320, 7680), np.uint8)
    big[:, 3840:] = 200
    got = load_picture(saved(tmp_path / "a.png", big))
    assert got.shape == (2160, 3840, 3)
    assert got[1000, 100].tolist() == [0, 0, 0]
    assert got[1000, 3000].tolist() == [200, 200, 200]


def test_an_animation_that_claims_more_pictures_ends_with_its_last(tmp_path: Path) -> None:
    moving = [Image.new("RGB", (8, 8), (90 * n, 0, 0)) for n in range(3)]
    moving[0].save(tmp_path / "a.png", save_all=True, append_images=moving[1:], duration=40)
    raw = (tmp_path / "a.png").read_bytes()
    at = raw.index(b"acTL")
    claim = b"acTL" + (2**31 - 1).to_bytes(4, "big") + raw[at + 8 : at + 12]
    lying = raw[:at] + claim + zlib.crc32(claim).to_bytes(4, "big") + raw[at + 16 :]
    (tmp_path / "a.png").write_bytes(lying)
    source = Animation(tmp_path / "a.png")
    assert [source.read() is not None for _ in range(5)] == [True, True, True, False, False]
    source.close()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_pictures_are_upright_as_their_exif_says(tmp_path: Path, suffix: str, turned: int, mode: str) -> None:
    if suffix == "jpg" and mode == "RGBA":
        pytest.skip("JPEG has no alpha")
    path = tmp_path / f"a.{suffix}"
    tags = Image.Exif()
    tags[0x0112] = turned
    Image.fromarray(QUADRANTS[..., ::-1]).convert(mode).save(path, exif=tags, **LOSSLESS.get(suffix, {}))
    found = load_picture(path)
    small = found[5::10, 10::20].astype(int) if turned < 5 else found[10::20, 5::10].astype(int)
    assert small.shape == (2, 2, 3)
    assert np.abs(small - upright(QUADRANTS[5::10, 10::20], turned)).max() <= 3


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x01\0", b"\xff" * 40])
def test_broken_exif_means_upright(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(QUADRANTS[..., ::-1]).save(tmp_path / "a.webp", exif=exif, lossless=True)
    assert np.array_equal(load_picture(tmp_path / "a.webp"), QUADRANTS)


@pytest.mark.parametrize("kept", [0, 4, 60, 400])
def test_cut_off_pictures_are_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    _, encoded = cv2.imencode(".png", noise)
    path = tmp_path / "cut.png"
    path.write_bytes(encoded.tobytes()[:kept])
    with pytest.raises(ConfigError, match=r"cut\.png is not a whole picture") as caught:
        load_picture(path)
    assert "\n" not in str(caught.value)


def test_missing_picture() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_picture(Path("no-such.png"))


def test_as_a_source(tmp_path: Path) -> None:
    path = saved(tmp_path / "face.png", QUADRANTS)
    source = Picture(path, size=(80, 80), rate_hz=10, count=2, clock=lambda: 5)
    first, second, end = source.read(), source.read(), source.read()
    assert end is None
    assert (source.name, source.size, source.rate_hz, source.duration_s) == ("face.png", (80, 80), 10, 0.2)
    assert (second.seq, second.media_s, second.captured_ns) == (1, 0.1, 5)
    assert second.pixels is first.pixels
    assert first.pixels[2, 40].tolist() == [0, 0, 0]  # the bar above
    assert first.pixels[30, 10].tolist() == [255, 0, 0]
    source.rewind()
    assert source.read() is not None
    source.unblock()
    assert source.read() is None
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (128, 128, 128)),
        ("P", 40, (40, 50, 60)),
        ("RGBA", (10, 20, 30, 0), (128, 128, 128)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("YCbCr", (128, 128, 128), (128, 128, 128)),
        ("I;16", 257 * 99, (99, 99, 99)),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_every_mode_becomes_colour(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: tuple[int, ...], suffix: str
) -> None:
    image = Image.new(mode, (40, 30), colour)
    if mode == "P":
        image.putpalette(bytes(v for i in range(256) for v in (i, min(255, i + 10), min(255, i + 20))))
    path = tmp_path / f"a.{suffix}"
    try:
        image.save(path)
    except OSError:
        pytest.skip(f"{suffix} has no {mode}")
    assert np.abs(load_picture(path)[10, 10, ::-1].astype(int) - expected).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif"])
def test_a_profile_is_taken_into_account(tmp_path: Path, suffix: str) -> None:
    # A made profile with red and green exchanged, by its tags: nothing else would show them so.
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = plain.replace(b"sRGB", b"Swap").replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))
    swapped = plain.replace(b"rXYZ", b"****").replace(b"gXYZ", b"rXYZ").replace(b"****", b"gXYZ")
    image = Image.new("RGB", (40, 30), (250, 10, 20))
    path = tmp_path / f"a.{suffix}"
    image.save(path, icc_profile=swapped, **LOSSLESS.get(suffix, {}))
    assert np.abs(load_picture(path)[10, 10, ::-1].astype(int) - (10, 250, 20)).max() <= 6
    image.save(path, icc_profile=b"no profile" * 20, **LOSSLESS.get(suffix, {}))
    assert np.abs(load_picture(path)[10, 10, ::-1].astype(int) - (250, 10, 20)).max() <= 3


def test_pictures_in_hdr_become_sdr(tmp_path: Path) -> None:
    # PNG, third edition: the chunk cICP says BT.2020 and PQ. White at 203 cd/m2 is 0.58 of the range.
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 30), (148, 148, 148)).save(path)
    data = path.read_bytes()
    chunk = b"cICP\x09\x10\0\1"
    path.write_bytes(data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])
    assert load_picture(path)[10, 10].min() >= 235
    path = tmp_path / "a.avif"
    Image.new("RGB", (40, 30), (148, 148, 148)).save(path, quality=100)
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + b"\0\x09\0\x10" + data[at + 4 :])
    assert load_picture(path)[10, 10].min() >= 235


@pytest.mark.parametrize("suffix", ["webp", "gif", "png", "avif"])
def test_animations_are_motion_pictures(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGBA", (48, 32), (0, 0, 0, 0)) for _ in range(3)]
    for frame, colour in zip(frames, [(250, 0, 0, 255), (0, 250, 0, 255), (0, 0, 250, 255)], strict=True):
        frame.paste(colour, (0, 0, 24, 32))
        frame.paste(colour, (44, 0, 48, 4))
    path = tmp_path / f"a.{suffix}"
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=[40, 80, 120], disposal=2, **LOSSLESS.get(suffix, {})
    )
    assert not is_still(str(path))
    source = open_source(str(path), pace="all")
    assert isinstance(source, Animation)
    assert (source.size, source.rate_hz) == ((48, 32), pytest.approx(25))
    for lap in range(2):
        found = list(iter(source.read, None))
        assert [shown.seq for shown in found] == [3 * lap, 3 * lap + 1, 3 * lap + 2]
        assert [shown.media_s for shown in found] == pytest.approx([0, 0.04, 0.12])
        for shown, colour in zip(found, [(0, 0, 250), (0, 250, 0), (250, 0, 0)], strict=True):
            assert np.abs(shown.pixels[16, 12].astype(int) - colour).max() <= 6
            assert np.abs(shown.pixels[16, 36].astype(int) - 128).max() <= 6
        assert source.duration_s == pytest.approx(0.24)
        source.rewind()
    source.unblock()
    assert source.read() is None
    source.close()
    assert load_picture(path)[16, 12].argmax() == 2  # in a place for stills, the first one


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><title>Quota</title>", "is a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing"),
        (b"%PDF-1.7 ", "is a PDF document"),
        (b"8BPS\0\1", "is a Photoshop document"),
        (b"\xff\x0a\xfa\x7f", "is a JPEG XL picture"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "is a video"),
        (b"\0\0\0\x20ftypheic\0\0\0\0", "is a HEIC picture"),
        (b"PK\3\4", "is a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
        (b"just words", "is not a whole picture"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        load_picture(path)
    assert "\n" not in str(caught.value)
    assert ": give " in str(caught.value)


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 60_000)])
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b""))
    with pytest.raises(ConfigError, match=rf"a\.png has {size[0]}x{size[1]} pixels, too many"):
        load_picture(path)


@pytest.mark.parametrize("name", ["photo.heic", "turned.avif"])
def test_the_cases_from_the_field(name: str) -> None:
    if not CASES.exists():
        pytest.skip("the shared cases are not here")
    pixels = decode_picture(CASES / name)
    assert pixels.shape == (540, 960, 3)
    # Upright: the hair is above the chin, and both halves hold one half of the face.
    assert pixels[60:120, 440:520].mean() < pixels[300:400, 440:520].mean()


def test_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"odd\xff.png")
    try:
        path.write_bytes(cv2.imencode(".png", QUADRANTS)[1].tobytes())
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    assert np.array_equal(load_picture(path), QUADRANTS)
    assert is_still(str(path))
