"""A source whose frames come from nowhere but a count: a still picture, or pictures with numbers in them."""

from abc import abstractmethod

from realtime.clock import Clock
from realtime.frame import Frame, Pixels


class CountedSource:
    """Frame after frame at `rate_hz` until there were `count` (None: without end). Lacks only `name`."""

    def __init__(self, size: tuple[int, int], rate_hz: float, count: int | None, clock: Clock) -> None:
        self._size, self._rate_hz, self._count, self._clock = size, rate_hz, count, clock
        self._ended = False
        self._seq = 0
        self._start = 0

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self._size

    @property
    def rate_hz(self) -> float:
        """Frames a second, as asked for."""
        return self._rate_hz

    @property
    def duration_s(self) -> float | None:
        """How long it lasts; None without end."""
        return None if self._count is None else self._count / self._rate_hz

    def read(self) -> Frame | None:
        """The next picture; None after `count` of them."""
        position = self._seq - self._start
        if self._ended or (self._count is not None and position >= self._count):
            return None
        frame = Frame(self._picture(self._seq), self._seq, self._clock(), position / self._rate_hz)
        self._seq += 1
        return frame

    @abstractmethod
    def _picture(self, seq: int) -> Pixels:
        """Frame `seq`, counted from the first one whatever was rewound: (H, W, 3) uint8 BGR, read-only."""

    def rewind(self) -> None:
        """Start again; the numbers of the frames go on, so that order shows across the seam."""
        self._start = self._seq

    def unblock(self) -> None:
        """Make `read` return None."""
        self._ended = True

    def close(self) -> None:
        """Nothing more will come."""
        self._ended = True
