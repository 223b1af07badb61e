"""Landmarks of a second reader, compared."""

import numpy as np
import numpy.typing as npt
import pytest
from acting import texture
from fakes import a_face

from benchmarks.landmark_error import LandmarkError, nme
from benchmarks.moment import Moment
from benchmarks.second_reader import Box, Found
from realtime.frame import Pixels

Reals = npt.NDArray[np.float64]

POINTS = np.array([[200.0, 100], [170, 100], [100, 100], [130, 100], [150, 150]])
"""Eyes 100 px apart, in dlib's order."""


class ScriptedReader:
    """Finds the points it is told to, picture by picture in turn: driver, output, ceiling, driver again."""

    def __init__(self, *answers: Reals | None) -> None:
        self._answers = answers
        self.asked = 0

    def find(self, pixels: Pixels, box: Box) -> Found | None:
        points = self._answers[self.asked % len(self._answers)]
        self.asked += 1
        return None if points is None else Found(points, pixels, None)

    def embedding(self, found: Found) -> Reals:
        raise AssertionError("not asked for here")


def moment(seq: int = 0, seen: bool = True) -> Moment:
    names = ("driver", "output", "ceiling")
    return Moment(seq, {n: texture(seq) for n in names}, a_face((160, 120), 140) if seen else None, None)


def test_the_unit_is_the_eyes_distance() -> None:
    driver = np.stack([POINTS, 2 * POINTS])
    moved = driver + np.array([[[3.0, 4.0]], [[6.0, 8.0]]])
    assert nme(driver, moved) == (5.0, 0.0)
    assert nme(driver, driver) == (0.0, 0.0)


def test_a_constant_difference_of_shape_is_told_apart_whatever_the_roll() -> None:
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in (0.0, 0.4, -0.9)]
    other = POINTS + np.array([0.0, 6.0])
    whole, rest = nme(np.stack([POINTS @ t.T for t in turns]), np.stack([other @ t.T for t in turns]))
    assert whole == pytest.approx(6.0)
    assert rest == pytest.approx(0.0, abs=1e-9)
    wobbling = np.stack([POINTS, POINTS + [2.0, 0.0]])
    assert nme(np.stack([POINTS, POINTS]), wobbling)[1] == pytest.approx(1.0)


def test_figures_come_by_picture() -> None:
    reader = ScriptedReader(POINTS, POINTS + [5.0, 0.0], POINTS + [1.0, 0.0], POINTS + [0.0, 0.5])
    examiner = LandmarkError(reader)
    for n in range(4):
        examiner.see(moment(n))
    found = examiner.figures()
    assert reader.asked == 16
    assert found["frames"] == 4
    assert found["missed"] == 0.0
    # The pictures are read in the order they come: driver, output, ceiling, and the driver after JPEG.
    assert (found["nme"], found["ceiling_nme"], found["reread_nme"]) == (5.0, 1.0, 0.5)


def test_a_face_lost_in_the_output_is_counted_and_not_averaged() -> None:
    examiner = LandmarkError(ScriptedReader(POINTS, None, POINTS, POINTS, POINTS, POINTS, POINTS, POINTS))
    examiner.see(moment(0))
    examiner.see(moment(1))
    found = examiner.figures()
    assert found["missed"] == 0.5
    assert found["nme"] == 0.0
    never = LandmarkError(ScriptedReader(POINTS, None, POINTS, POINTS))
    never.see(moment())
    assert never.figures()["nme"] is None
    assert never.figures()["missed"] == 1.0


def test_without_a_driver_there_is_nothing_to_compare() -> None:
    examiner = LandmarkError(ScriptedReader(None))
    examiner.see(moment())
    examiner.see(moment(seen=False))
    assert "missing" in examiner.figures()
