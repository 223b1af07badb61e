"""Flicker and static-input jitter, on made-up pictures."""

import numpy as np
import pytest
from acting import SIZE, texture
from fakes import FakeFinder, FakeSwapper, a_face

from benchmarks.metrics.flicker import NOISE, Flicker, TemporalDeviation, face_box, noisy
from benchmarks.rig import SwapRig
from realtime.config import Settings
from realtime.frame import Pixels
from realtime.imaging.blend import Swapped
from realtime.tracking.face import Face

SETTINGS = Settings(color_transfer="none", mask_blur=8, mask_erode=0, sharpen=0)
FACE = a_face((160, 120), 160)


def test_flicker_forgives_motion_and_sees_what_changes_by_itself() -> None:
    flicker = Flicker(("flickering", "steady", "driver"))
    for n in range(8):
        driver = texture(shift=2 * n)
        steady = np.asarray(255 - driver, dtype=np.uint8)
        flickering = np.clip(steady.astype(np.int16) + (25 if n % 2 else -25), 0, 255).astype(np.uint8)
        flicker.see(driver, {"flickering": flickering, "steady": steady, "driver": driver}, FACE)
    errors = flicker.errors()
    assert errors["steady"] == pytest.approx(errors["driver"], rel=0.2)
    # Three channels off by 50 of 255 in every step.
    assert errors["flickering"] == pytest.approx(3 * (50 / 255) ** 2, rel=0.25)


def test_flicker_does_not_compare_across_a_gap() -> None:
    flicker = Flicker(("output",))
    flicker.see(texture(), {"output": 255 - texture()}, FACE)
    flicker.skip()
    flicker.see(texture(9), {"output": texture(3)}, FACE)
    flicker.see(texture(9), {"output": texture(3)}, None)  # nobody to look at
    flicker.see(texture(9), {"output": texture(3)}, FACE)
    assert flicker.errors() == {"output": None}


def test_a_box_stays_in_the_picture_or_is_none() -> None:
    assert face_box(a_face((160, 120), 100), SIZE, 0.1) is not None
    x0, y0, x1, y1 = face_box(a_face((10, 10), 100), SIZE, 0.5) or (9, 9, 999, 999)
    assert (x0, y0) == (0, 0)
    assert (x1, y1) <= SIZE
    assert face_box(a_face((-500, 10), 100), SIZE, 0.1) is None


class Trembler(FakeSwapper):
    """Paints another brightness each time."""

    def __call__(self, crop: Pixels, face: Face, *rest: object) -> Swapped:
        self.value = 180 if self.value == 200 else 200
        return super().__call__(crop, face)


def static(swapper: FakeSwapper, still: Pixels | None, blind: bool = False) -> dict[str, float]:
    finder = FakeFinder(lambda _seq: [] if blind else [a_face((160, 120), 140)])
    return SwapRig(finder, swapper, SETTINGS).static(still)


def test_the_noise_is_what_it_says_and_the_same_every_time() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    first = noisy(grey, np.random.default_rng(0))
    assert np.array_equal(first, noisy(grey, np.random.default_rng(0)))
    assert first.astype(float).std() == pytest.approx(NOISE, rel=0.03)


def test_the_deviation_is_over_time() -> None:
    kept = np.random.default_rng(2).integers(0, 255, (9, 6, 5, 3)).astype(np.uint8)
    found = TemporalDeviation(kept[0])
    for pixels in kept:
        found.add(pixels)
    assert found.map() == pytest.approx(np.sqrt(kept.astype(float).var(axis=0, ddof=1).mean(axis=2)), rel=1e-5)


def test_a_calm_swap_takes_the_noise_out_and_a_trembling_one_is_caught() -> None:
    calm, trembling = static(FakeSwapper(), texture()), static(Trembler(), texture())
    # A tenth of the camera's noise comes through where nine tenths are taken over.
    assert calm["output_std"] < 0.1 * NOISE
    assert calm["ratio"] < 0.1
    assert calm["input_std"] == pytest.approx(NOISE, rel=0.05)
    assert calm["pixels"] > 1000
    assert trembling["output_std"] == pytest.approx(10.0, rel=0.05)
    assert min(trembling["ratio"], trembling["p99_over_noise"]) > 4


def test_without_a_face_or_a_still_picture_the_reason_is_said() -> None:
    assert "no output" in str(static(FakeSwapper(), texture(), blind=True)["missing"])
    assert "no frame was replaced" in str(static(FakeSwapper(), None)["missing"])
