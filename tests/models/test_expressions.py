"""What a tracked face shows: expression and view."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import a_face
from heads import pose_of

from realtime.models.expressions import expression_of, lips_apart, unrest, view_of


@pytest.mark.parametrize(
    ("read", "apart", "expression"),
    [
        ({}, 0.02, "rest"),
        ({9: 0.9, 10: 0.8}, 0.02, "closed"),
        ({9: 0.9, 10: 0.1}, 0.02, None),
        ({9: 0.8, 10: 0.8, 44: 0.9, 45: 0.9}, 0.1, None),
        ({44: 0.9, 45: 0.9}, 0.12, "smile"),
        ({44: 0.9, 45: 0.9}, 0.02, None),
        ({25: 0.5}, 0.3, "open"),
        ({38: 0.8}, 0.03, "pucker"),
        ({46: 0.5, 47: 0.5}, 0.1, "wide"),
        ({3: 0.9, 4: 0.7, 5: 0.7}, 0.02, "brows_up"),
        ({25: 0.1}, 0.1, None),
    ],
)
def test_expressions(read: dict[int, float], apart: float, expression: str | None) -> None:
    blendshapes = np.zeros(52, np.float32)
    for number, value in read.items():
        blendshapes[number] = value
    assert expression_of(blendshapes, apart) == expression


@pytest.mark.parametrize(
    ("pitch", "yaw", "view"),
    [(0, 0, "front"), (0, 30, "right"), (0, -30, "left"), (20, 0, "down"), (-20, 3, "up"), (20, 30, None)],
)
def test_views(pitch: float, yaw: float, view: str | None) -> None:
    face = replace(a_face((80, 80), 100), pose=pose_of(np.radians(pitch), np.radians(yaw), 0.0))
    assert view_of(face) == view
    assert (unrest(face) > unrest(a_face((80, 80), 100))) == (view != "front")


def test_lips_are_measured_by_the_eyes() -> None:
    landmarks = a_face((80, 80), 100).landmarks.copy()
    landmarks[[13, 14]] = [[80, 90, 0], [80, 110, 0]]
    landmarks[[33, 263]] = [[60, 60, 0], [100, 60, 0]]
    assert lips_apart(landmarks) == pytest.approx(0.5)
    assert lips_apart(3 * landmarks) == pytest.approx(0.5)
