"""Many channels as one."""

import numpy as np
import pytest

from realtime.audio.sound_file import to_mono, weights

SURROUND = ["FL", "FR", "FC", "LFE", "BL", "BR"]


def test_two_channels_are_averaged() -> None:
    both = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, -1.0]], np.float32)
    np.testing.assert_array_equal(to_mono(both, ["FL", "FR"]), np.array([0.5, 0.5, -0.5], np.float32))


def test_one_channel_is_itself() -> None:
    one = np.array([[0.1, -0.2]], np.float32)
    np.testing.assert_array_equal(to_mono(one, ["FC"]), one[0])


def test_of_a_surround_bed_the_centre_counts_most_and_the_effects_not() -> None:
    share = dict(zip(SURROUND, weights(SURROUND), strict=True))
    assert share["FC"] == max(share.values())
    assert share["LFE"] == 0
    assert share["FL"] == share["FR"] > share["BL"] == share["BR"] > 0
    assert sum(share.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("names", [["LFE", "LFE2", "LFE"], ["X1", "X2", "X3", "X4"], ["FL"]])
def test_full_scale_stays_full_scale_whatever_the_channels(names: list[str]) -> None:
    ones = np.ones((len(names), 5), np.float32)
    np.testing.assert_allclose(to_mono(ones, names), 1.0, atol=1e-6)
