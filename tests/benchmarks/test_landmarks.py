"""Landmarks against the second reader's, and against the build of a head."""

import numpy as np
import pytest
from acting import texture
from fakes import a_face
from mesh_faces import a_face as a_mesh_face
from mesh_faces import a_shape

from benchmarks.metrics import VIDEOS, MeasuredFrame, Reals
from benchmarks.metrics.landmarks import TOLERANCE, LandmarkError, canonical_head, distortion, fit_residual, nme
from benchmarks.readers import Box, Found
from realtime.frame import Pixels

POINTS = np.array([[200.0, 100], [170, 100], [100, 100], [130, 100], [150, 150]])
"""Eyes 100 px apart, in dlib's order."""

HEAD = canonical_head()


class ScriptedReader:
    """Finds the points of the script, picture by picture in turn: output, driver, ceiling, driver again."""

    def __init__(self, *answers: Reals | None) -> None:
        self._answers = answers
        self.asked = 0

    def find(self, pixels: Pixels, box: Box) -> Found | None:
        points = self._answers[self.asked % len(self._answers)]
        self.asked += 1
        return None if points is None else Found(points, pixels, None)


def measured(reader: ScriptedReader, frames: int, seen: bool = True) -> dict[str, object]:
    metric = LandmarkError(reader)  # type: ignore[arg-type]
    for seq in range(frames):
        face = a_face((160, 120), 140) if seen else None
        metric.see(MeasuredFrame(seq, dict.fromkeys(VIDEOS, texture(seq)), face, None))
    return metric.figures()


def test_the_unit_is_the_eyes_distance() -> None:
    driver = np.stack([POINTS, 2 * POINTS])
    moved = driver + np.array([[[3.0, 4.0]], [[6.0, 8.0]]])
    assert nme(driver, moved) == (5.0, 0.0)
    assert nme(driver, driver) == (0.0, 0.0)


def test_a_constant_difference_of_shape_is_separated_whatever_the_roll() -> None:
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in (0.0, 0.4, -0.9)]
    other = POINTS + np.array([0.0, 6.0])
    whole, rest = nme(np.stack([POINTS @ t.T for t in turns]), np.stack([other @ t.T for t in turns]))
    assert (whole, rest) == (pytest.approx(6.0), pytest.approx(0.0, abs=1e-9))
    assert nme(np.stack([POINTS, POINTS]), np.stack([POINTS, POINTS + [2.0, 0.0]]))[1] == pytest.approx(1.0)


def test_figures_come_by_picture() -> None:
    reader = ScriptedReader(POINTS + [5.0, 0.0], POINTS, POINTS + [1.0, 0.0], POINTS + [0.0, 0.5])
    found = measured(reader, 4)
    assert (reader.asked, found["frames"], found["missed"]) == (16, 4, 0.0)
    assert (found["nme"], found["ceiling_nme"], found["reread_nme"]) == (5.0, 1.0, 0.5)


def test_a_face_lost_in_the_output_is_counted_and_not_averaged() -> None:
    found = measured(ScriptedReader(None, *[POINTS] * 7), 2)
    assert (found["missed"], found["nme"]) == (0.5, 0.0)
    never = measured(ScriptedReader(None, POINTS, POINTS, POINTS), 1)
    assert (never["missed"], never["nme"]) == (1.0, None)
    assert "missing" in measured(ScriptedReader(None), 1)
    assert "missing" in measured(ScriptedReader(POINTS), 1, seen=False)


def test_a_head_fits_at_every_size_turn_place_and_whatever_it_says() -> None:
    for turn, at, size in (((0, 0, 0), (100, 90), 8.0), ((20, -25, 15), (300, 40), 3.0), ((0, 60, 0), (0, 0), 20.0)):
        assert fit_residual(a_mesh_face(turn_deg=turn, at=at, px_per_cm=size), HEAD) < 0.01
    assert fit_residual(a_mesh_face(a_shape(jaw_cm=2.5, shut=(1.0, 1.0))), HEAD) < 0.01


def test_a_shifted_eye_a_widened_nose_and_a_torn_face_do_not() -> None:
    eye, nose, half = a_shape(), a_shape(), a_shape()
    eye[[33, 133], 1] += 1.6
    nose[[98, 327, 5, 4, 2], 0] += 1.5
    half[half[:, 0] > 0, 0] *= 1.5
    for shape in (eye, nose, half):
        assert fit_residual(a_mesh_face(shape), HEAD) > TOLERANCE


def test_what_is_no_number_is_no_head() -> None:
    broken, flat = a_mesh_face(), a_mesh_face()
    broken.landmarks[33] = np.nan
    flat.landmarks[:] = 5.0
    assert fit_residual(broken, HEAD) == fit_residual(flat, HEAD) == float("inf")


def test_frames_count_against_the_pictures_own_fit() -> None:
    found = distortion([4.0, 4.5, 4.0 + TOLERANCE + 0.1, 3.0], at_rest=4.0)
    assert found["distorted"] == 0.25
    assert found["worst_beyond_rest"] == pytest.approx(TOLERANCE + 0.1)
    assert "missing" in distortion([], 4.0)
