"""A file's sound in real time, as if somebody spoke it now."""

from collections.abc import Callable
from dataclasses import replace

from realtime.audio.sound_file import SoundFile
from realtime.audio.source import Block
from realtime.capture.bell import Bell
from realtime.clock import NS_PER_S, Clock, now_ns


class PacedSound:
    """The blocks of a file, each when its last sample is due. Obeys `SoundSource`; owns the file.

    `loop` begins again at the end, without a gap. Whoever reads late gets what is due at once: times stay true.
    """

    live = True
    state = "ok"

    def __init__(
        self,
        open_file: Callable[[], SoundFile],
        *,
        loop: bool = False,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._open_file, self._loop, self._clock = open_file, loop, clock
        self._file = open_file()
        self._bell = Bell()
        self._wait = wait or self._bell.wait
        self._zero_ns: int | None = None  # the clock's time of the file's 0
        self._end_ns = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    def read(self) -> Block | None:
        """The next block, when it is due; None at the end or once unblocked."""
        block = self._file.read()
        if block is None and self._loop and not self._bell.rung:
            self._file.close()
            self._file = self._open_file()
            block = self._file.read()
            if block is not None and self._zero_ns is not None:
                self._zero_ns = self._end_ns - block.start_ns
        if block is None or self._bell.rung:
            return None
        if self._zero_ns is None:
            self._zero_ns = self._clock() - block.start_ns
        due = replace(block, start_ns=block.start_ns + self._zero_ns)
        self._end_ns = due.end_ns
        if self._wait((due.end_ns - self._clock()) / NS_PER_S):
            return None
        return due

    def unblock(self) -> None:
        """Make `read` return None. From any thread."""
        self._bell.ring()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._bell.close()
        self._file.close()
