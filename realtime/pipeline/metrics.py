"""Counts and percentiles of a run, in bounded memory."""

import json
import math
import os
import platform
import statistics
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from realtime.clock import NS_PER_MS, NS_PER_S
from realtime.errors import ConfigError

SECONDS = 60


@dataclass(slots=True)
class _Second:
    """The new pictures of one second: how late they were, and where the time went. All in nanoseconds."""

    at: int
    dropped: int = 0
    latencies: list[int] = field(default_factory=list)
    stages: dict[str, list[int]] = field(default_factory=dict)


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
                {"ago": newest - s.at, "fps": len(s.latencies), "dropped": s.dropped, **_percentiles(s.latencies)}
                for s in recent[:-1]
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


STAGES = ("capture", "detect", "align", "swap", "blend", "output")
"""They add up to the latency: `capture` ends as the engine takes the frame, `output` with the last sink's hand-over."""

_WATCHED_NS, _LEAST, _EVERY = 5_000_000_000, 15, 4
"""`Tally.late_ns` is the median of the last 5 s, or of 15 pictures where that is more, taken anew every 4 pictures."""


class Histogram:
    """Percentiles of durations, within 1 %: log-spaced buckets from 1 µs to 1,000 s (the idea of HdrHistogram)."""

    _LOW_NS = 1_000
    _RATIO = 1.01
    _BUCKETS = math.ceil(math.log(1e12 / 1e3) / math.log(_RATIO)) + 1

    def __init__(self) -> None:
        self._counts = np.zeros(self._BUCKETS, np.int64)
        self._max_ns = 0
        self.count = 0

    def add(self, ns: int) -> None:
        """Record one duration in nanoseconds; a negative one counts as zero."""
        ns = max(ns, 0)
        bucket = int(math.log(max(ns, self._LOW_NS) / self._LOW_NS) / math.log(self._RATIO))
        self._counts[min(bucket, self._BUCKETS - 1)] += 1
        self._max_ns = max(self._max_ns, ns)
        self.count += 1

    def percentile_ms(self, percent: float) -> float:
        """The duration not exceeded by `percent` of the records, in milliseconds; 0 without any."""
        if self.count == 0:
            return 0.0
        rank = max(1, math.ceil(self.count * percent / 100))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        middle = self._LOW_NS * self._RATIO ** (bucket + 0.5)
        return float(min(middle, self._max_ns)) / NS_PER_MS

    @property
    def max_ms(self) -> float:
        return self._max_ns / NS_PER_MS


@dataclass(slots=True, eq=False)
class Tally:
    """Everything counted in one run. Written by the thread that owns each field, read by anyone.

    `captured`: frames the source gave. `processed`: frames the engine worked on. `dropped`: frames
    replaced by newer ones before the next thread took them. `emitted`: pictures handed to the sinks; of those
    `repeated`: shown because nothing new came, `guarded`: a stand-in (held, slate or blur), `covered`: with a face
    covered that was not replaced, `raw`: with the user's own face. `late_ns`: the median latency of the last pictures
    that a network made; an avatar at rest needs no network, so its pictures would make it too small.
    """

    captured: int = 0
    processed: int = 0
    dropped: int = 0
    emitted: int = 0
    repeated: int = 0
    guarded: int = 0
    covered: int = 0
    raw: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    stages: dict[str, Histogram] = field(default_factory=lambda: {s: Histogram() for s in STAGES})
    minute: LastMinute = field(default_factory=LastMinute)
    late_ns: int = 0
    _made: deque[tuple[int, int]] = field(default_factory=deque)
    first_ns: int | None = None
    last_ns: int | None = None

    def emit(self, now_ns: int, captured_ns: int | None, spans: Mapping[str, int]) -> None:
        """Count one picture handed over now; `captured_ns` is None for repeats and slates."""
        self.emitted += 1
        if self.first_ns is None:
            self.first_ns = now_ns
        self.last_ns = now_ns
        late_ns = None if captured_ns is None else max(now_ns - captured_ns, 0)
        self.minute.add(now_ns, late_ns, spans, self.dropped)
        if captured_ns is None:
            return
        self.latency.add(now_ns - captured_ns)
        if spans.get("networks"):
            self._watch(now_ns, now_ns - captured_ns)
        for stage, ns in spans.items():
            if stage in self.stages:
                self.stages[stage].add(ns)

    def _watch(self, now_ns: int, late_ns: int) -> None:
        self._made.append((now_ns, late_ns))
        while len(self._made) > _LEAST and now_ns - self._made[0][0] > _WATCHED_NS:
            self._made.popleft()
        if self.emitted % _EVERY == 0:
            self.late_ns = round(statistics.median(late for _, late in self._made))

    @property
    def seconds(self) -> float:
        if self.first_ns is None or self.last_ns is None:
            return 0.0
        return (self.last_ns - self.first_ns) / 1e9

    @property
    def fps(self) -> float:
        """New pictures handed over a second (repeats don't count)."""
        return (self.emitted - self.repeated - 1) / self.seconds if self.seconds > 0 else 0.0

    def report(self) -> dict[str, Any]:
        """The part of the metrics file that is counted (CONTRACT: `--metrics`)."""
        return {
            "frames": {
                name: getattr(self, name)
                for name in ("captured", "processed", "dropped", "emitted", "repeated", "guarded", "covered", "raw")
            },
            "fps": round(max(self.fps, 0.0), 2),
            "seconds": round(self.seconds, 3),
            "latency_ms": {
                **{f"p{percent}": round(self.latency.percentile_ms(percent), 2) for percent in (50, 95, 99)},
                "max": round(self.latency.max_ms, 2),
            },
            "stages_ms": {
                stage: {"p50": round(h.percentile_ms(50), 2), "p95": round(h.percentile_ms(95), 2)}
                for stage, h in self.stages.items()
            },
        }


def peak_memory_mb() -> float:
    """The most memory this process ever held, in megabytes; 0 where the system doesn't tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def machine() -> dict[str, Any]:
    """The processor's and the graphics card's names as the system gives them; None without a card."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    gpu = None
    try:
        with os.scandir("/proc/driver/nvidia/gpus") as cards:
            for card in cards:
                with open(os.path.join(card.path, "information"), encoding="utf-8") as lines:
                    gpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("Model")), gpu)
    except OSError:
        pass
    return {"cpu": cpu, "cores": os.cpu_count(), "gpu": gpu}


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """The report as a JSON file. Raises ConfigError where it can't be written."""
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the metrics can't be written to {path}: {error.strerror}") from error


def commit() -> str | None:
    """The commit of the checkout this runs from, None for an installed package."""
    git = Path(__file__).resolve().parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head[:12]
        return (git / head[5:]).read_text(encoding="utf-8").strip()[:12]
    except OSError:
        return None
