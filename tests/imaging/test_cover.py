"""What is left of a face that is covered: nothing; and of all around it: everything."""

import math

import cv2
import numpy as np
import pytest

from realtime.imaging.cover import Oval, cover

SIZE = 120


def a_picture(light: float, contrast: float) -> np.ndarray:
    """Something with detail and shade: brighter to the right, as a face lit from there."""
    grain = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (SIZE, SIZE, 3)), (0, 0), 2)
    shade = np.linspace(-1, 1, SIZE)[None, :, None]
    return np.clip(light + contrast * (grain / grain.std() + shade), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("light", "contrast"), [(150, 30), (150, 3), (20, 6), (235, 10)])
def test_inside_nothing_is_like_the_picture_and_outside_all_is(light: float, contrast: float) -> None:
    given = a_picture(light, contrast)
    made = cover(given, [Oval(60, 55, 30, 40)])
    inside, outside = np.zeros((SIZE, SIZE), np.uint8), np.ones((SIZE, SIZE), np.uint8)
    cv2.ellipse(inside, (60, 55), (23, 31), 0, 0, 360, 1, -1)
    cv2.ellipse(outside, (60, 55), (32, 42), 0, 0, 360, 0, -1)
    assert np.ptp(made[inside > 0], axis=0).max() == 0
    differs = np.abs(made.astype(int) - given).mean(axis=2)
    assert (differs[inside > 0] > 4).mean() > 0.6  # whatever the light: one's own mean would be too near
    assert np.array_equal(made[outside > 0], given[outside > 0])
    assert np.array_equal(given, a_picture(light, contrast))


@pytest.mark.parametrize("middle", [(0, 60), (119, 119), (-10, -10), (400, 60)])
def test_it_may_lie_across_the_edge_or_beside_the_picture(middle: tuple[int, int]) -> None:
    given = a_picture(150, 30)
    made = cover(given, [Oval(*middle, 30, 40, math.radians(30))])
    assert made.shape == given.shape
    assert np.array_equal(made, given) == (middle == (400, 60))


def test_an_oval_of_any_size_takes_no_more_memory_than_the_picture() -> None:
    """A network that answers nonsense may ask for one: the blur of a mask must not grow with it."""
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    covered = cover(picture, [Oval(80, 45, 4e6, 4e6)])
    assert np.ptp(covered.reshape(-1, 3), axis=0).max() <= 1
