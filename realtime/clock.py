"""The one clock, passed to whatever needs time, and a stopwatch for the stages of a frame."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds from an arbitrary start, never going back."""

now_ns: Clock = time.perf_counter_ns

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class StageTimer:
    """Nanoseconds by stage: each `lap` books the time since the one before. `spans` adds up what repeats.

    `started` is the clock's reading at the end of the last lap, at first when this was made.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.started = clock()
        self.spans: dict[str, int] = {}

    def lap(self, stage: str) -> None:
        now = self._clock()
        self.spans[stage] = self.spans.get(stage, 0) + now - self.started
        self.started = now
