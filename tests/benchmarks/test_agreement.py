"""The quality benchmark's formulas, on made-up series."""

import numpy as np
import pytest
from acting import turned

from benchmarks.agreement import (
    BLENDSHAPES,
    expression,
    gain,
    geodesic_deg,
    head_angles,
    jitter,
    moving,
    pearson,
    rotation,
    stillest,
)


def test_there_are_52_channels_in_mediapipes_order() -> None:
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52
    assert BLENDSHAPES[0] == "_neutral"
    assert [BLENDSHAPES.index(n) for n in ("browInnerUp", "eyeBlinkLeft", "jawOpen", "mouthSmileRight")] == [
        3,
        9,
        25,
        45,
    ]
    assert BLENDSHAPES[-1] == "noseSneerRight"


def test_correlation_and_gain_are_told_apart() -> None:
    x = np.sin(np.linspace(0, 9, 50))
    assert pearson(x, 0.3 * x + 0.2) == pytest.approx(1.0)
    assert gain(x, 0.3 * x + 0.2) == pytest.approx(0.3)
    assert pearson(x, -x) == pytest.approx(-1.0)
    assert pearson(x, np.full(50, 0.4)) is None
    assert gain(np.full(50, 0.4), x) is None


def test_only_channels_that_move_are_judged() -> None:
    driver = np.zeros((40, 52))
    driver[:, BLENDSHAPES.index("jawOpen")] = 0.5 + 0.5 * np.sin(np.linspace(0, 12, 40))
    driver[:, BLENDSHAPES.index("cheekPuff")] = 0.5 + 0.5 * np.cos(np.linspace(0, 12, 40))
    driver[:, BLENDSHAPES.index("browInnerUp")] = 0.05 * np.sin(np.linspace(0, 12, 40))
    found = expression(driver, driver * 0.4)
    assert moving(found) == ["jawOpen", "cheekPuff"]
    assert found["jawOpen"]["r"] == 1.0
    assert found["jawOpen"]["gain"] == pytest.approx(0.4)
    assert "_neutral" not in found


def test_the_angle_between_two_heads() -> None:
    a, b = np.stack([turned(0), turned(10)]), np.stack([turned(3), turned(-80)])
    assert geodesic_deg(a, b) == pytest.approx([3.0, 90.0])
    assert rotation(2.5 * turned(20)) == pytest.approx(turned(20))


def test_a_constant_turn_is_told_apart_from_not_following() -> None:
    driver = np.stack([turned(t) for t in np.linspace(-20, 20, 30)])
    found = head_angles(driver, np.stack([turned(t + 5) for t in np.linspace(-20, 20, 30)]))
    assert found["mean"] == pytest.approx(5.0)
    assert found["constant"] == pytest.approx(5.0)
    assert found["mean_without_constant"] == pytest.approx(0.0, abs=0.01)
    damped = head_angles(driver, np.stack([turned(t / 2) for t in np.linspace(-20, 20, 30)]))
    assert damped["mean_without_constant"] == pytest.approx(damped["mean"], abs=0.05)
    assert head_angles(driver[:0], driver[:0])["mean"] is None


def test_jitter_sees_trembling_and_not_even_motion() -> None:
    points = np.zeros((30, 478, 2))
    points[:, 263] = [100.0, 0.0]
    even = points + np.arange(30)[:, None, None] * 2.0
    assert jitter(even)["rms_px"] == 0.0
    shaken = even.copy()
    shaken[::2] += [1.0, 1.0]
    # 1, 0, 1: second differences of 2 px in x and in y, and the eyes are 100 px apart.
    assert jitter(shaken)["rms_px"] == pytest.approx(2.0)
    assert jitter(shaken)["of_eyes_percent"] == pytest.approx(2.0 * 2**0.5, abs=1e-3)
    half = even.copy()
    half[15:] += np.cumsum(np.arange(15))[:, None, None] * 3.0
    assert jitter(half, stillest(half))["rms_px"] == 0.0
