"""An open mouth is shut where its lips are, the skin above and below gives way, and all the rest stays."""

import cv2
import numpy as np
import pytest
from test_lip_masks import outline_in

from realtime.families.lip_sync.lower_face import close_mouth, shutting
from realtime.families.lip_sync.network import LIP_POINTS, lip_planes
from realtime.families.motion.mesh.head import CHIN, UNDER_NOSE
from realtime.frame import Pixels

S = 128
MIDDLE, NOSE_Y, CHIN_Y = (64.0, 90.0), 68.0, 116.0
AS_IT_IS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SKIN, LIP, INSIDE, BELOW = (150, 170, 200), (90, 90, 190), (10, 10, 30), (60, 200, 60)
MOLE, MOLE_Y = (200, 80, 60), 107
"""Between the lower lip and the chin."""


def landmarks(opened: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    points = np.zeros((478, 3), np.float32)
    points[LIP_POINTS, :2] = outline_in(MIDDLE, 16.0, opened)
    points[UNDER_NOSE, :2], points[CHIN, :2] = (64, NOSE_Y), (64, CHIN_Y)
    return points


def a_crop(opened: float) -> Pixels:
    """Skin, two lips about a dark mouth, a mole below, and something green from the chin on."""
    picture = np.full((S, S, 3), SKIN, np.uint8)
    picture[int(CHIN_Y) :] = BELOW
    picture[MOLE_Y - 1 : MOLE_Y + 2, 62:67] = MOLE
    outline = outline_in(MIDDLE, 16.0, opened)
    cv2.fillPoly(picture, [outline[:20].round().astype(np.int32)], LIP)
    if opened:
        cv2.fillPoly(picture, [outline[20:].round().astype(np.int32)], INSIDE)
    return picture


def dark(picture: Pixels) -> int:
    return int((picture.max(axis=2) < 45).sum())


@pytest.mark.parametrize("opened", [0.2, 0.45])
def test_the_inside_of_the_mouth_is_gone_and_the_chin_stays(opened: float) -> None:
    crop = a_crop(opened)
    assert dark(crop) > 50
    shut, outline = close_mouth(crop, landmarks(opened), AS_IT_IS)
    assert dark(shut) < 30  # the line where they meet
    mole = np.flatnonzero(np.abs(shut[:, 64].astype(int) - MOLE).max(axis=1) < 40)
    assert 0.05 * 16 * opened < MOLE_Y - mole.mean() < 16 * opened  # as far as the lower lip at most
    # What is below the chin stays.
    np.testing.assert_array_equal(shut[int(CHIN_Y) + 1 :], crop[int(CHIN_Y) + 1 :])
    # From the nose up nothing has moved, nor beside the jaw.
    np.testing.assert_array_equal(shut[: int(NOSE_Y)], crop[: int(NOSE_Y)])
    np.testing.assert_array_equal(shut[:, :20], crop[:, :20])
    # The outline is that of the shut mouth: its lips meet, and lie where they are drawn.
    np.testing.assert_allclose(outline[21:30, 1], outline[31:40, 1][::-1], atol=1e-3)
    lips = lip_planes(outline, S, S).max(axis=0) > 0.5
    drawn = np.abs(shut.astype(int) - LIP).max(axis=2) < 40
    assert (lips & drawn).sum() > 0.85 * max(lips.sum(), drawn.sum())


def test_pixels_keep_their_order() -> None:
    from_y, _ = shutting(S, landmarks(0.6), AS_IT_IS)
    assert from_y is not None
    assert np.diff(from_y, axis=0).min() >= 0


def test_lips_that_meet_stay_as_they_are() -> None:
    crop = a_crop(0.0)
    shut, outline = close_mouth(crop, landmarks(0.0), AS_IT_IS)
    assert shut is crop
    np.testing.assert_allclose(outline, outline_in(MIDDLE, 16.0, 0.0), atol=1e-4)


def test_the_crop_may_be_any_part_of_the_frame() -> None:
    crop = a_crop(0.4)
    matrix = np.array([[0.5, 0.0, 7.0], [0.0, 0.25, -3.0]])
    points = landmarks(0.4)
    points[:, 0], points[:, 1] = (points[:, 0] - 7) / 0.5, (points[:, 1] + 3) / 0.25
    shut, outline = close_mouth(crop, points, matrix)
    same, expected = close_mouth(crop, landmarks(0.4), AS_IT_IS)
    np.testing.assert_allclose(shut, same, atol=1)
    np.testing.assert_allclose(outline, expected, atol=1e-3)


def test_a_mouth_beyond_the_crop_breaks_nothing() -> None:
    points = landmarks(0.4)
    points[:, :2] += (300, -200)
    shut, outline = close_mouth(a_crop(0.4), points, AS_IT_IS)
    assert shut.shape == (S, S, 3)
    assert np.isfinite(outline).all()
