"""The lips as two planes: what is upper lip, lower lip and open mouth, and where."""

import numpy as np
from fakes import a_face

from realtime.families.lip_sync.network import LIP_POINTS, lip_outline, lip_planes
from realtime.families.motion.mesh.head import INNER_LIPS, OUTER_LIPS
from realtime.frame import Floats


def outline_in(middle: tuple[float, float], radius: float, opened: float = 0.5) -> Floats:
    """(40, 2) a round mouth, open by that share of its radius."""
    around = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    ring = np.stack([np.cos(around), np.sin(around)], 1)
    rings = [middle + radius * ring, middle + radius * ring * (0.8, opened)]
    return np.concatenate(rings).astype(np.float32)


def test_upper_and_lower_lip_lie_about_the_open_mouth() -> None:
    upper, lower = lip_planes(outline_in((30, 20), 10), 64, 40)
    assert upper.shape == (40, 64)
    assert upper.dtype == np.float32
    assert (upper[13, 30], lower[13, 30]) == (1, 0)
    assert (upper[27, 30], lower[27, 30]) == (0, 1)
    assert upper[20, 30] == lower[20, 30] == 0  # the open mouth
    assert upper[8, 30] == lower[32, 30] == upper[20, 45] == 0
    assert np.isclose(upper.sum(), lower.sum(), rtol=0.1)


def test_lips_that_meet_leave_no_gap() -> None:
    upper, lower = lip_planes(outline_in((30, 20), 10, opened=0.0), 64, 40)
    column = (upper + lower)[12:28, 30]
    assert column.min() >= 0.99


def test_a_mouth_beyond_the_picture_is_cut_off() -> None:
    planes = lip_planes(outline_in((62, 2), 10), 64, 40)
    assert planes[1].any()
    assert not planes[:, 20:].any()
    assert not lip_planes(outline_in((1e9, -1e9), 10), 64, 40).any()


def test_the_outline_goes_from_the_persons_right_corner_over_the_upper_lip() -> None:
    face = a_face((80, 60), 60)
    matrix = np.array([[0.5, 0.0, 3.0], [0.0, 0.5, -4.0]])
    found = lip_outline(face.landmarks, matrix)
    assert list(LIP_POINTS[[0, 10, 20, 30]]) == [61, 291, 78, 308]
    assert set(LIP_POINTS[:20]) == set(OUTER_LIPS.tolist())
    assert set(LIP_POINTS[20:]) == set(INNER_LIPS.tolist())
    np.testing.assert_allclose(found[0], face.landmarks[61, :2] * 0.5 + (3, -4), atol=1e-4)
