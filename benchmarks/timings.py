"""Makes a run's figures of the moments noted in it. Pure: no clock, no thread, no device."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.metrics import Reals, rounded
from realtime.clock import NS_PER_MS
from realtime.pipeline.metrics import STAGES

_SPANS = (*STAGES[:-1], "networks")
PERCENTS = (50, 90, 95, 99)

FREEZE_MEMORY, FREEZE_EXTRA_MS = 30, 150.0
"""W3C "Identifiers for WebRTC's Statistics API", `freezeCount`: a frame that stays at least
max(3 δ, δ + 150 ms), δ being the mean of the last 30 frames' durations."""


class Trace:
    """Everything noted in one run, 150 bytes a frame, so that a long run's memory is the program's own.

    Each `note_` is called by one thread only; read the rest once the run is over.
    """

    def __init__(self) -> None:
        self._due, self._worked, self._shown = array("q"), array("q"), array("q")
        self._kinds: list[str] = []

    def note_due(self, seq: int, ns: int) -> None:
        """The source gave frame `seq`, which was scheduled for (or else captured at) `ns`."""
        self._due.extend((seq, ns))

    def note_work(self, seq: int, spans: Mapping[str, int], faces: int, failed: bool) -> None:
        """The engine is done with frame `seq`: nanoseconds by stage, faces found, whether a stage failed."""
        self._worked.extend((seq, faces, failed, *(spans.get(name, 0) for name in _SPANS)))

    def note_show(self, seq: int | None, entered_ns: int, at_ns: int, kind: str) -> None:
        """A picture was handed over to the sinks, from `entered_ns` to `at_ns`; `seq` is None for a repeat."""
        if kind not in self._kinds:
            self._kinds.append(kind)
        self._shown.extend((-1 if seq is None else seq, entered_ns, at_ns, self._kinds.index(kind)))

    def __len__(self) -> int:
        return len(self._due) // 2

    @property
    def due(self) -> list[tuple[int, int]]:
        """(seq, ns) of every frame the source gave, in order."""
        return [(seq, ns) for seq, ns in _rows(self._due, 2)]

    @property
    def worked(self) -> dict[int, tuple[int, ...]]:
        """By seq: (faces, failed, nanoseconds of each of the spans)."""
        return {row[0]: row[1:] for row in _rows(self._worked, 3 + len(_SPANS))}

    @property
    def shown(self) -> list[tuple[int, int, int, str]]:
        """(seq or -1, entered, at, kind) of all hand-overs, in order."""
        return [(seq, entered, at, self._kinds[kind]) for seq, entered, at, kind in _rows(self._shown, 4)]


def _rows(numbers: "array[int]", width: int) -> list[tuple[int, ...]]:
    return list(zip(*[iter(numbers)] * width, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The measured part of a trace, all in milliseconds, one entry a frame.

    `age`: for every scheduled frame, from when it was due to the hand-over of it or, if it was
    dropped, of the next newer one; NaN where none came. `latency` and `parts`: of the frames
    delivered. `at`: their hand-overs, from the first frame's due time. `unseen`: frames never
    delivered. `kinds`: how many hand-overs of each kind belong to the window, `repeated` of them repeats.
    """

    age: Reals
    latency: Reals
    at: Reals
    due: Reals
    parts: Mapping[str, Reals]
    unseen: int
    repeated: int
    kinds: Mapping[str, int]
    with_face: int
    failed: int


def window(trace: Trace, first: int, count: int) -> Window:
    """The `count` frames from the source's `first` on (0 is its first); fewer where fewer came."""
    due, worked, all_shown = trace.due, trace.worked, trace.shown
    scheduled = dict(due[first : first + count])
    order = {seq: n for n, seq in enumerate(scheduled)}
    later = {seq for seq, _ in due[first + count :]}
    arrived = np.full(len(scheduled) + 1, np.nan)
    for seq, _, at, _ in reversed(all_shown):
        if seq in order:
            arrived[order[seq]] = at
        elif seq in later:
            arrived[-1] = at  # so the last frames' drops still get their age
    unseen = int(np.isnan(arrived[:-1]).sum())
    for n in range(len(scheduled) - 1, -1, -1):
        arrived[n] = arrived[n + 1] if np.isnan(arrived[n]) else arrived[n]
    mine = [shown for shown in all_shown if shown[0] in order]
    repeats = [shown for shown in all_shown if mine and shown[0] < 0 and mine[0][2] <= shown[2] <= mine[-1][2]]
    due_ns = np.array(list(scheduled.values()), dtype=np.float64)
    at_ns = np.array([at for _, _, at, _ in mine], dtype=np.float64)
    began_ns = np.array([scheduled[shown[0]] for shown in mine], dtype=np.float64)
    zero = due_ns[0] if len(due_ns) else 0.0
    return Window(
        age=(arrived[:-1] - due_ns) / NS_PER_MS,
        latency=(at_ns - began_ns) / NS_PER_MS,
        at=(at_ns - zero) / NS_PER_MS,
        due=(due_ns - zero) / NS_PER_MS,
        parts=_parts([(scheduled[seq], entered, at, worked[seq][2:]) for seq, entered, at, _ in mine]),
        unseen=unseen,
        repeated=len(repeats),
        kinds=Counter(kind for *_, kind in mine + repeats),
        with_face=sum(worked[shown[0]][0] > 0 for shown in mine),
        failed=sum(worked[seq][1] for seq in order if seq in worked),
    )


def _parts(delivered: Sequence[tuple[int, int, int, Sequence[int]]]) -> dict[str, Reals]:
    """Where the time of each frame (due, entered, at, spans) went: the stages, and networks + overhead + waiting."""
    rows: dict[str, list[float]] = {name: [] for name in (*STAGES, "networks", "overhead", "waiting")}
    for due, entered, at, spans in delivered:
        row = dict(zip(_SPANS, spans, strict=True))
        engine_done = due + sum(spans) - row["networks"]
        row["output"] = at - engine_done
        row["waiting"] = row["capture"] + max(entered - engine_done, 0)
        row["overhead"] = at - due - row["networks"] - row["waiting"]
        for name, ns in row.items():
            rows[name].append(ns / NS_PER_MS)
    return {name: np.array(values, dtype=np.float64) for name, values in rows.items()}


def percentile(values: Reals, percent: float) -> float | None:
    """The smallest value that `percent` of the values do not exceed (nearest rank); None of nothing.

    Never between two values: a percentile is a time that really happened, as MLPerf's are.
    """
    known = values[~np.isnan(values)]
    return float(np.percentile(known, percent, method="inverted_cdf")) if len(known) else None


def spread(values: Reals, percents: Sequence[int] = PERCENTS) -> dict[str, float | None]:
    """Percentiles, maximum and mean, rounded to 10 µs."""
    known = values[~np.isnan(values)]
    found: dict[str, float | None] = {f"p{p}": percentile(values, p) for p in percents}
    found |= {"max": float(known.max()), "mean": float(known.mean())} if len(known) else {"max": None, "mean": None}
    return {name: rounded(value, 2) for name, value in found.items()}


def freezes(at_ms: Reals) -> tuple[int, float]:
    """(how many, milliseconds in all) of freezes in the times new pictures came (W3C `freezeCount`)."""
    gaps = np.diff(at_ms)
    count, total = 0, 0.0
    for n in range(1, len(gaps)):
        usual = float(gaps[max(0, n - FREEZE_MEMORY) : n].mean())
        if gaps[n] >= max(3 * usual, usual + FREEZE_EXTRA_MS):
            count, total = count + 1, total + float(gaps[n])
    return count, total


def figures(found: Window) -> dict[str, Any]:
    gaps = np.diff(found.at)
    frozen, frozen_ms = freezes(found.at)
    seconds = (found.at[-1] - found.at[0]) / 1e3 if len(found.at) > 1 else 0.0
    return {
        "latency_ms": spread(found.age),
        "latency_delivered_ms": spread(found.latency),
        "stages_ms": {stage: spread(found.parts[stage], (50, 95)) for stage in STAGES},
        "networks_ms": spread(found.parts["networks"], (50, 95)),
        "overhead_ms": spread(found.parts["overhead"], (50, 95)),
        "waiting_ms": spread(found.parts["waiting"], (50, 95)),
        "fps": {"offered": _rate(found.due), "delivered": _rate(found.at)},
        "intervals_ms": {
            "jitter": _deviation(found.at),
            "source_jitter": _deviation(found.due),
            "p99": rounded(percentile(gaps, 99), 2),
            "max": rounded(gaps.max(), 2) if len(gaps) else None,
        },
        "frames": {
            "scheduled": len(found.age),
            "delivered": len(found.latency),
            "dropped": found.unseen,
            "repeated": found.repeated,
            "guarded": sum(found.kinds.get(kind, 0) for kind in ("hold", "card", "blur")),
            "raw": found.kinds.get("raw", 0),
            "failed": found.failed,
            "with_face": found.with_face,
        },
        "freezes": {"count": frozen, "seconds": round(frozen_ms / 1e3, 3)},
        "seconds": round(seconds, 3),
    }


def _rate(at_ms: Reals) -> float | None:
    return rounded((len(at_ms) - 1) * 1e3 / (at_ms[-1] - at_ms[0]), 2) if len(at_ms) > 1 else None


def _deviation(at_ms: Reals) -> float | None:
    return rounded(np.diff(at_ms).std(), 2) if len(at_ms) > 1 else None


def throughput(found: Window) -> dict[str, Any]:
    """What the closed loop gives: the next frame is read when the last was handed over.

    `single_stream_p90_ms` is MLPerf Inference's SingleStream figure: the 90th percentile of one
    frame's time, reading not included.
    """
    wall_s = (found.at[-1] - found.due[0]) / 1e3 if len(found.at) else 0.0
    busy_s = float(found.latency.sum()) / 1e3
    return {
        "fps_with_reading": rounded(len(found.at) / wall_s, 2) if wall_s else None,
        "fps": rounded(len(found.at) / busy_s, 2) if busy_s else None,
        "single_stream_p90_ms": rounded(percentile(found.latency, 90), 2),
    }
