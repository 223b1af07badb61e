"""The hidden pattern is found wherever the driver shines through, and nowhere else."""

import cv2
import numpy as np
import pytest
from acting import texture
from drives import rendered_head

from benchmarks.watermark import SURE, Watermark
from realtime.frame import Pixels

SIZE = (960, 540)


@pytest.fixture(scope="module")
def pair() -> tuple[Watermark, Pixels, Pixels]:
    plain = rendered_head(1)[0]
    mark = Watermark(SIZE)
    return mark, plain, mark.on(plain)


def test_it_is_hardly_seen_and_surely_found(pair: tuple[Watermark, Pixels, Pixels]) -> None:
    mark, plain, marked = pair
    assert np.abs(marked.astype(int) - plain).max() <= 5
    assert mark.strength(marked) > 10 * SURE
    assert abs(mark.strength(plain)) < SURE


@pytest.mark.parametrize("share", [1.0, 0.5, 0.15])
def test_a_driver_who_shines_through_is_found(pair: tuple[Watermark, Pixels, Pixels], share: float) -> None:
    mark, _, marked = pair
    avatar = cv2.resize(texture(shift=3), SIZE, interpolation=cv2.INTER_CUBIC)
    mixed = np.rint(share * marked.astype(float) + (1 - share) * avatar).astype(np.uint8)
    assert mark.strength(mixed) > SURE


def test_a_tenth_of_the_picture_is_enough(pair: tuple[Watermark, Pixels, Pixels]) -> None:
    mark, _, marked = pair
    picture = np.full_like(marked, 90)
    picture[200:380, 330:620] = marked[200:380, 330:620]
    assert mark.strength(picture) > SURE


def test_other_pictures_have_none(pair: tuple[Watermark, Pixels, Pixels]) -> None:
    mark, plain, _ = pair
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, plain.shape).astype(np.uint8)
    others = [noise, np.zeros_like(plain), Watermark(SIZE, seed=5).on(plain), plain[:, ::-1].copy()]
    assert all(abs(mark.strength(picture)) < SURE for picture in others)
