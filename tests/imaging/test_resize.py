"""Pictures brought to one size, and to even sizes."""

import numpy as np
import pytest

from realtime.imaging.resize import even, letterbox, pad_to_even


def test_a_picture_of_that_size_is_not_copied() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    assert letterbox(picture, (64, 48)) is picture
    assert pad_to_even(picture) is picture


@pytest.mark.parametrize(
    ("size", "inner"),
    [
        ((128, 96), (0, 0, 64, 48)),
        ((32, 24), (0, 0, 64, 48)),
        ((100, 25), (0, 16, 64, 16)),
        ((25, 100), (26, 0, 12, 48)),
        ((1, 1), (8, 0, 48, 48)),
        ((1, 500), (31, 0, 1, 48)),
    ],
)
def test_the_whole_picture_stands_in_the_middle(size: tuple[int, int], inner: tuple[int, int, int, int]) -> None:
    out = letterbox(np.full((size[1], size[0], 3), 200, np.uint8), (64, 48))
    assert out.shape == (48, 64, 3)
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous
    rows, columns = np.nonzero(out[:, :, 0] == 200)
    x, y, w, h = inner
    assert (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1) == (x, y, w, h)
    assert int(out.sum()) == 3 * 200 * w * h


def test_even_sizes_double_the_last_row_and_column() -> None:
    picture = np.arange(5 * 3 * 3, dtype=np.uint8).reshape(5, 3, 3)
    out = pad_to_even(picture)
    assert out.shape == (6, 4, 3)
    assert even((3, 5)) == (4, 6)
    assert np.array_equal(out[:5, :3], picture)
    assert np.array_equal(out[5, :3], picture[4])
    assert np.array_equal(out[:5, 3], picture[:, 2])
    assert out.flags.c_contiguous
