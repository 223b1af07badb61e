"""Where pictures go. One file a sink; all obey `Sink`."""

from typing import Protocol

from realtime.frame import Frame


class Sink(Protocol):
    """A place for finished pictures. Constructed means open.

    `show` is called from the output thread only, with frames of one constant size for the life of
    the sink, at a constant rate; the picture already carries the badge. It raises DeviceError when
    the sink can take no more (disk full, device gone). `close` leaves a playable file whatever
    happened before, and may be called twice.
    """

    @property
    def name(self) -> str: ...

    def show(self, frame: Frame) -> None: ...

    def close(self) -> None: ...
