"""A filmed speaker's lips are shut and brought to their usual shape; what is far from the mouth stays."""

import numpy as np
import pytest
from fakes import a_face
from test_close_mouth import AS_IT_IS, CHIN_Y, LIP, MIDDLE, NOSE_Y, S, a_crop, dark, landmarks
from test_lip_masks import outline_in

from realtime.families.lip_sync.lower_face import SmoothLips, close_mouth
from realtime.families.lip_sync.network import LIP_POINTS, lip_planes
from realtime.frame import Pixels
from realtime.tracking.face import Face


def lips_of(wide: float, opened: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    points = landmarks(opened)
    points[LIP_POINTS, :2] = outline_in(MIDDLE, wide, opened)
    return points


def a_speaker(points: np.ndarray[tuple[int, ...], np.dtype[np.float32]], track: int = 1) -> Face:
    face = a_face()
    return Face(points, face.blendshapes, face.pose, face.score, track=track)


def drawn(wide: float) -> Pixels:
    """Skin and two lips that meet."""
    picture = a_crop(0.0)
    planes = lip_planes(outline_in(MIDDLE, wide, 0.0).astype(np.float32), S, S).max(axis=0) > 0.5
    picture[60:112] = (150, 170, 200)
    picture[planes] = LIP
    return picture


def width(picture: Pixels) -> int:
    columns = np.flatnonzero((np.abs(picture.astype(int) - LIP).max(axis=2) < 40).any(axis=0))
    return int(columns[-1] - columns[0])


def test_the_first_picture_is_only_shut() -> None:
    crop = a_crop(0.45)
    made, outline = SmoothLips()(crop, a_speaker(landmarks(0.45)), AS_IT_IS, 0.0)
    shut, met = close_mouth(crop, landmarks(0.45), AS_IT_IS)
    np.testing.assert_allclose(made, shut, atol=1)
    np.testing.assert_allclose(outline, met, atol=1e-4)
    assert dark(made) < 30
    still = a_crop(0.0)
    assert SmoothLips()(still, a_speaker(landmarks(0.0)), AS_IT_IS, 0.0)[0] is still


def test_lips_that_widen_for_a_word_are_as_wide_as_usual() -> None:
    steady = SmoothLips()
    for k in range(25):
        made, outline = steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    usual = width(made)
    made, outline = steady(drawn(19.0), a_speaker(lips_of(19.0)), AS_IT_IS, 1.0)
    assert width(drawn(19.0)) >= usual + 8
    assert width(made) == pytest.approx(usual, abs=3)
    # The outline is where the lips are now, and the rest of the face has not moved.
    lips = lip_planes(outline, S, S).max(axis=0) > 0.5
    seen = np.abs(made.astype(int) - LIP).max(axis=2) < 40
    assert (lips & seen).sum() > 0.85 * max(lips.sum(), seen.sum())
    np.testing.assert_array_equal(made[: int(NOSE_Y) - 8], drawn(19.0)[: int(NOSE_Y) - 8])
    np.testing.assert_array_equal(made[int(CHIN_Y) + 2 :], drawn(19.0)[int(CHIN_Y) + 2 :])


def test_another_mouth_that_stays_becomes_the_usual_one() -> None:
    steady = SmoothLips()
    for k in range(25):
        steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    for k in range(25, 125):
        made, _ = steady(drawn(19.0), a_speaker(lips_of(19.0)), AS_IT_IS, k / 25)
    assert width(made) == pytest.approx(width(drawn(19.0)), abs=2)


@pytest.mark.parametrize(("track", "at_s"), [(2, 1.0), (1, 60.0), (1, 0.5)])
def test_another_speaker_and_a_jump_in_time_start_afresh(track: int, at_s: float) -> None:
    steady = SmoothLips()
    for k in range(25):
        steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    crop = drawn(19.0)
    assert steady(crop, a_speaker(lips_of(19.0), track), AS_IT_IS, at_s)[0] is crop


def test_where_the_mouth_is_is_never_steadied() -> None:
    """A head that moves takes its lips along at once: only their shape is held."""
    steady = SmoothLips()
    for k in range(25):
        steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    points = lips_of(14.0)
    points[:, 0] += 12
    crop = np.roll(drawn(14.0), 12, axis=1)
    made, outline = steady(crop, a_speaker(points), AS_IT_IS, 1.0)
    np.testing.assert_allclose(outline, points[LIP_POINTS, :2], atol=1e-3)
    assert made is crop
