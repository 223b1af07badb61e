import numpy as np

from realtime.clock import NS_PER_MS, NS_PER_S
from realtime.pipeline.metrics import SECONDS, STAGES, Histogram, LastMinute, Tally, machine, peak_memory_mb


def test_percentiles_agree_with_numpy_within_one_percent() -> None:
    rng = np.random.default_rng(1)
    durations = (rng.lognormal(3, 0.6, 5000) * 1e6).astype(np.int64)
    histogram = Histogram()
    for ns in durations:
        histogram.add(int(ns))
    for percent in (50, 90, 95, 99):
        exact = np.percentile(durations, percent, method="inverted_cdf") / 1e6
        assert abs(histogram.percentile_ms(percent) - exact) <= 0.011 * exact
    assert histogram.max_ms == durations.max() / 1e6
    assert histogram.count == 5000


def test_an_empty_histogram_is_zero_and_extremes_are_kept() -> None:
    histogram = Histogram()
    assert histogram.percentile_ms(99) == 0
    histogram.add(-5)
    histogram.add(10**16)
    assert histogram.percentile_ms(1) <= 0.002
    assert histogram.max_ms == 1e10


def test_a_tally_counts_new_pictures_only_in_its_rate() -> None:
    tally = Tally()
    for i in range(11):
        tally.emit(i * 100_000_000, i * 100_000_000 - 20_000_000, {"swap": 5_000_000, "networks": 1})
    tally.emitted += 5
    tally.repeated += 5
    report = tally.report()
    assert report["fps"] == 10.0
    assert report["seconds"] == 1.0
    assert abs(report["latency_ms"]["p50"] - 20) < 0.3
    assert abs(report["stages_ms"]["swap"]["p95"] - 5) < 0.1
    assert set(report["stages_ms"]) == set(STAGES)


def test_how_late_pictures_are_now_is_told_by_the_last_that_were_made() -> None:
    tally = Tally()
    assert tally.late_ns == 0
    for late_ms, networks, told_ms in ((20, 1, 20), (50, 1, 50), (2, 0, 50)):  # one that rests is made at once
        for i in range(200):
            tally.emit(i * 10**9, i * 10**9 - late_ms * 10**6, {"networks": networks})
        assert tally.late_ns == told_ms * 10**6


def test_memory_and_machine_are_read_from_the_system() -> None:
    assert peak_memory_mb() > 10
    assert machine()["cpu"]


def test_a_minute_of_nothing_is_empty() -> None:
    assert LastMinute().report() == {"seconds": [], "latency_ms": {"p50": None, "p95": None}, "stages_ms": {}}


def test_seconds_are_told_apart_and_percentiles_are_nearest_ranks() -> None:
    minute = LastMinute()
    for number in range(20):  # 10 ms, 20 ms … 200 ms late, all in second 5
        late = (number + 1) * 10 * NS_PER_MS
        minute.add(5 * NS_PER_S + number, late, {"swap": late // 2}, dropped=number // 10)
    minute.add(6 * NS_PER_S, None, {}, dropped=4)  # a repeat
    minute.add(7 * NS_PER_S, 30 * NS_PER_MS, {"swap": 30 * NS_PER_MS}, dropped=4)
    report = minute.report()
    assert report["seconds"] == [
        {"ago": 2, "fps": 20, "dropped": 1, "p50": 100.0, "p95": 190.0},
        {"ago": 1, "fps": 0, "dropped": 3, "p50": None, "p95": None},
    ]
    assert report["latency_ms"] == {"p50": 100.0, "p95": 190.0}
    assert report["stages_ms"] == {"swap": {"p50": 50.0, "p95": 95.0}}


def test_what_is_older_than_a_minute_is_gone() -> None:
    minute = LastMinute()
    for second in range(200):
        minute.add(second * NS_PER_S, second * NS_PER_MS, {}, 0)
    report = minute.report()
    assert len(report["seconds"]) == SECONDS - 1
    assert report["latency_ms"]["p50"] == 169.0
    minute.add(500 * NS_PER_S, 7 * NS_PER_MS, {}, 0)  # after a long pause
    assert minute.report()["seconds"] == []
    assert minute.report()["latency_ms"] == {"p50": 7.0, "p95": 7.0}


def test_a_run_fills_it() -> None:
    tally = Tally()
    tally.emit(2 * NS_PER_S, 2 * NS_PER_S - 40 * NS_PER_MS, {"detect": 3 * NS_PER_MS})
    tally.emit(2 * NS_PER_S + 1, None, {})
    report = tally.minute.report()
    assert report["latency_ms"] == {"p50": 40.0, "p95": 40.0}
    assert report["stages_ms"] == {"detect": {"p50": 3.0, "p95": 3.0}}
