"""Pictures on their way into networks and out of them."""

import numpy as np
import pytest

from realtime.frame import Pixels
from realtime.inference.image_format import CropFormat

S = 32


def a_crop(size: int = S) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colour", ["BGR", "RGB"])
@pytest.mark.parametrize("value_range", ["0..1", "-1..1", "0..255"])
def test_a_picture_survives_the_way_in_and_out(layout: str, colour: str, value_range: str) -> None:
    form = CropFormat(S, layout, colour, value_range)  # type: ignore[arg-type]
    crop = a_crop()
    crop[0, 0], crop[0, 1] = 0, 255
    numbers = np.full(form.shape(3), np.nan, np.float32)
    form.fill(numbers, crop)
    low, high = {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255)}[value_range]
    assert (numbers.min(), numbers.max()) == pytest.approx((low, high), abs=1e-6)
    blue = numbers[0, 0] if layout == "NCHW" else numbers[0, :, :, 0]
    expected = crop[:, :, 0 if colour == "BGR" else 2] / 255 * (high - low) + low
    np.testing.assert_allclose(blue, expected, atol=1e-5)
    back = form.pixels(numbers)
    np.testing.assert_array_equal(back, crop)
    assert back.dtype == np.uint8
    assert back.flags.c_contiguous
    assert not np.shares_memory(back, numbers)


def test_what_lies_outside_the_range_is_cut_and_the_rest_rounded() -> None:
    form = CropFormat(S)
    numbers = np.zeros(form.shape(3), np.float32)
    numbers[0, 0, 0, :4] = -5, 7, 0.4999 / 255, 1.5001 / 255
    assert form.pixels(numbers)[0, :4, 0].tolist() == [0, 255, 0, 2]
    mask = np.full(form.shape(1), 1.25, np.float32)
    mask[0, 0, 0, 0] = -0.25
    made = form.mask(mask)
    assert (made.shape, made.dtype, made.min(), made.max()) == ((S, S), np.float32, 0, 1)
    assert mask.max() == 1.25, "the network's array is not ours to change"


def test_a_crop_of_another_size_is_a_mistake_of_the_caller() -> None:
    form = CropFormat(S)
    with pytest.raises(ValueError, match="a crop is"):
        form.fill(np.empty(form.shape(3), np.float32), a_crop(S + 1))
