"""Where each picture belongs in a recording."""

from typing import NamedTuple

from realtime.capture.source import Pace
from realtime.clock import NS_PER_S
from realtime.frame import Frame

STEP_S = 0.001  # the least distance of two pictures: Matroska's clock ticks in milliseconds
MADE_NOW_NS = 2_000_000
"""A picture handed over this soon after its capture time was not captured: it is a repeat or a slate, stamped with the
moment it was shown. No picture of a camera gets through the loop so fast."""


class Place(NamedTuple):
    """A picture's time in the recording; `media_s` is its time in the source, None where that says nothing new (a
    repeat, a live source)."""

    out_s: float
    media_s: float | None


class Timeline:
    """Gives every picture its time, strictly rising from 0.

    `live`: by the time of capture, so that a late hand-over does not shake the recording. A repeat or slate, without a
    capture time of its own, takes the place of a capture as late as the last one. `all`: by the source's own time,
    so that variable rates stay; without one, by the nominal rate.
    """

    def __init__(self, pace: Pace, rate_hz: float) -> None:
        self._pace = pace
        self._period_s = 1.0 / rate_hz
        self._last_s: float | None = None
        self._zero_s = 0.0
        self._lag_ns = 0

    @property
    def zero_ns(self) -> int:
        """The time that is the recording's 0: the clock's with pace `live`, the source's own otherwise."""
        return round(self._zero_s * NS_PER_S)

    def place(self, frame: Frame, now_ns: int) -> Place:
        """The place of the picture handed over at `now_ns`."""
        if self._pace == "live":
            at_s, media_s = self._live(frame, now_ns)
        else:
            at_s, media_s = self._all(frame)
        if self._last_s is None:
            self._zero_s, self._last_s = at_s, 0.0
        else:
            self._last_s = max(at_s - self._zero_s, self._last_s + STEP_S)
        return Place(self._last_s, media_s)

    def _live(self, frame: Frame, now_ns: int) -> tuple[float, float | None]:
        lag_ns = now_ns - frame.captured_ns
        if lag_ns < MADE_NOW_NS:
            return (now_ns - self._lag_ns) / NS_PER_S, None
        self._lag_ns = lag_ns
        at_s = frame.captured_ns / NS_PER_S
        # Shown, but captured before what was shown last: its time is bent, so it can't guide the sound.
        bent = self._last_s is not None and at_s - self._zero_s < self._last_s
        return at_s, None if bent else frame.media_s

    def _all(self, frame: Frame) -> tuple[float, float | None]:
        at_s = frame.media_s if frame.media_s is not None else frame.seq * self._period_s
        if self._last_s is not None and at_s - self._zero_s <= self._last_s:
            # The source began again: go on where the recording is.
            self._zero_s = at_s - self._last_s - self._period_s
        return at_s, frame.media_s
