"""The one clock, passed to whatever needs time, and a stopwatch for the stages of a frame."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds from an arbitrary start, never going back."""

now_ns: Clock = time.perf_counter_ns

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class StageTimer:
    """Nanoseconds by stage: each `lap` books the time since the one before. `spans` adds up what repeats."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock()
        self.spans: dict[str, int] = {}

    @property
    def started(self) -> int:
        """The clock's reading at the end of the last lap, at first when it was made."""
        return self._at

    def lap(self, stage: str) -> None:
        """Book the time since the last lap to `stage`."""
        now = self._clock()
        self.spans[stage] = self.spans.get(stage, 0) + now - self._at
        self._at = now
