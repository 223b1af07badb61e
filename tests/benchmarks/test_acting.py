"""How a mouth's opening is followed, by landmarks."""

import numpy as np
import pytest
from fakes import a_face

from benchmarks.acting_figures import PARTS, mouth_figures
from realtime.tracking.face import Face

UPPER, LOWER, EYES = 13, 14, (33, 263)


def speaking(gaps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Face | None]:
    """Faces whose lips are so many outer-eye distances apart."""
    faces: list[Face | None] = []
    for gap in gaps:
        face = a_face((160, 120), 140)
        points = face.landmarks
        eyes = float(np.linalg.norm(points[EYES[0]] - points[EYES[1]]))
        points[LOWER] = points[UPPER] + [0, gap * eyes, 0]
        faces.append(face)
    return faces


WORDS = 0.15 + 0.1 * np.sin(np.arange(40) * 0.7)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_half_as_wide_a_mouth_has_half_the_gain(strength: float) -> None:
    found = mouth_figures(speaking(WORDS), speaking(0.02 + strength * WORDS))
    assert found["r"] == pytest.approx(1.0, abs=1e-3)
    assert found["gain"] == pytest.approx(strength, abs=1e-3)


def test_frames_without_a_face_count_for_neither() -> None:
    output = speaking(WORDS)
    output[3] = output[17] = None
    assert mouth_figures(speaking(WORDS), output)["r"] == 1.0


def test_a_mouth_that_never_follows_is_no_missing_figure() -> None:
    assert mouth_figures(speaking(WORDS), speaking(np.full(40, 0.1)))["r"] == 0.0


def test_a_driver_who_hardly_opens_it_is_not_followed() -> None:
    quiet = 0.1 + 0.5 * PARTS * np.sin(np.arange(40.0))
    found = mouth_figures(speaking(quiet), speaking(WORDS))
    assert found["r"] is None
    assert found["gain"] is None
    assert mouth_figures([None], [None])["r"] is None
