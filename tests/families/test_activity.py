"""Whether somebody drives: quickly awake, slowly at rest, and never in jumps."""

import numpy as np

from realtime.families.motion.effect import GRACE_S, REST_S, RISE_S, DriverActivity

RATE = 100


def strengths(script: list[tuple[bool, float]]) -> list[float]:
    presence, now_s, out = DriverActivity(), 0.0, []
    for readable, seconds in script:
        for _ in range(round(seconds * RATE)):
            out.append(presence(readable, now_s))
            now_s += 1 / RATE
    return out


def test_who_is_there_from_the_start_drives_at_once() -> None:
    assert strengths([(True, 0.1)]) == [1.0] * 10


def test_rest_is_reached_in_time_and_left_quicker() -> None:
    away = strengths([(True, 1), (False, 2)])[RATE:]
    first_zero = next(i for i, level in enumerate(away) if level == 0.0) / RATE
    assert abs(first_zero - (GRACE_S + REST_S)) < 0.03
    assert all(level == 1.0 for level in away[: int(GRACE_S * RATE) - 1])
    back = strengths([(True, 1), (False, 2), (True, 1)])[3 * RATE :]
    assert abs(next(i for i, level in enumerate(back) if level == 1.0) / RATE - RISE_S) < 0.03


def test_nothing_jumps_whatever_comes() -> None:
    dice = np.random.default_rng(0)
    script = [(bool(dice.random() < 0.5), float(dice.uniform(0.02, 0.6))) for _ in range(200)]
    levels = np.array(strengths(script))
    assert np.abs(np.diff(levels)).max() <= 1.5 / (RISE_S * RATE) + 1e-9
    assert levels.min() >= 0
    assert levels.max() <= 1


def test_time_that_stands_still_or_runs_back_changes_nothing_much() -> None:
    presence = DriverActivity()
    presence(True, 10.0)
    assert presence(False, 10.0) == 1.0
    assert presence(False, 3.0) == 1.0
    assert presence(False, 1000.0) > 0.5  # a gap counts as a short one
