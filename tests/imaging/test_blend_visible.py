"""What lies before the face stays in front: the outline that a network draws, in the blend."""

import numpy as np
import pytest

from realtime.frame import Floats
from realtime.imaging.blend import Swapped, Uncovered, blend, shape_mask
from realtime.settings import Settings

S = 64
PLAIN = Settings(color_transfer="none", sharpen=0)
AS_CUT = np.array([[1.0, 0, 0], [0, 1, 0]])


def swapped(visible: Floats | None, size: int = S) -> Swapped:
    return Swapped(np.full((size, size, 3), 200, np.uint8), np.ones((size, size), np.float32), None, visible)


def held_from(column: int) -> Floats:
    """Something before all that lies right of a column."""
    visible = np.ones((S, S), np.float32)
    visible[:, column:] = 0
    return visible


def test_a_hand_stays_and_no_rim_of_the_driver_around_it() -> None:
    frame = np.full((S, S, 3), 50, np.uint8)
    out = blend(frame, frame, swapped(held_from(32)), AS_CUT, PLAIN, np.ones((S, S), np.float32))
    middle = out[S // 2, :, 0]
    assert (middle[34:] == 50).all()
    assert (middle[14:30] == 200).all()


def test_without_an_outline_the_mask_is_shaped_as_ever() -> None:
    region = np.ones((S, S), np.float32)
    everywhere = shape_mask(swapped(np.ones((S, S), np.float32)), PLAIN, region)
    np.testing.assert_allclose(everywhere[4:-4, 4:-4], shape_mask(swapped(None), PLAIN, region)[4:-4, 4:-4], atol=1e-6)


@pytest.mark.parametrize("column", [0, 4])
def test_a_mask_that_finds_hands_everywhere_is_no_result(column: int) -> None:
    frame = np.zeros((S, S, 3), np.uint8)
    with pytest.raises(Uncovered, match="the driver's own would show"):
        blend(frame, frame, swapped(held_from(column)), AS_CUT, PLAIN, np.ones((S, S), np.float32))


def test_a_fine_face_takes_the_region_of_the_smaller_crop() -> None:
    region = np.zeros((S, S), np.float32)
    region[8:56, 8:56] = 1
    frame = np.full((S, S, 3), 50, np.uint8)
    out = blend(frame, frame, swapped(None, size=96), AS_CUT, PLAIN, region)
    assert (out[S // 2, 24:40] == 200).all()
    assert (out[:4] == 50).all()
