"""The square that a motion model looks at: still when the head is, there when it goes."""

import numpy as np
import pytest
from fakes import a_face

from realtime.families.motion.first_order.model import SmoothCrop
from realtime.families.motion.reference_pose import crop_of_square, portrait_crop, portrait_square


def test_a_trembling_head_hardly_moves_it() -> None:
    square, noise = SmoothCrop(), np.random.default_rng(0)
    given, made = [], []
    for i in range(150):
        face = a_face((200 + noise.normal(0, 0.8), 150 + noise.normal(0, 0.8)), 120 + noise.normal(0, 0.8))
        given.append(portrait_square(face.landmarks))
        made.append(square(face.landmarks, 0, i / 30))
    trembles = [np.diff(np.array(path)[60:], axis=0).std() for path in (given, made)]
    assert trembles[1] < 0.35 * trembles[0]


def test_a_head_that_walks_off_is_followed_within_half_a_second() -> None:
    square = SmoothCrop()
    for i in range(30):
        square(a_face((200, 150), 120).landmarks, 0, i / 30)
    for i in range(15):
        x, _, side = square(a_face((320, 150), 120).landmarks, 0, 1 + i / 30)
    assert abs(x - 320) < 0.05 * side


def test_another_person_or_a_gap_starts_afresh() -> None:
    square = SmoothCrop()
    square(a_face((200, 150), 120).landmarks, 0, 0.0)
    there = a_face((300, 150), 100).landmarks
    assert square(there, 1, 0.03) == pytest.approx(portrait_square(there))
    back = a_face((150, 120), 80).landmarks
    assert square(back, 1, 5.0) == pytest.approx(portrait_square(back))


def test_a_square_becomes_the_whole_crop() -> None:
    matrix = crop_of_square(100.0, 60.0, 80.0, 256)
    corners = np.array([[60, 20, 1], [140, 100, 1]]) @ matrix.T
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [255.5, 255.5]], atol=2)
    assert matrix[0, 0] == matrix[1, 1] == pytest.approx(3.2)
    np.testing.assert_allclose(matrix @ (100, 60, 1), [127.5, 127.5])


def test_landmarks_without_extent_have_no_portrait() -> None:
    for broken in (np.zeros((478, 3)), np.full((478, 3), np.nan)):
        with pytest.raises(ValueError, match="without extent"):
            portrait_crop(broken, 64)
