"""A source that becomes another one while the run goes on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from realtime.capture.source import Source
from realtime.errors import MasqueradeError
from realtime.frame import Frame
from realtime.threads import Event, Latest

log = logging.getLogger(__name__)

LOOK_S = 0.2
"""How often a new wish is looked for while there is no source."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to read: as in `--source`, and the size to ask for, None for whatever comes."""

    address: str
    size: tuple[int, int] | None = None


class Switched:
    """The frames of `source`, and from the next `switch` on those of another. Obeys `Source`; owns `source`.

    `open_one` opens what was chosen and raises MasqueradeError. The thread that reads opens and closes: the old one
    goes first, because a camera is not opened twice; where the new one cannot be had the old one comes back, with a
    warning. Meanwhile there are no frames, which the guard knows how to fill. Frames are numbered on, and may change
    their size.
    """

    def __init__(self, source: Source, choice: Choice, open_one: Callable[[Choice], Source]) -> None:
        self._open = open_one
        self._source: Source | None = source
        self._read: Choice | None = choice
        self._wanted = Latest(choice)
        self._stop = Event()
        self._name, self._size, self._rate_hz, self.live = source.name, source.size, source.rate_hz, source.live
        self._why = "ok"
        self._stirred = False  # the source was unblocked for a change, and will give nothing any more
        self._seq = 0

    @property
    def choice(self) -> Choice:
        """What is read, or will be in a moment."""
        return self._wanted.get()

    @property
    def reel(self) -> Source | None:
        """What is played now, with its sound, where it is a file."""
        source = self._source
        inner: Source | None = getattr(source, "reel", source)
        return inner

    @property
    def name(self) -> str:
        """The source's name, or that of the one before while it changes."""
        source = self._source
        return source.name if source is not None else self._name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames now."""
        source = self._source
        return source.size if source is not None else self._size

    @property
    def rate_hz(self) -> float:
        """Frames a second of the source now."""
        source = self._source
        return source.rate_hz if source is not None else self._rate_hz

    @property
    def state(self) -> str:
        """The source's, or that there is none."""
        source = self._source
        return source.state if source is not None else self._why

    def switch(self, choice: Choice) -> None:
        """Read something else from now on. Any thread."""
        self._wanted.set(choice)
        source = self._source
        if source is not None and choice != self._read:
            self._stirred = True
            source.unblock()  # it may wait for a camera that is gone

    def read(self) -> Frame | None:
        """The next frame; None at the end, or when unblocked."""
        while not self._stop.is_set():
            wanted = self._wanted.get()
            if wanted != self._read or self._stirred:
                self._change(wanted)
            if self._source is None:
                self._stop.wait(LOOK_S)
                continue
            frame = self._source.read()
            if frame is not None:
                self._seq += 1
                return replace(frame, seq=self._seq - 1)
            if not self._stirred and self._wanted.get() == self._read:
                return None
        return None

    def _change(self, wanted: Choice) -> None:
        before, source = self._read, self._source
        if source is not None:
            self._name, self._size, self._rate_hz = source.name, source.size, source.rate_hz
            self._why = "another source is being opened"
            self._source = None
            source.close()
        self._stirred = False
        refused: MasqueradeError | None = None
        for choice in dict.fromkeys(filter(None, (wanted, before))):
            if self._stop.is_set():
                return
            try:
                self._source = self._open(choice)
            except MasqueradeError as error:
                refused = refused or error
                continue
            self._read, self.live = choice, self._source.live
            break
        else:
            self._read = wanted  # until something else is chosen
        if refused is not None:
            log.warning("%s; %s", refused, "the source before goes on" if self._source else "there is no other source")
            self._why = str(refused)
            kept = self._read
            if kept is not None:
                self._wanted.update(lambda now: kept if now == wanted else now)
        if self._stop.is_set() and self._source is not None:
            self._source.unblock()

    def unblock(self) -> None:
        """Make `read` return None. From any thread."""
        self._stop.set()
        source = self._source
        if source is not None:
            source.unblock()

    def close(self) -> None:
        """Close the source. May be called twice."""
        self._stop.set()
        source, self._source = self._source, None
        if source is not None:
            source.close()
