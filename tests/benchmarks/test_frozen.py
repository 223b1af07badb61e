"""A still picture under noise, worked off by swappers that calm it, pass it on, or tremble themselves."""

import numpy as np
import pytest
from acting import SIZE, texture
from fakes import FakeFinder, FakeSwapper, a_face

from benchmarks.clip_figures import ClipRecord
from benchmarks.frozen import NOISE, Trembling, noisy
from benchmarks.stand import freeze
from realtime.frame import Pixels
from realtime.imaging.blend import Swapped
from realtime.settings import Settings
from realtime.tracking.face import Face

SETTINGS = Settings(color_transfer="none", mask_blur=8, mask_erode=0, sharpen=0)


class Trembler(FakeSwapper):
    """Paints another brightness each time."""

    def __call__(self, crop: Pixels, face: Face) -> Swapped:
        self.value = 180 if self.value == 200 else 200
        return super().__call__(crop, face)


def frozen(swapper: FakeSwapper, blind: bool = False) -> dict[str, float]:
    record = ClipRecord("still", 30.0, SIZE, still=texture())
    finder = FakeFinder(lambda _seq: [] if blind else [a_face((160, 120), 140)])
    freeze(finder, swapper, SETTINGS, record)
    return record.frozen


def test_the_noise_is_what_it_says_and_the_same_every_time() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    first = noisy(grey, np.random.default_rng(0))
    assert np.array_equal(first, noisy(grey, np.random.default_rng(0)))
    assert first.astype(float).std() == pytest.approx(NOISE, rel=0.03)


def test_trembling_is_the_deviation_over_time() -> None:
    found = Trembling()
    rng = np.random.default_rng(2)
    kept = [rng.integers(0, 255, (6, 5, 3)).astype(np.uint8) for _ in range(9)]
    for pixels in kept:
        found.add(pixels)
    expected = np.sqrt(np.stack(kept).astype(float).var(axis=0, ddof=1).mean(axis=2))
    assert found.map() == pytest.approx(expected, rel=1e-5)


def test_a_calm_swap_takes_the_noise_out() -> None:
    found = frozen(FakeSwapper())
    # A tenth of the camera's noise comes through where nine tenths are taken over.
    assert found["output_std"] < 0.1 * NOISE
    assert found["ratio"] < 0.1
    assert found["input_std"] == pytest.approx(NOISE, rel=0.05)
    assert found["pixels"] > 1000


def test_a_trembling_swap_is_caught() -> None:
    found = frozen(Trembler())
    assert found["output_std"] == pytest.approx(10.0, rel=0.05)
    assert found["ratio"] > 4
    assert found["p99_over_noise"] > 4


def test_without_a_face_or_a_still_picture_the_reason_is_said() -> None:
    assert "missing" in frozen(FakeSwapper(), blind=True)
    record = ClipRecord("nobody", 30.0, SIZE)
    freeze(FakeFinder(), FakeSwapper(), SETTINGS, record)
    assert "no frame was replaced" in record.frozen["missing"]
