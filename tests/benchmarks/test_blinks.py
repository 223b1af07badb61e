"""Blinks found in made-up lids, and matched."""

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.acting_figures import blink_figures, series, together, traces
from benchmarks.agreement import BLENDSHAPES, expression
from benchmarks.blinks import blink_match, blinks, f1
from realtime.tracking.face import Face


def lids(*peaks: int, length: int = 100, usual: float = 0.1, height: float = 0.8) -> npt.NDArray[np.float64]:
    """Lids shut at `peaks`, five frames a blink."""
    line = np.full(length, usual)
    for peak in peaks:
        for off, share in ((-2, 0.3), (-1, 0.7), (0, 1.0), (1, 0.7), (2, 0.3)):
            line[peak + off] = usual + (height - usual) * share
    return line


def faces(line: npt.NDArray[np.float64], jaw: float = 0.0) -> list[Face | None]:
    """Faces whose lids follow `line`; None where it is NaN."""
    made: list[Face | None] = []
    for value in line:
        shapes = np.zeros(52, np.float32)
        shapes[[BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]] = value
        shapes[BLENDSHAPES.index("jawOpen")] = jaw
        face = Face(np.zeros((478, 3), np.float32), shapes, np.eye(4, dtype=np.float32), 0.9)
        made.append(None if np.isnan(value) else face)
    return made


def test_blinks_are_found_at_their_peaks() -> None:
    assert blinks(lids(10, 40, 41 + 20)) == [10, 40, 61]
    assert blinks(lids()) == []
    assert blinks(np.full(5, np.nan)) == []


def test_noise_a_squint_and_narrow_eyes_are_no_blinks() -> None:
    rng = np.random.default_rng(1)
    assert blinks(lids(30) + rng.normal(0, 0.02, 100)) == [30]
    assert blinks(lids(30, height=0.3)) == []
    assert blinks(lids(30, usual=0.45, height=0.95)) == [30]


def test_a_blink_cut_off_counts_once() -> None:
    line = lids(20, 60)
    line[22:30] = np.nan
    assert blinks(line) == [20, 60]
    assert blinks(lids(20)[:21]) == [20]


def test_blinks_within_two_frames_are_the_same_one() -> None:
    assert blink_match([10, 40, 70], [12, 38, 70]) == {"driver": 3, "output": 3, "both": 3, "f1": 1.0}
    assert blink_match([10], [13])["f1"] == 0.0
    # One blink of the output can't be two of the driver's.
    assert blink_match([10, 11], [10]) == {"driver": 2, "output": 1, "both": 1, "f1": pytest.approx(0.667)}
    assert blink_match([], [])["f1"] is None
    assert blink_match([], [5])["f1"] == 0.0
    assert f1(3, 4, 4) == 0.75


def test_an_output_that_blinks_alone_or_not_at_all_is_seen() -> None:
    driver = lids(20, 60)
    assert blink_figures(faces(driver), faces(lids(21, 59)))["f1"] == 1.0
    assert blink_figures(faces(driver), faces(lids()))["f1"] == 0.0
    lost = lids(20, 60)
    lost[55:66] = np.nan
    assert blink_figures(faces(driver), faces(lost)) == {
        "driver": 2,
        "output": 1,
        "both": 1,
        "f1": pytest.approx(0.667),
    }


def test_series_keep_their_gaps() -> None:
    line = lids(20)
    line[3] = np.nan
    found = series(faces(line, jaw=0.25))
    assert np.isnan(found["jawOpen"][3])
    assert found["jawOpen"][4] == pytest.approx(0.25)
    drawn = traces(faces(line), faces(lids()))
    assert drawn["driver"]["lids"][3] is None
    assert drawn["driver"]["lids"][20] == pytest.approx(0.8)
    assert (drawn["driver"]["blinks"], drawn["output"]["blinks"]) == ([20], [])
    assert series([])["lids"].shape == (0,)


def test_a_channel_that_the_output_does_not_move_counts_as_nothing() -> None:
    driver = np.zeros((40, 52))
    driver[:, BLENDSHAPES.index("jawOpen")] = 0.5 + 0.5 * np.sin(np.linspace(0, 12, 40))
    driver[:, BLENDSHAPES.index("mouthPucker")] = 0.5 + 0.5 * np.cos(np.linspace(0, 12, 40))
    output = driver.copy()
    output[:, BLENDSHAPES.index("mouthPucker")] = 0.3
    found = together(expression(driver, output))
    assert found["moving"] == 2
    assert found["mean_r"] == pytest.approx(0.5)
    assert found["lowest_r"] == 0.0
    assert (found["lowest_gain"], found["highest_gain"]) == (0.0, 1.0)
    assert found["gain_kept"] == 0.5
    assert together(expression(driver * 0, output))["mean_r"] is None
