"""The tone of a new part taken over from what is round it."""

import cv2
import numpy as np

from realtime.families.lip_sync.lower_face import changed, match_seam
from realtime.frame import Floats, Pixels

SIZE = 96


def mask() -> Floats:
    drawn = np.zeros((SIZE, SIZE), np.float32)
    cv2.circle(drawn, (48, 60), 26, (1.0,), -1)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 3.5), np.float32)


def skin(seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    tone = np.stack([110 + 0.3 * x, 140 + 0.2 * y, 190 - 0.2 * x], axis=2) + rng.normal(0, 2, (SIZE, SIZE, 3))
    return tone.astype(np.uint8)


def seam(new: Pixels, old: Pixels, part: Floats) -> float:
    """The mean difference where the mask is half."""
    rim = (part > 0.3) & (part < 0.7)
    return float(np.abs(new[rim].astype(int) - old[rim]).mean())


def test_another_tone_is_taken_to_that_of_the_picture() -> None:
    old, part = skin(), mask()
    new = np.clip(old.astype(int) + (14, -12, 18), 0, 255).astype(np.uint8)
    matched = match_seam(new, old, part)
    assert seam(new, old, part) > 12
    assert seam(matched, old, part) < 2
    assert np.abs(matched[50:70, 38:58].astype(int) - old[50:70, 38:58]).mean() < 3  # the middle goes with it


def test_light_from_the_side_is_followed() -> None:
    part, old = mask(), skin()
    shade = np.linspace(-25, 25, SIZE)[None, :, None]
    new = np.clip(old + shade, 0, 255).astype(np.uint8)
    assert seam(match_seam(new, old, part), old, part) < 0.3 * seam(new, old, part)


def test_an_open_mouth_in_the_middle_does_not_bleed() -> None:
    part, old = mask(), skin()
    new = old.copy()
    cv2.ellipse(new, (48, 60), (14, 8), 0, 0, 360, (20, 10, 60), -1)
    matched = match_seam(new, old, part)
    assert np.abs(matched.astype(int) - new).max() <= 4


def test_where_all_is_equal_or_masked_nothing_changes() -> None:
    old = skin()
    np.testing.assert_array_equal(match_seam(old, old, mask()), old)
    other = skin(1)
    np.testing.assert_array_equal(match_seam(other, old, np.zeros((SIZE, SIZE), np.float32)), other)


def test_where_nothing_changed_the_frame_is_kept() -> None:
    old = np.random.default_rng(2).integers(60, 200, (64, 64, 3), np.uint8)
    new = old.copy()
    new[40:50, 24:40] = 20
    share = changed(new, old)
    assert (share[40:50, 24:40] == 1).all()
    assert share[:28].max() == 0
    assert 0 < share[:, 32].sum() < 40
    assert changed(old + np.uint8(2), old).max() == 0  # a tone that nobody sees


def test_large_pictures_are_matched_as_small_ones() -> None:
    old, part = skin(), mask()
    new = np.clip(old.astype(int) + (14, -12, 18), 0, 255).astype(np.uint8)
    cv2.ellipse(new, (48, 60), (14, 8), 0, 0, 360, (20, 10, 60), -1)
    large = [np.asarray(cv2.resize(x, (288, 288), interpolation=cv2.INTER_CUBIC)) for x in (new, old, part)]
    whole = match_seam(large[0].astype(np.uint8), large[1].astype(np.uint8), large[2].clip(0, 1).astype(np.float32))
    smaller = cv2.resize(whole, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - match_seam(new, old, part)).mean() < 1.5
