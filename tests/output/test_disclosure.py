"""The badge can be read, nobody can be recognised behind a slate, files say what they are."""

import cv2
import numpy as np
import pytest

from realtime.output.disclosure import CAMERA_LABEL, badge, blurred_slate, metadata, slate


def corner(picture):
    rows, columns = picture.shape[:2]
    return picture[: round(0.12 * rows), columns - round(0.12 * columns) :]


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (1920, 1080), (641, 481), (360, 640)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_the_badge_stands_out_on_any_picture(width, height, level):
    pixels = np.full((height, width, 3), level, np.uint8)
    pixels.flags.writeable = False
    out = badge(pixels)
    assert out is not pixels
    changed = np.argwhere((out != pixels).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    # In the top right corner, about 7 % of the height, off the edges.
    assert 0 < top < 0.05 * height
    assert 0.9 * width - 0.1 * height < left < right < width - 1
    assert 0.05 * height < bottom - top + 1 < 0.08 * height
    # White ink on a dark ground, whatever is behind.
    patch = out[top : bottom + 1, left : right + 1]
    assert patch.max() >= 245
    assert np.percentile(patch, 25) < 80


def test_the_badge_says_ai_at_360p():
    out = badge(np.full((360, 640, 3), 128, np.uint8))
    ink = (out.min(axis=2) > 215).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink)
    letters = [s for s in stats[1:count] if s[cv2.CC_STAT_HEIGHT] >= 10]
    assert len(letters) == 2
    first, second = sorted(letters, key=lambda s: s[cv2.CC_STAT_LEFT])
    assert first[cv2.CC_STAT_WIDTH] > 2 * second[cv2.CC_STAT_WIDTH]  # an A, then an I
    assert first[cv2.CC_STAT_HEIGHT] == second[cv2.CC_STAT_HEIGHT]


def test_the_badge_touches_nothing_else():
    pixels = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    out = badge(pixels)
    same = (out == pixels).all(axis=2)
    assert same[80:].all()
    assert same[:, :1150].all()
    assert np.array_equal(out, badge(pixels))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (5, 7), (17, 17), (20, 400)])
def test_the_smallest_pictures_get_what_fits(shape):
    pixels = np.full((*shape, 3), 90, np.uint8)
    out = badge(pixels)
    assert out.shape == pixels.shape
    assert not np.array_equal(out, pixels)


def ink_box(picture):
    lit = np.argwhere(picture.min(axis=2) > 120)
    return lit.min(axis=0), lit.max(axis=0)


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (360, 640), (321, 199)])
def test_a_slate_is_calm_and_its_text_in_the_middle(size):
    picture = slate(size, ["Ada is on a short break", "back soon"])
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.mean() < 70
    low, high = ink_box(picture)
    assert low[0] > 0.2 * size[1]
    assert high[0] < 0.8 * size[1]
    assert abs((low[1] + high[1]) / 2 - size[0] / 2) < 0.02 * size[0] + 2


def test_a_long_line_is_set_smaller_and_not_cut_off():
    title = "A title that is far too long to stand on one line of this slate, truly"
    low, high = ink_box(slate((640, 360), [title]))
    assert low[1] > 0.05 * 640
    assert high[1] < 0.95 * 640


def test_different_lines_give_different_slates():
    assert not np.array_equal(slate((320, 180), ["Ada"]), slate((320, 180), ["Bo"]))
    assert np.array_equal(slate((320, 180), ["Ada"]), slate((320, 180), ["Ada"]))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (40, 30)])
@pytest.mark.parametrize("lines", [[], ["Ada"], ["Ada", "", "é €"]])
def test_any_slate_can_be_made(size, lines):
    assert slate(size, lines).shape == (size[1], size[0], 3)


def test_a_blurred_slate_keeps_no_features():
    """Two pictures alike in their means but not in detail end as good as equal."""
    rng = np.random.default_rng(1)
    colors = rng.integers(40, 216, (7, 12, 3), dtype=np.uint8)
    coarse = cv2.resize(colors, (1280, 720), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:720, 0:1280]
    stripes = (30 * np.sign(np.sin(2 * np.pi * x / 20) * np.sin(2 * np.pi * y / 20)))[:, :, None]
    plain = coarse.clip(30, 225)
    detailed = (plain + stripes).astype(np.uint8)
    one, two = blurred_slate(plain), blurred_slate(detailed)
    assert one.shape == plain.shape
    assert np.abs(plain.astype(int) - detailed).mean() > 25
    assert np.abs(one.astype(int) - two).max() <= 3
    # No detail finer than a twelfth of the width is left.
    assert np.abs(np.diff(one.astype(int), axis=1)).max() <= 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 5), (1280, 720)])
def test_any_picture_can_be_blurred(shape):
    pixels = np.full((*shape, 3), 131, np.uint8)
    assert np.array_equal(blurred_slate(pixels), pixels)


def test_labels_say_it_too():
    assert "AI" in CAMERA_LABEL
    tags = metadata("ada", "synthetic", "0.1.0")
    assert tags["masquerade_model"] == "ada"
    assert tags["masquerade_identity"] == "synthetic"
    assert tags["masquerade_version"] == "0.1.0"
    assert all(word in tags["comment"] for word in ("AI", "ada", "synthetic", "0.1.0"))
    assert all(isinstance(value, str) for value in tags.values())
