"""The latency benchmark's sums, on made-up moments; and turns taken by a clock that is turned."""

from typing import Any

import numpy as np
import pytest
from fakes import FakeClock
from traces import MS, PERIOD, a_trace

from benchmarks.interleaved import FEWEST, Times, speedup, take_turns
from benchmarks.timings import figures, freezes, percentile, spread, throughput, window
from realtime.pipeline.metrics import STAGES


@pytest.mark.parametrize(
    ("frames", "lost", "ages", "unseen"),
    [
        (20, (), [20, 20, 20, 20, 20], 0),
        # 12 waits for 14: two periods more; 13 one period more.
        (20, (12, 13), [20, 20, 86, 53, 20], 2),
        # A drop at the window's end takes its age from beyond it; one that nothing followed has none.
        (20, (14,), [20, 20, 20, 20, 53], 1),
        (15, (14,), [20, 20, 20, 20, np.nan], 1),
    ],
)
def test_every_scheduled_frame_counts_from_when_it_was_due(
    frames: int, lost: tuple[int, ...], ages: list[float], unseen: int
) -> None:
    found = window(a_trace(frames, lost=lost), first=10, count=5)
    assert found.age.tolist() == pytest.approx(ages, nan_ok=True)
    assert found.latency.tolist() == pytest.approx([20] * (5 - unseen))
    assert (found.unseen, found.at[0]) == (unseen, 20)
    assert figures(found)["latency_ms"]["max"] == np.nanmax(ages)
    assert figures(found)["frames"]["dropped"] == unseen


def test_networks_overhead_and_waiting_are_the_whole_latency() -> None:
    found = window(a_trace(20), first=5, count=10)
    parts = found.parts
    assert np.allclose(parts["networks"], 9)
    assert np.allclose(parts["waiting"], 1 + 2)
    assert np.allclose(parts["overhead"], 20 - 9 - 3)
    assert np.allclose(parts["networks"] + parts["overhead"] + parts["waiting"], found.latency)
    assert np.allclose(sum(parts[stage] for stage in STAGES), found.latency)


def test_repeats_between_the_windows_pictures_are_counted_and_others_are_not() -> None:
    trace = a_trace(8)
    for kind, at in (("hold", 7 * PERIOD + 30 * MS), ("card", 9 * PERIOD), ("card", 99 * PERIOD)):
        trace.note_show(None, at, at, kind)
    for seq in (8, 9):
        trace.note_due(seq, seq * PERIOD)
        trace.note_work(seq, {}, 1, False)
        trace.note_show(seq, seq * PERIOD, seq * PERIOD + 20 * MS, "raw")
    counted = figures(window(trace, first=5, count=5))["frames"]
    assert (counted["repeated"], counted["guarded"], counted["raw"]) == (2, 2, 2)


def test_a_percentile_is_a_value_that_happened() -> None:
    values = np.array([1.0, 2.0, 3.0, 100.0])
    assert [percentile(values, percent) for percent in (50, 75, 76)] == [2.0, 3.0, 100.0]
    assert percentile(np.array([]), 50) is None
    assert spread(np.array([]))["p95"] is None


@pytest.mark.parametrize(
    ("usual_ms", "gap_ms", "frozen"),
    # δ is 33 ms: the bound is the larger of 99 and 183. At 4 frames a second three gaps are more than 150 ms on top.
    [(33.0, 182.0, 0), (33.0, 184.0, 1), (250.0, 749.0, 0), (250.0, 751.0, 1)],
)
def test_a_gap_is_a_freeze_by_w3cs_rule(usual_ms: float, gap_ms: float, frozen: int) -> None:
    steady = np.arange(40) * usual_ms
    assert freezes(steady) == (0, 0.0)
    count, total = freezes(np.concatenate([steady, steady[-1] + [gap_ms, gap_ms + usual_ms]]))
    assert (count, total) == (frozen, pytest.approx(frozen * gap_ms))


def test_rates_and_jitter_are_of_the_hand_overs() -> None:
    found = figures(window(a_trace(40, lost=(20,)), first=0, count=40))
    assert found["fps"]["offered"] == pytest.approx(30.3, abs=0.01)
    assert found["fps"]["delivered"] == pytest.approx(38 / (39 * 0.033), abs=0.01)
    assert found["intervals_ms"]["source_jitter"] == 0
    assert found["intervals_ms"]["max"] == 66
    assert found["intervals_ms"]["jitter"] == pytest.approx(np.std([33.0] * 37 + [66.0]), abs=0.01)


def test_throughput_leaves_reading_out_and_gives_it_too() -> None:
    found = throughput(window(a_trace(101), first=0, count=101))
    assert found["fps"] == 50.0  # 20 ms each
    assert found["fps_with_reading"] == pytest.approx(101 / (100 * 0.033 + 0.020), abs=0.01)
    assert found["single_stream_p90_ms"] == 20


def test_turns_are_fair_and_all_are_counted() -> None:
    clock, cpu, order = FakeClock(step_ns=0), FakeClock(step_ns=0), []

    def run(name: str, wall: int, spent: int) -> None:
        order.append(name)
        clock.now += wall * MS
        cpu.now += spent * MS

    def wait() -> None:
        clock.now += 999 * MS  # what passes between two calls belongs to nobody

    contestants = {"slow": lambda: run("slow", 30, 20), "fast": lambda: run("fast", 10, 10)}
    found = take_turns(contestants, 50, warm_up=3, clock=clock, cpu_clock=cpu, settle=wait)
    assert order[:6] == ["slow"] * 3 + ["fast"] * 3
    rounds = [tuple(order[n : n + 2]) for n in range(6, len(order), 2)]
    assert len(rounds) == 50
    assert {frozenset(r) for r in rounds} == {frozenset(("slow", "fast"))}
    assert 10 < sum(r[0] == "slow" for r in rounds) < 40  # neither is always first
    assert speedup(found["slow"], found["fast"]) == {"in_rounds": 3.0, "of_best": 3.0, "in_cpu_time": 2.0}
    spread = {"min": 30.0, "p50": 30.0, "p95": 30.0, "p99": None, "max": 30.0, "mean": 30.0}
    assert found["slow"].figures()["wall_ms"] == spread
    assert found["fast"].cpu.tolist() == [10.0] * 50


def test_the_time_limit_leaves_enough_rounds() -> None:
    clock = FakeClock(step_ns=0)

    def run() -> None:
        clock.now += 10**9

    clocks: dict[str, Any] = {"clock": clock, "cpu_clock": clock, "settle": lambda: None}
    assert len(take_turns({"a": run}, 100, seconds=0, **clocks)["a"].wall) == FEWEST
    assert len(take_turns({"a": run}, 100, seconds=20, **clocks)["a"].wall) == 21


def test_a_ratio_is_taken_within_rounds() -> None:
    wavering = np.array([1.0, 10.0, 100.0])
    slow, fast = Times(wavering * 2, wavering), Times(wavering, wavering / 4)
    assert speedup(slow, fast) == {"in_rounds": 2.0, "of_best": 2.0, "in_cpu_time": 4.0}
