"""Sample numbers on the clock: jitter, drift, gaps."""

import numpy as np
import pytest

from realtime.audio.speech_buffer import GAP_S, LONGEST_S, ClockRecovery

NS = 1_000_000_000
STEP_S = 0.02


def run(arrival: ClockRecovery, starts_s: list[float], step_s: float = STEP_S) -> list[float]:
    """Blocks of one length, with these stamps; what was put before each."""
    position, out = 0.0, []
    for start in starts_s:
        gap = arrival.place(position, round(start * NS))
        position += step_s + gap
        out.append(gap)
    return out


def test_jitter_moves_nothing() -> None:
    late = np.random.default_rng(0).exponential(0.004, 1000)
    arrival = ClockRecovery()
    gaps = run(arrival, [100 + i * STEP_S + late[i] for i in range(1000)])
    assert not any(gaps)
    # The earliest arrivals are the true ones.
    assert arrival.zero_ns / NS == pytest.approx(100.0, abs=0.001)


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_a_crystal_that_runs_apart_is_followed_for_ten_minutes(ppm: int) -> None:
    arrival, late = ClockRecovery(), np.random.default_rng(1).exponential(0.003, 30_000)
    true_step = STEP_S * (1 + ppm * 1e-6)
    position = 0.0
    worst = 0.0
    for i in range(30_000):
        start = i * true_step
        assert arrival.place(position, round((start + late[i]) * NS)) == 0.0
        if i > 200:
            worst = max(worst, abs(arrival.zero_ns / NS + position - start))
        position += STEP_S
    assert arrival.gaps == 0
    assert worst < 0.003


def test_what_is_missing_becomes_silence_and_is_counted() -> None:
    arrival = ClockRecovery()
    gaps = run(arrival, [0.0, 0.02, 0.04, 0.56, 0.58])
    assert gaps == pytest.approx([0, 0, 0, 0.5, 0], abs=1e-6)
    assert (arrival.gaps, arrival.zero_ns) == (1, 0)
    assert arrival.missing_s == pytest.approx(0.5)


def test_what_is_too_much_is_cut() -> None:
    arrival = ClockRecovery()
    gaps = run(arrival, [0.0, 0.02, 0.04 - 0.1, 0.06 - 0.1])
    assert gaps == pytest.approx([0, 0, -0.1, 0], abs=1e-6)
    assert arrival.cut_s == pytest.approx(0.1)


def test_a_long_gap_is_a_new_beginning() -> None:
    arrival = ClockRecovery()
    later = LONGEST_S + 3.0
    assert run(arrival, [0.0, 0.02, 0.04 + later, 0.06 + later]) == [0, 0, 0, 0]
    assert arrival.zero_ns == round(later * NS)
    assert arrival.gaps == 1


def test_a_file_s_own_times_are_taken_at_their_word() -> None:
    arrival = ClockRecovery(exact=True)
    hole = 0.03
    assert hole < GAP_S
    assert run(arrival, [0.0, 0.02, 0.04 + hole]) == pytest.approx([0, 0, hole])
