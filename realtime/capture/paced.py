"""A file in real time: each frame comes when it is due, on the one clock."""

from collections.abc import Callable
from typing import Protocol

from realtime.capture.source import Source
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.frame import Frame
from realtime.threads import Event

MAX_LATE_S = 1.0
"""Behind by more than this, the schedule starts anew: a slept laptop must not replay the hours it
missed, and a file too heavy to decode in time must not fall ever further back."""


class SeekableSource(Source, Protocol):
    """A source that never waits and can start again: what `Paced` plays."""

    @property
    def duration_s(self) -> float | None: ...

    def rewind(self) -> None: ...


class Paced:
    """Plays a reel at its own speed, once or round and round. Obeys `Source`.

    `captured_ns` is the moment a frame was due, not the moment it was read: so latency counts from
    the schedule, and a stall is charged to every frame it delayed (Gil Tene's "coordinated
    omission"). Nothing that is due is left out, except as MAX_LATE_S says. `fps` thins the frames
    to at most so many a second. `wait` waits so many seconds and says whether it was interrupted.
    """

    live = False

    def __init__(
        self,
        reel: SeekableSource,
        *,
        loop: bool = False,
        fps: float | None = None,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.reel = reel
        self.lost_s = 0.0
        self._loop, self._fps, self._clock = loop, fps, clock
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._start_ns: int | None = None
        self._played_s = 0.0  # the timer before this one
        self._lap_s = 0.0  # where this lap's last frame ends
        self._kept = 0
        self._next_kept_s = 0.0
        self._state = "ok"

    @property
    def name(self) -> str:
        """The reel's name."""
        return self.reel.name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.reel.size

    @property
    def rate_hz(self) -> float:
        """Frames a second: the reel's, or `fps` where that is less."""
        return min(self.reel.rate_hz, self._fps or self.reel.rate_hz)

    @property
    def state(self) -> str:
        """`ok`, or that the file cannot be decoded as fast as it plays."""
        return self._state if self.reel.state == "ok" else self.reel.state

    def read(self) -> Frame | None:
        """The next frame, when it is due; None at the end or when unblocked."""
        while not self._stop.is_set():
            frame = self.reel.read()
            if frame is None:
                if not self._loop or self._lap_s == 0.0 or self._stop.is_set():
                    return None
                # The file's own length, so that a loop keeps step with its sound.
                self._played_s += max(self._lap_s, self.reel.duration_s or 0.0)
                self._lap_s = 0.0
                self.reel.rewind()
                continue
            at_s = frame.media_s or 0.0
            self._lap_s = at_s + 1 / self.reel.rate_hz
            if self._thinned(self._played_s + at_s):
                continue
            due_ns = self._due(self._played_s + at_s)
            while (early_ns := due_ns - self._clock()) > 0:
                if self._wait(early_ns / NS_PER_S):
                    return None
            kept = Frame(frame.pixels, self._kept, due_ns, frame.media_s)
            self._kept += 1
            return kept
        return None

    def _thinned(self, at_s: float) -> bool:
        """True for a frame that `fps` leaves no room for."""
        if self._fps is None or self._fps >= self.reel.rate_hz:
            return False
        if at_s < self._next_kept_s - 0.5 / self.reel.rate_hz:
            return True
        self._next_kept_s = max(self._next_kept_s, at_s - 1 / self._fps) + 1 / self._fps
        return False

    def _due(self, at_s: float) -> int:
        now = self._clock()
        if self._start_ns is None:
            self._start_ns = now - int(at_s * NS_PER_S)
        due_ns = self._start_ns + int(at_s * NS_PER_S)
        late_s = (now - due_ns) / NS_PER_S
        if late_s > MAX_LATE_S:
            self._start_ns += now - due_ns
            self.lost_s += late_s
            self._state = f"{self.name} plays slower than it should: {self.lost_s:.1f} s behind so far"
            return now
        return due_ns

    def unblock(self) -> None:
        """Make `read` return None, now and later."""
        self._stop.set()
        self.reel.unblock()

    def close(self) -> None:
        """Close the reel. May be called twice."""
        self._stop.set()
        self.reel.close()
