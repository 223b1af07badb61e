"""A head fits, however it is seen; what is no head does not."""

import numpy as np
import pytest
from mesh_faces import a_face, a_shape

from benchmarks.distortion import TOLERANCE, canonical_head, distortion, fit_residual

HEAD = canonical_head()


def test_the_canonical_head_fits_at_every_size_turn_and_place() -> None:
    for turn, at, size in (((0, 0, 0), (100, 90), 8.0), ((20, -25, 15), (300, 40), 3.0), ((0, 60, 0), (0, 0), 20.0)):
        assert fit_residual(a_face(turn_deg=turn, at=at, px_per_cm=size), HEAD) < 0.01


def test_acting_is_no_distortion() -> None:
    assert fit_residual(a_face(a_shape(jaw_cm=2.5, shut=(1.0, 1.0))), HEAD) < 0.01


def test_a_shifted_eye_and_a_widened_nose_are() -> None:
    eye = a_shape()
    eye[[33, 133], 1] += 1.6
    assert fit_residual(a_face(eye), HEAD) > TOLERANCE
    nose = a_shape()
    nose[[98, 327, 5, 4, 2], 0] += 1.5
    assert fit_residual(a_face(nose, turn_deg=(10, 20, 0)), HEAD) > TOLERANCE
    # Half of the face drawn out, as a mesh that tears would.
    half = a_shape()
    half[half[:, 0] > 0, 0] *= 1.5
    assert fit_residual(a_face(half), HEAD) > TOLERANCE


def test_what_is_no_number_is_no_head() -> None:
    face = a_face()
    face.landmarks[33] = np.nan
    assert fit_residual(face, HEAD) == float("inf")
    flat = a_face()
    flat.landmarks[:] = 5.0
    assert fit_residual(flat, HEAD) == float("inf")


def test_frames_count_against_the_pictures_own_fit() -> None:
    found = distortion([4.0, 4.5, 4.0 + TOLERANCE + 0.1, 3.0], at_rest=4.0)
    assert found["distorted"] == 0.25
    assert found["worst_beyond_rest"] == pytest.approx(TOLERANCE + 0.1)
    assert "missing" in distortion([], 4.0)
