"""How alike two pictures are."""

import numpy as np
import pytest

from benchmarks.metrics.likeness import ciede2000, gradient_energy, grey, lab, ssim

# From the table of Sharma, Wu and Dalal, 2005: pairs that an implementation gets wrong easily.
PAIRS = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (50.0, 3.2592, 0.3350), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("one", "other", "difference"), PAIRS)
def test_colours_differ_as_in_the_published_table(one: tuple, other: tuple, difference: float) -> None:
    assert ciede2000(one, other) == pytest.approx(difference, abs=1e-4)
    assert ciede2000(other, one) == pytest.approx(difference, abs=1e-4)


def test_white_and_black_in_lab() -> None:
    shown = lab(np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8))
    assert shown[0, 0] == pytest.approx([100, 0, 0], abs=0.1)
    assert shown[0, 1] == pytest.approx([0, 0, 0], abs=0.1)


def test_a_picture_is_like_itself_and_less_like_a_blurred_one() -> None:
    rough = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    smooth = np.full_like(rough, 128)
    assert ssim(grey(rough), grey(rough)).min() == pytest.approx(1.0, abs=1e-4)
    assert ssim(grey(rough), grey(smooth)).mean() < 0.1
    assert gradient_energy(grey(smooth)).max() == 0
    assert gradient_energy(np.tile(np.arange(16, dtype=np.float32) * 3, (16, 1))).mean() == pytest.approx(9)
