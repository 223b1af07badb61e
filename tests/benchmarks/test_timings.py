"""The latency benchmark's sums, on made-up moments."""

import math

import numpy as np
import pytest
from traces import MS, PERIOD, a_trace

from benchmarks.timings import (
    Shown,
    Trace,
    Worked,
    figures,
    freezes,
    percentile,
    spread,
    throughput,
    window,
)


def test_every_scheduled_frame_counts_from_when_it_was_due() -> None:
    found = window(a_trace(30), first=10, count=15)
    assert len(found.age) == 15
    assert np.allclose(found.age, 20)
    assert np.allclose(found.at[0], 20)
    assert found.unseen == 0


def test_a_dropped_frame_is_as_old_as_the_next_picture_that_came() -> None:
    found = window(a_trace(20, lost=(12, 13)), first=10, count=5)
    # 12 waits for 14: two periods more; 13 one period more.
    assert found.age.tolist() == pytest.approx([20, 20, 86, 53, 20])
    assert found.latency.tolist() == pytest.approx([20, 20, 20])
    assert found.unseen == 2


def test_a_drop_at_the_windows_end_takes_its_age_from_beyond_it() -> None:
    found = window(a_trace(20, lost=(14,)), first=10, count=5)
    assert found.age[-1] == pytest.approx(53)
    assert not math.isnan(found.age.max())


def test_a_frame_that_nothing_followed_has_no_age_and_breaks_nothing() -> None:
    found = window(a_trace(15, lost=(14,)), first=10, count=5)
    assert math.isnan(found.age[-1])
    assert figures(found)["latency_ms"]["max"] == 20
    assert figures(found)["frames"]["dropped"] == 1


def test_networks_overhead_and_waiting_are_the_whole_latency() -> None:
    found = window(a_trace(20), first=5, count=10)
    parts = found.parts
    assert np.allclose(parts["networks"], 9)
    assert np.allclose(parts["waiting"], 1 + 2)
    assert np.allclose(parts["overhead"], 20 - 9 - 3)
    assert np.allclose(parts["networks"] + parts["overhead"] + parts["waiting"], found.latency)
    stages = ("capture", "detect", "align", "swap", "blend", "output")
    assert np.allclose(sum(parts[stage] for stage in stages), found.latency)


def test_repeats_between_the_windows_pictures_are_counted_and_others_are_not() -> None:
    trace = a_trace(12)
    plain = trace.shown
    at = 7 * PERIOD + 30 * MS
    again = Trace()
    for seq, ns in trace.due:
        again.note_due(seq, ns)
    for seq, worked in trace.worked.items():
        again.note_work(seq, worked)
    for shown in sorted([*plain, Shown(None, at, at, "hold"), Shown(None, 1, 2, "card")], key=lambda s: s.at_ns):
        again.note_show(shown)
    counted = figures(window(again, first=5, count=5))["frames"]
    assert counted["repeated"] == 1
    assert counted["guarded"] == 1
    assert counted["raw"] == 0


def test_a_trace_gives_back_what_was_noted() -> None:
    trace = Trace()
    trace.note_due(3, 10**15)
    trace.note_work(3, Worked({"detect": 5, "networks": 4}, 2, True))
    trace.note_show(Shown(3, 1, 2, "synthetic"))
    trace.note_show(Shown(None, 3, 4, "card"))
    assert len(trace) == 1
    assert trace.due == [(3, 10**15)]
    worked = trace.worked[3]
    assert (worked.spans["detect"], worked.spans["networks"], worked.spans["swap"]) == (5, 4, 0)
    assert (worked.faces, worked.failed) == (2, True)
    assert trace.shown == [Shown(3, 1, 2, "synthetic"), Shown(None, 3, 4, "card")]


def test_a_percentile_is_a_value_that_happened() -> None:
    values = np.array([1.0, 2.0, 3.0, 100.0])
    assert percentile(values, 50) == 2.0
    assert percentile(values, 75) == 3.0
    assert percentile(values, 76) == 100.0
    assert percentile(np.array([]), 50) is None
    assert spread(np.array([]))["p95"] is None


def test_a_gap_is_a_freeze_by_w3cs_rule() -> None:
    steady = np.arange(40) * 33.0
    assert freezes(steady) == (0, 0.0)
    # δ is 33 ms: the bound is the larger of 99 and 183.
    below = np.concatenate([steady, steady[-1] + [182.0, 215.0]])
    above = np.concatenate([steady, steady[-1] + [184.0, 217.0]])
    assert freezes(below)[0] == 0
    count, total = freezes(above)
    assert count == 1
    assert total == pytest.approx(184)
    # At 4 frames a second three gaps are more than 150 ms on top.
    slow = np.arange(40) * 250.0
    assert freezes(np.concatenate([slow, slow[-1] + [749.0]]))[0] == 0
    assert freezes(np.concatenate([slow, slow[-1] + [751.0]]))[0] == 1


def test_rates_and_jitter_are_of_the_hand_overs() -> None:
    found = figures(window(a_trace(40, lost=(20,)), first=0, count=40))
    assert found["fps"]["offered"] == pytest.approx(30.3, abs=0.01)
    assert found["fps"]["delivered"] == pytest.approx(38 / (39 * 0.033), abs=0.01)
    assert found["intervals_ms"]["source_jitter"] == 0
    assert found["intervals_ms"]["max"] == 66
    gaps = [33.0] * 37 + [66.0]
    assert found["intervals_ms"]["jitter"] == pytest.approx(np.std(gaps), abs=0.01)


def test_throughput_leaves_reading_out_and_gives_it_apart() -> None:
    found = throughput(window(a_trace(101), first=0, count=101))
    assert found["fps"] == 50.0  # 20 ms each
    assert found["fps_with_reading"] == pytest.approx(101 / (100 * 0.033 + 0.020), abs=0.01)
    assert found["single_stream_p90_ms"] == 20
