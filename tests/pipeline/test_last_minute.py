"""The last minute in numbers: seconds apart, percentiles, nothing older."""

from realtime.clock import NS_PER_MS, NS_PER_S
from realtime.pipeline.last_minute import SECONDS, LastMinute
from realtime.pipeline.metrics import Tally


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
