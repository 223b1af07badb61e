"""What somebody does who only sits there, over ten minutes."""

import numpy as np
import numpy.typing as npt
import pytest

from realtime.families.lip_sync.idle import LONGEST_S, SHORTEST_S, IdleLife, IdlePose

FPS = 25
TIMES = np.arange(0, 600 * FPS) / FPS


def poses(seed: int = 0) -> list[IdlePose]:
    life = IdleLife(seed)
    return [life(float(at_s)) for at_s in TIMES]


def runs(on: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, behind last) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def test_blinks_are_as_often_and_as_long_as_people_s() -> None:
    shut = np.array([pose.shut for pose in poses()])
    assert shut.min() == 0.0
    assert shut.max() == 1.0
    blinks = runs(shut > 0)
    between = np.diff([first for first, _ in blinks]) / FPS
    assert 140 <= len(blinks) <= 151
    assert between.min() > 1.9
    assert between.max() < 6.1
    assert between.std() > 0.3  # no metronome
    lasts = np.array([(last - first) / FPS for first, last in blinks])
    assert np.all((lasts >= SHORTEST_S - 1 / FPS) & (lasts <= LONGEST_S + 1 / FPS))
    # Every blink shuts the eye in some picture, whichever pictures were taken.
    assert all(shut[first:last].max() > 0.7 for first, last in blinks)


def test_a_head_sways_by_a_degree_or_two_and_slowly() -> None:
    turns = np.degrees([pose.turn for pose in poses()])
    assert np.all(np.abs(turns).max(axis=0) < 2.5)
    assert np.all(np.abs(turns).max(axis=0) > 0.8)
    speed = np.abs(np.diff(turns, axis=0)) * FPS
    assert speed.max() < 4.0
    # 1/f-like: the slow half of the spectrum has most of the power.
    power = np.abs(np.fft.rfft(turns - turns.mean(axis=0), axis=0)) ** 2
    hz = np.fft.rfftfreq(len(TIMES), 1 / FPS)
    assert power[hz < 0.25].sum() > 2 * power[hz >= 0.25].sum()
    assert power[hz > 2.0].sum() < 1e-3 * power.sum()


def test_breath_comes_fourteen_times_a_minute() -> None:
    zoom = np.array([pose.zoom for pose in poses()])
    assert 0.998 < zoom.min() < zoom.max() < 1.002
    power = np.abs(np.fft.rfft(zoom - zoom.mean()))
    assert np.fft.rfftfreq(len(TIMES), 1 / FPS)[power.argmax()] == pytest.approx(0.24)


def test_gaze_rests_and_jumps_a_little() -> None:
    gaze = np.array([pose.gaze for pose in poses()])
    assert 0.015 < np.abs(gaze[:, 0]).max() <= 0.0251
    moving = np.abs(np.diff(gaze[:, 0])) > 1e-9
    assert moving.mean() < 0.15


def test_a_moment_is_what_it_is_whatever_came_before() -> None:
    some = IdleLife(3)(1234.5)
    other = IdleLife(3)
    for at_s in (9e5, 0.0, -3.0, 1234.5):
        again = other(at_s)
    assert (again.shut, again.turn.tolist(), again.gaze.tolist()) == (
        some.shut,
        some.turn.tolist(),
        some.gaze.tolist(),
    )
    assert IdleLife(4)(1234.5).turn.tolist() != some.turn.tolist()
