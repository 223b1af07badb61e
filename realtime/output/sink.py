"""Where pictures go. One file a sink; all obey `Sink`."""

import logging
from typing import Protocol

from realtime.clock import Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.threads import Closed, Crew, Slot


class Sink(Protocol):
    """A place for finished pictures. Constructed means open.

    `show` is called from the output thread only, with frames of one constant size for the life of the sink, at a
    constant rate; the picture already carries the badge. It raises DeviceError when the sink can take no more (disk
    full, device gone). `close` leaves a playable file whatever happened before, and may be called twice.
    """

    @property
    def name(self) -> str: ...

    def show(self, frame: Frame) -> None: ...

    def close(self) -> None: ...


class NullSink:
    """Takes every picture and forgets it; `shown` says how many came."""

    name = "null"

    def __init__(self) -> None:
        self.shown = 0

    def show(self, frame: Frame) -> None:
        self.shown += 1

    def close(self) -> None:
        pass


log = logging.getLogger(__name__)


class TimedSink(Sink, Protocol):
    """A sink that takes a picture with the time of its hand-over."""

    def show_at(self, frame: Frame, now_ns: int) -> None: ...


class ThreadedSink:
    """A sink that takes the newest picture when it has time; `missed` counts those it had none for.

    `show` never blocks. An error of the sink is raised by the next `show`, or by `close`. For live runs only: where
    nothing may be lost, use the sink itself.
    """

    def __init__(self, sink: TimedSink, clock: Clock = now_ns) -> None:
        self._sink, self._clock, self.name = sink, clock, sink.name
        self._slot: Slot[tuple[Frame, int]] = Slot()
        self._crew = Crew()
        self._closed = False
        self._crew.start(f"output {sink.name}", self._work, self._slot.close)

    @property
    def missed(self) -> int:
        """Pictures replaced by newer ones before the sink could take them."""
        return self._slot.replaced

    def _work(self) -> None:
        try:
            while (item := self._slot.get()) is not None:
                self._sink.show_at(*item)
        except Closed:
            return

    def show(self, frame: Frame) -> None:
        """Leave the picture for the sink. Raises what the sink raised before."""
        if self._crew.stopping:
            self._crew.close()
            raise DeviceError(f"output {self.name} has ended: start again")
        self._slot.put((frame, self._clock()))

    def close(self) -> None:
        """Let the sink take the last picture, then close it. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._crew.close()
        finally:
            self._sink.close()
            if self.missed:
                log.warning("%s: %d pictures came too fast to be kept", self.name, self.missed)
