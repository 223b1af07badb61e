"""Key points carried over to the avatar: against the recorded ones, and by themselves."""

import math
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import ModelError
from realtime.families.motion.first_order.keypoints import (
    KeyPoints,
    RelativeMotion,
    head_motion,
    hull_area,
    movement_scale,
    of_region,
)

RNG = np.random.default_rng(5)
REST = np.broadcast_to(np.eye(2, dtype=np.float32), (10, 2, 2))


def some(spread: float = 0.3) -> KeyPoints:
    value = RNG.uniform(-spread, spread, (10, 2)).astype(np.float32)
    return KeyPoints(value, (REST + RNG.normal(0, 0.1, (10, 2, 2))).astype(np.float32))


@pytest.mark.parametrize("file", ["fomm_small", "fomm_small_mgif"])
@pytest.mark.parametrize(
    ("mode", "adapt_scale", "jacobians"),
    [("rel", False, True), ("rel_adapt", True, True), ("rel_nojac", False, False)],
)
def test_it_is_what_was_recorded(shared: Path, file: str, mode: str, adapt_scale: bool, jacobians: bool) -> None:
    with np.load(shared / "reference" / f"{file}.npz") as recorded:
        seen = {
            name: KeyPoints(recorded[f"kp_{name}_value"][0], recorded[f"kp_{name}_jacobian"][0])
            for name in ("source", "initial", "driving", f"norm_{mode}")
        }
    motion = RelativeMotion(seen["source"], seen["initial"], adapt_scale=adapt_scale, jacobians=jacobians)
    moved = motion(seen["driving"])
    assert (motion.scale != 1.0) == adapt_scale
    assert moved.value.dtype == moved.jacobian.dtype == np.float32
    assert np.abs(moved.value - seen[f"norm_{mode}"].value).max() <= 1e-5
    assert np.abs(moved.jacobian - seen[f"norm_{mode}"].jacobian).max() <= 1e-5


def test_a_driver_at_rest_leaves_the_avatar_as_it_is() -> None:
    avatar, neutral = some(), some(0.5)
    moved = RelativeMotion(avatar, neutral, adapt_scale=True)(neutral)
    assert np.allclose(moved.value, avatar.value, atol=1e-6)
    assert np.allclose(moved.jacobian, avatar.jacobian, atol=1e-5)


def test_movements_are_as_large_as_the_avatar() -> None:
    neutral, step = some(), np.array([0.1, -0.05], np.float32)
    avatar = KeyPoints(neutral.value * 0.5 + 0.2, neutral.jacobian)
    driving = KeyPoints(neutral.value + step, neutral.jacobian)
    moved = RelativeMotion(avatar, neutral, adapt_scale=True)(driving)
    assert np.allclose(moved.value - avatar.value, step * 0.5, atol=1e-6)
    assert np.allclose(RelativeMotion(avatar, neutral)(driving).value - avatar.value, step, atol=1e-6)


def test_a_turned_driver_turns_the_avatar() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]], np.float32)
    avatar, neutral = some(), some()
    moved = RelativeMotion(avatar, neutral)(KeyPoints(neutral.value, turn @ neutral.jacobian))
    assert np.allclose(moved.jacobian, turn @ avatar.jacobian, atol=1e-5)


def test_what_went_in_is_not_changed() -> None:
    avatar, neutral, driving = some(), some(), some()
    copies = [points.value.copy() for points in (avatar, neutral, driving)]
    moved = RelativeMotion(avatar, neutral, jacobians=False)(driving)
    moved.value[:] = 0
    moved.jacobian[:] = 0
    assert driving.jacobian.any()
    for points, copy in zip((avatar, neutral, driving), copies, strict=True):
        assert np.array_equal(points.value, copy)


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([(0, 0), (1, 0), (0, 1)], 0.5),
        ([(0, 0), (0, 1), (1, 1), (1, 0)], 1.0),
        ([(1, 1), (0, 0), (0.5, 0.5), (1, 0), (0, 1), (0.25, 0.7), (0.5, 0), (0, 0)], 1.0),
        ([(0, 0), (1, 1), (2, 2), (3, 3)], 0.0),
        ([(0, 0), (1, 0)], 0.0),
        ([(0.5, 0.5)] * 10, 0.0),
        ([(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 6, endpoint=False)], 1.5 * math.sqrt(3)),
    ],
)
def test_hull_area(points: list[tuple[float, float]], area: float) -> None:
    assert hull_area(np.array(points, np.float64)) == pytest.approx(area, abs=1e-12)


def test_hull_area_is_qhulls() -> None:
    spatial = pytest.importorskip("scipy.spatial", reason="scipy is only in the extra `test`")
    for _ in range(50):
        points = RNG.normal(0, 0.3, (RNG.integers(3, 30), 2))
        assert hull_area(points) == pytest.approx(spatial.ConvexHull(points).volume, rel=1e-12)


def test_the_scale_is_a_ratio_of_lengths() -> None:
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    assert movement_scale(3 * square, square) == pytest.approx(3.0)


def replaced(points: KeyPoints, **parts: object) -> KeyPoints:
    return KeyPoints(**{"value": points.value, "jacobian": points.jacobian, **parts})


@pytest.mark.parametrize(
    ("neutral", "says"),
    [
        (lambda p: replaced(p, value=np.zeros((10, 2), np.float32)), "neutral frame lie on one line"),
        (lambda p: replaced(p, jacobian=np.zeros((10, 2, 2), np.float32)), "no inverse"),
        (lambda p: replaced(p, value=np.full((10, 2), np.nan, np.float32)), "not finite"),
        (lambda p: replaced(p, value=p.value[:5]), "wanted are"),
        (lambda p: KeyPoints(p.value[:5], p.jacobian[:5]), "has 10 key points, the neutral frame 5"),
        (lambda p: KeyPoints(p.value[:0], p.jacobian[:0]), "wanted are"),
    ],
)
def test_what_cannot_be_measured_against_is_refused_in_one_line(neutral: object, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        RelativeMotion(some(), neutral(some()), adapt_scale=True)
    assert "\n" not in str(caught.value)


NEUTRAL = np.random.default_rng(4).uniform(-0.6, 0.6, (10, 2))
EYES = np.tile(np.eye(2, dtype=np.float32), (10, 1, 1))


def points(value: np.ndarray) -> KeyPoints:
    return KeyPoints(value.astype(np.float32), EYES)


def turned(value: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
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
def test_the_head_motion_can_always_be_taken_back(wild: np.ndarray) -> None:
    linear, shift = head_motion(NEUTRAL, wild)
    assert np.isfinite(linear).all()
    assert np.isfinite(shift).all()
    assert np.linalg.det(linear) >= 0.05
