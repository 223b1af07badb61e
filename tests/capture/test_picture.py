"""Still pictures of every kind."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from realtime.capture.picture import Picture, load_picture, orientation
from realtime.errors import ConfigError

QUADRANTS = np.zeros((20, 40, 3), np.uint8)
QUADRANTS[:10, :20] = (255, 0, 0)
QUADRANTS[:10, 20:] = (0, 255, 0)
QUADRANTS[10:, :20] = (0, 0, 255)
QUADRANTS[10:, 20:] = (255, 255, 255)


def saved(path: Path, image: npt.NDArray[np.generic]) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def exif(turned: int, big_endian: bool = False) -> bytes:
    order = "big" if big_endian else "little"
    return (b"MM" if big_endian else b"II") + b"".join(
        value.to_bytes(size, order)  # type: ignore[arg-type]
        for value, size in ((42, 2), (8, 4), (1, 2), (0x0112, 2), (3, 2), (1, 4), (turned, 2), (0, 2), (0, 4))
    )


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


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_exif_orientation(tmp_path: Path, extension: str, turned: int) -> None:
    block = np.frombuffer(exif(turned), np.uint8)
    done, encoded = cv2.imencodeWithMetadata(extension, QUADRANTS, [cv2.IMAGE_METADATA_EXIF], [block])
    assert done
    path = tmp_path / f"a{extension}"
    path.write_bytes(encoded.tobytes())
    # OpenCV turns pictures by itself when asked for plain colour: the reference.
    expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    got = load_picture(path)
    assert got.shape == expected.shape == ((20, 40, 3) if turned < 5 else (40, 20, 3))
    assert np.array_equal(got, expected)


def test_transparent_pictures_are_turned_too(tmp_path: Path) -> None:
    image = np.dstack([QUADRANTS, np.full((20, 40), 255, np.uint8)])
    block = np.frombuffer(exif(6), np.uint8)
    _, encoded = cv2.imencodeWithMetadata(".png", image, [cv2.IMAGE_METADATA_EXIF], [block])
    (tmp_path / "a.png").write_bytes(encoded.tobytes())
    assert np.array_equal(load_picture(tmp_path / "a.png"), cv2.rotate(QUADRANTS, cv2.ROTATE_90_CLOCKWISE))


def test_broken_exif_means_upright() -> None:
    assert orientation(exif(6)) == orientation(exif(6, big_endian=True)) == 6
    assert orientation(b"Exif\0\0" + exif(8)) == 8
    whole = exif(6)
    for cut in range(len(whole)):
        assert orientation(whole[:cut]) in (1, 6)
    assert orientation(exif(77)) == orientation(b"") == orientation(b"II*\0\xff\xff\xff\xff") == 1


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
