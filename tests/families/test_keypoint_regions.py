"""Head motion and expression told apart in key points."""

import numpy as np
import pytest

from realtime.families.motion.first_order.keypoints import KeyPoints, head_motion, of_region

NEUTRAL = np.random.default_rng(4).uniform(-0.6, 0.6, (10, 2))
EYES = np.tile(np.eye(2, dtype=np.float32), (10, 1, 1))


def points(value: np.ndarray) -> KeyPoints:  # type: ignore[type-arg]
    return KeyPoints(value.astype(np.float32), EYES)


def turned(value: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:  # type: ignore[type-arg]
    a = np.radians(degrees)
    return value @ (scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])).T + shift


@pytest.mark.parametrize("degrees", [-25, 0, 18])
@pytest.mark.parametrize("scale", [0.8, 1.0, 1.3])
def test_a_head_that_only_moves_shows_no_expression(degrees: float, scale: float) -> None:
    driving = points(turned(NEUTRAL, degrees, scale, (0.1, -0.2)))
    still = of_region(driving, points(NEUTRAL), "expression")
    np.testing.assert_allclose(still.value, NEUTRAL, atol=1e-5)
    same = of_region(driving, points(NEUTRAL), "head")
    np.testing.assert_allclose(same.value, driving.value, atol=1e-5)
    assert of_region(driving, points(NEUTRAL), "all") is driving


def test_a_mouth_that_opens_is_expression_and_hardly_head() -> None:
    spoken = NEUTRAL.copy()
    spoken[3] += (0.0, 0.2)
    moved = points(turned(spoken, 12, 1.1, (0.05, 0.1)))
    expression = of_region(moved, points(NEUTRAL), "expression").value - NEUTRAL
    assert np.linalg.norm(expression[3]) > 0.12
    assert np.delete(np.linalg.norm(expression, axis=1), 3).max() < 0.08
    head = of_region(moved, points(NEUTRAL), "head").value
    assert np.abs(head - turned(NEUTRAL, 12, 1.1, (0.05, 0.1))).max() < 0.12


def test_a_turned_head_looks_narrower_and_that_is_head() -> None:
    driving = NEUTRAL * (0.8, 1.0)
    linear, _ = head_motion(NEUTRAL, driving)
    assert linear[0, 0] < 0.87
    assert linear[1, 1] > 0.9


@pytest.mark.parametrize("wild", [np.zeros((10, 2)), NEUTRAL * (-1, 1), np.ones((10, 2)) * 1e6, NEUTRAL * 1e-9])
def test_the_head_motion_can_always_be_taken_back(wild: np.ndarray) -> None:  # type: ignore[type-arg]
    linear, shift = head_motion(NEUTRAL, wild)
    assert np.isfinite(linear).all()
    assert np.isfinite(shift).all()
    assert np.linalg.det(linear) >= 0.05
