"""From the moments noted in a run to its figures. Pure: no clock, no thread, no device."""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.clock import NS_PER_MS

Millis = npt.NDArray[np.float64]

STAGES = ("capture", "detect", "align", "swap", "blend", "output")
_SPANS = (*STAGES[:-1], "networks")
PERCENTS = (50, 90, 95, 99)

FREEZE_MEMORY = 30
FREEZE_EXTRA_MS = 150.0
"""W3C "Identifiers for WebRTC's Statistics API", `freezeCount`: a frame that stays at least
max(3 δ, δ + 150 ms), δ being the mean of the last 30 frames' durations."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What the engine did with one frame: nanoseconds by stage, faces found, whether a stage failed."""

    spans: Mapping[str, int]
    faces: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One hand-over to the sinks: from `entered_ns` to `at_ns`; `seq` is None for a repeat."""

    seq: int | None
    entered_ns: int
    at_ns: int
    kind: str


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

    def note_work(self, seq: int, worked: Worked) -> None:
        """The engine is done with frame `seq`."""
        spans = [worked.spans.get(name, 0) for name in _SPANS]
        self._worked.extend((seq, worked.faces, worked.failed, *spans))

    def note_show(self, shown: Shown) -> None:
        """A picture was handed over."""
        if shown.kind not in self._kinds:
            self._kinds.append(shown.kind)
        seq = -1 if shown.seq is None else shown.seq
        self._shown.extend((seq, shown.entered_ns, shown.at_ns, self._kinds.index(shown.kind)))

    def __len__(self) -> int:
        """How many frames the source gave."""
        return len(self._due) // 2

    @property
    def due(self) -> list[tuple[int, int]]:
        """(seq, nanoseconds) of every frame the source gave, in order."""
        return [(seq, ns) for seq, ns in _rows(self._due, 2)]

    @property
    def worked(self) -> dict[int, Worked]:
        """What the engine did, by seq."""
        rows = _rows(self._worked, 3 + len(_SPANS))
        return {
            seq: Worked(dict(zip(_SPANS, spans, strict=True)), faces, bool(failed))
            for seq, faces, failed, *spans in rows
        }

    @property
    def shown(self) -> list[Shown]:
        """All hand-overs, in order."""
        return [
            Shown(None if seq < 0 else seq, entered, at, self._kinds[kind])
            for seq, entered, at, kind in _rows(self._shown, 4)
        ]


def _rows(numbers: "array[int]", width: int) -> Iterator[tuple[int, ...]]:
    return zip(*[iter(numbers)] * width, strict=True)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The measured part of a trace, all in milliseconds, one entry a frame.

    `age`: for every scheduled frame, from when it was due to the hand-over of it or, if it was
    dropped, of the next newer one; NaN where none came. `latency` and `parts`: of the frames
    delivered. `at`: their hand-overs, from the first frame's due time. `unseen`: frames never
    delivered. `shown`: the hand-overs that belong to the window, repeats included.
    """

    age: Millis
    latency: Millis
    at: Millis
    due: Millis
    parts: Mapping[str, Millis]
    unseen: int
    shown: Sequence[Shown]
    faces: Sequence[int]
    failed: int


def window(trace: Trace, first: int, count: int) -> Window:
    """The `count` frames from the source's `first` on (0 is its first); fewer where fewer came."""
    due, worked, all_shown = trace.due, trace.worked, trace.shown
    scheduled = due[first : first + count]
    order = {seq: n for n, (seq, _) in enumerate(scheduled)}
    later = {seq for seq, _ in due[first + count :]}
    arrived = np.full(len(scheduled) + 1, np.nan)
    for shown in reversed(all_shown):
        if shown.seq is None:
            continue
        if shown.seq in order:
            arrived[order[shown.seq]] = shown.at_ns
        elif shown.seq in later:
            arrived[-1] = shown.at_ns  # so the last frames' drops still get their age
    delivered = ~np.isnan(arrived[:-1])
    for n in range(len(scheduled) - 1, -1, -1):
        if math.isnan(arrived[n]):
            arrived[n] = arrived[n + 1]
    due_ns = np.array([ns for _, ns in scheduled], dtype=np.float64)
    mine = [s for s in all_shown if s.seq in order]
    zero = due_ns[0] if len(due_ns) else 0.0
    parts, faces = _parts(worked, mine, dict(scheduled))
    between = [s for s in all_shown if mine and s.seq is None and mine[0].at_ns <= s.at_ns <= mine[-1].at_ns]
    at_ns = np.array([s.at_ns for s in mine], dtype=np.float64)
    began_ns = np.array([due_ns[order[s.seq]] for s in mine if s.seq is not None], dtype=np.float64)
    return Window(
        age=(arrived[:-1] - due_ns) / NS_PER_MS,
        latency=(at_ns - began_ns) / NS_PER_MS,
        at=(at_ns - zero) / NS_PER_MS,
        due=(due_ns - zero) / NS_PER_MS,
        parts=parts,
        unseen=int((~delivered).sum()),
        shown=sorted(mine + between, key=lambda s: s.at_ns),
        faces=faces,
        failed=sum(worked[seq].failed for seq in order if seq in worked),
    )


def _parts(
    worked: Mapping[int, Worked], mine: Sequence[Shown], due: Mapping[int, int]
) -> tuple[dict[str, Millis], list[int]]:
    """Where each delivered frame's time went: the stages, and networks + overhead + waiting."""
    rows: dict[str, list[float]] = {name: [] for name in (*STAGES, "networks", "overhead", "waiting")}
    faces: list[int] = []
    for shown in mine:
        assert shown.seq is not None
        done = worked[shown.seq]
        spans = {stage: done.spans.get(stage, 0) for stage in STAGES if stage != "output"}
        engine_done = due[shown.seq] + sum(spans.values())
        latency = shown.at_ns - due[shown.seq]
        hop = max(shown.entered_ns - engine_done, 0)
        networks = done.spans.get("networks", 0)
        waiting = spans["capture"] + hop
        row = {**spans, "output": shown.at_ns - engine_done, "networks": networks, "waiting": waiting}
        row["overhead"] = latency - networks - waiting
        for name, ns in row.items():
            rows[name].append(ns / NS_PER_MS)
        faces.append(done.faces)
    return {name: np.array(values, dtype=np.float64) for name, values in rows.items()}, faces


def percentile(values: Millis, percent: float) -> float | None:
    """The smallest value that `percent` of the values do not exceed (nearest rank); None of nothing.

    Never between two values: a percentile is a time that really happened, as MLPerf's are.
    """
    known = values[~np.isnan(values)]
    return float(np.percentile(known, percent, method="inverted_cdf")) if len(known) else None


def spread(values: Millis, percents: Sequence[int] = PERCENTS) -> dict[str, float | None]:
    """Percentiles, maximum and mean, rounded to 10 µs."""
    known = values[~np.isnan(values)]
    found: dict[str, float | None] = {f"p{p}": percentile(values, p) for p in percents}
    found |= {"max": float(known.max()), "mean": float(known.mean())} if len(known) else {"max": None, "mean": None}
    return {name: rounded(value) for name, value in found.items()}


def rounded(value: float | None, digits: int = 2) -> float | None:
    """The value with so many decimals; None stays."""
    return None if value is None or math.isnan(value) else round(value, digits)


def freezes(at_ms: Millis) -> tuple[int, float]:
    """(how many, milliseconds in all) of freezes in the times new pictures came (W3C `freezeCount`)."""
    gaps = np.diff(at_ms)
    count, total = 0, 0.0
    for n in range(1, len(gaps)):
        usual = float(gaps[max(0, n - FREEZE_MEMORY) : n].mean())
        if gaps[n] >= max(3 * usual, usual + FREEZE_EXTRA_MS):
            count, total = count + 1, total + float(gaps[n])
    return count, total


def figures(found: Window) -> dict[str, Any]:
    """The window's figures as the JSON file has them."""
    gaps = np.diff(found.at)
    frozen, frozen_ms = freezes(found.at)
    offered_s = (found.due[-1] - found.due[0]) / 1e3 if len(found.due) > 1 else 0.0
    seconds = (found.at[-1] - found.at[0]) / 1e3 if len(found.at) > 1 else 0.0
    with_face = sum(n > 0 for n in found.faces)
    return {
        "latency_ms": spread(found.age),
        "latency_delivered_ms": spread(found.latency),
        "stages_ms": {stage: spread(found.parts[stage], (50, 95)) for stage in STAGES},
        "networks_ms": spread(found.parts["networks"], (50, 95)),
        "overhead_ms": spread(found.parts["overhead"], (50, 95)),
        "waiting_ms": spread(found.parts["waiting"], (50, 95)),
        "fps": {
            "offered": rounded((len(found.due) - 1) / offered_s if offered_s else None),
            "delivered": rounded((len(found.at) - 1) / seconds if seconds else None),
        },
        "intervals_ms": {
            "jitter": rounded(float(gaps.std()) if len(gaps) else None),
            "source_jitter": rounded(float(np.diff(found.due).std()) if len(found.due) > 1 else None),
            "p99": rounded(percentile(gaps, 99)),
            "max": rounded(float(gaps.max()) if len(gaps) else None),
        },
        "frames": {
            "scheduled": len(found.age),
            "delivered": len(found.latency),
            "dropped": found.unseen,
            "repeated": sum(s.seq is None for s in found.shown),
            "guarded": sum(s.kind in ("hold", "card", "blur") for s in found.shown),
            "raw": sum(s.kind == "raw" for s in found.shown),
            "failed": found.failed,
            "with_face": with_face,
        },
        "freezes": {"count": frozen, "seconds": round(frozen_ms / 1e3, 3)},
        "seconds": round(seconds, 3),
    }


def throughput(found: Window) -> dict[str, Any]:
    """What the closed loop gives: the next frame is read when the last was handed over.

    `single_stream_p90_ms` is MLPerf Inference's SingleStream figure: the 90th percentile of one
    frame's time, reading not included.
    """
    wall_s = (found.at[-1] - found.due[0]) / 1e3 if len(found.at) else 0.0
    busy_s = float(found.latency.sum()) / 1e3
    return {
        "fps_with_reading": rounded(len(found.at) / wall_s if wall_s else None),
        "fps": rounded(len(found.at) / busy_s if busy_s else None),
        "single_stream_p90_ms": rounded(percentile(found.latency, 90)),
    }


def per_second(amount_ns: int, wall_ns: int) -> float | None:
    """CPU time over wall time in percent: 100 is one core; None for no time at all."""
    return round(100 * amount_ns / wall_ns, 1) if wall_ns > 0 else None
