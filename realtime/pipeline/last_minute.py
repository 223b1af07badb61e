"""What the last minute was like, second by second: for charts, where a run's totals hide what just changed."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from realtime.clock import NS_PER_MS, NS_PER_S

SECONDS = 60


class _Second:
    """The new pictures of one second: how late they were, and where the time went. All in nanoseconds."""

    __slots__ = ("at", "dropped", "latencies", "stages")

    def __init__(self, at: int) -> None:
        self.at = at
        self.dropped = 0
        self.latencies: list[int] = []
        self.stages: dict[str, list[int]] = {}


class LastMinute:
    """Fed by the output's thread, read by any. Keeps 60 seconds, however many pictures they have."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque(maxlen=SECONDS)
        self._dropped = 0

    def add(self, now_ns: int, latency_ns: int | None, spans: Mapping[str, int], dropped: int) -> None:
        """Note a picture handed over at `now_ns`; `latency_ns` is None for one that is not new.

        `dropped` counts the frames dropped since the start of the run.
        """
        at = now_ns // NS_PER_S
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at))
        second = self._seconds[-1]
        second.dropped += dropped - self._dropped
        self._dropped = dropped
        if latency_ns is None:
            return
        second.latencies.append(latency_ns)
        for stage, ns in spans.items():
            second.stages.setdefault(stage, []).append(ns)

    def report(self) -> dict[str, Any]:
        """The minute in numbers that JSON takes; times in milliseconds.

        `seconds`: for each whole second, oldest first, how long `ago` it was, `fps`, `dropped`, `p50` and `p95` of
        the latency, None in a second without new pictures. `stages_ms`: p50 and p95 over the minute, and `latency_ms`
        of the whole. The second that is not over yet counts for the latter only.
        """
        kept = list(self._seconds)
        newest = kept[-1].at if kept else 0
        recent = [second for second in kept if newest - second.at < SECONDS]
        return {
            "seconds": [
                {
                    "ago": newest - second.at,
                    "fps": len(second.latencies),
                    "dropped": second.dropped,
                    **_percentiles(second.latencies),
                }
                for second in recent[:-1]
            ],
            "latency_ms": _percentiles([ns for second in recent for ns in list(second.latencies)]),
            "stages_ms": {
                stage: _percentiles([ns for second in recent for ns in list(second.stages.get(stage, ()))])
                for stage in dict.fromkeys(stage for second in recent for stage in list(second.stages))
            },
        }


def _percentiles(durations_ns: Sequence[int]) -> dict[str, float | None]:
    """Nearest-rank p50 and p95 in milliseconds, None of nothing."""
    ordered = sorted(durations_ns)
    if not ordered:
        return {"p50": None, "p95": None}
    return {f"p{percent}": round(ordered[-(-len(ordered) * percent // 100) - 1] / NS_PER_MS, 2) for percent in (50, 95)}
