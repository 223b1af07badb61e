"""The product's own live session, with every moment noted: nothing in it is changed or left out."""

import os
import sys
import threading
import time
from dataclasses import dataclass, field, fields, replace
from typing import Any

from benchmarks.timings import Trace
from realtime.capture.source import Source
from realtime.capture.wrappers import Paced, SeekableSource, SourceWrapper
from realtime.clock import Clock
from realtime.config import RunConfig
from realtime.frame import Frame
from realtime.pipeline.engine import Result
from realtime.pipeline.fallback import Outgoing
from realtime.pipeline.loop import Loop
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session

TAIL = 5
"""Frames after the measured ones, so that a drop at the very end still has a next picture."""


@dataclass(slots=True, eq=False)
class Use:
    """What the process used: (clock, CPU time) in nanoseconds at the window's two ends, and its memory.

    `memory_mb` is the resident size once a second, empty where the system doesn't tell.
    """

    at_start: tuple[int, int] | None = None
    at_end: tuple[int, int] | None = None
    memory_mb: list[float] = field(default_factory=list)


class Counted(SourceWrapper):
    """A source that notes when each frame was due and ends after `warm_up` + `count` of them.

    A source that ends sooner is rewound.
    """

    def __init__(self, source: Source, trace: Trace, use: Use, clock: Clock, *, warm_up: int, count: int) -> None:
        super().__init__(source)
        self._trace, self._use, self._clock = trace, use, clock
        self._first, self._last = warm_up, warm_up + count

    def read(self) -> Frame | None:
        """The source's next frame, noted; None after the last that is wanted."""
        number = len(self._trace)
        if number == self._last:
            self._use.at_end = (self._clock(), time.process_time_ns())
        if number >= self._last + TAIL:
            return None
        frame = self.inner.read()
        rewind = getattr(self.inner, "rewind", None)
        if frame is None and rewind is not None and number > 0:
            rewind()
            frame = self.inner.read()
        if frame is None:
            return None
        # Rewound sources and cameras may number as they like; the trace needs one number a frame.
        frame = replace(frame, seq=number)
        if number == self._first:
            self._use.at_start = (self._clock(), time.process_time_ns())
        if number % max(1, round(self.rate_hz)) == 0:
            self._use.memory_mb += resident_mb()
        self._trace.note_due(number, frame.captured_ns)
        return frame


class MeasuredLoop(Loop):
    """A `Loop` that notes what the engine did and when each picture was handed over."""

    def __init__(self, loop: Loop, trace: Trace) -> None:
        super().__init__(**{f.name: getattr(loop, f.name) for f in fields(loop)})
        self._trace = trace

    def work(self, frame: Frame) -> Result:
        """The loop's, noted. Engine's thread."""
        result = super().work(frame)
        self._trace.note_work(frame.seq, result.frame.spans, result.faces, result.error is not None)
        return result

    def show(self, result: Result | None, now_ns: int) -> Outgoing:
        """The loop's, noted. Output's thread."""
        entered = self.clock()
        out = super().show(result, now_ns)
        self._trace.note_show(None if result is None else result.frame.seq, entered, self.clock(), out.kind)
        return out


class Retimed:
    """A seekable source played at `rate_hz`, whatever its own rate, without a gap where it starts again.

    So a benchmark offers exactly the rate it names. Obeys `SeekableSource`.
    """

    live, duration_s = False, None

    def __init__(self, source: SeekableSource, rate_hz: float) -> None:
        self._source, self.rate_hz = source, rate_hz
        self._position = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self) -> Frame | None:
        """The source's next frame with its new time."""
        frame = self._source.read()
        if frame is None:
            return None
        frame = replace(frame, media_s=self._position / self.rate_hz)
        self._position += 1
        return frame

    def rewind(self) -> None:
        """Start again from the first frame."""
        self._position = 0
        self._source.rewind()


class MeasuredRun:
    """`masquerade run`, ended after `warm_up` + `count` frames, with its `trace` and `use`.

    `source_rate_hz` is the source's own rate; `threads_left` what outlived the run.
    """

    def __init__(self, config: RunConfig, clock: Clock, *, warm_up: int, count: int) -> None:
        self.trace, self.use = Trace(), Use()
        self.threads_left: list[str] = []
        self._before = set(threading.enumerate())
        parts = open_parts(config, clock=clock)
        source = parts.source
        self.source_rate_hz = source.inner.rate_hz if isinstance(source, Paced) else source.rate_hz
        # A faster file is thinned by Paced as in any run; a slower one is played faster.
        if isinstance(source, Paced) and config.fps and source.inner.rate_hz <= config.fps * 1.01:
            retimed: Any = Retimed(source.inner, config.fps)
            source = Paced(retimed, loop=True, clock=clock)
            parts.closing.callback(source.close)
        self._source = source
        parts.source = Counted(source, self.trace, self.use, clock, warm_up=warm_up, count=count)
        self._session = Session(parts, say=_say)
        self._session.loop = MeasuredLoop(self._session.loop, self.trace)

    def run(self) -> dict[str, Any]:
        """Run to the end; the report of the run. Raises MasqueradeError."""
        report = self._session.run()
        self.threads_left = [t.name for t in threading.enumerate() if t not in self._before]
        return report

    @property
    def lost_s(self) -> float:
        """Seconds by which the schedule had to be put off because it could not be read in time: the run is void."""
        return self._source.lost_s if isinstance(self._source, Paced) else 0.0


def resident_mb() -> list[float]:
    """[megabytes] the process holds in memory now; [] where the system doesn't tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as pages:
            return [int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20]
    except (OSError, ValueError, AttributeError):
        return []


def _say(line: str) -> None:
    """The live line, for a person who watches; a log keeps the figures only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
