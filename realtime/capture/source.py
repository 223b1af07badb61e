"""Where pictures come from. One file a source; all obey `Source`."""

from typing import Protocol

from realtime.frame import Frame


class Source(Protocol):
    """A stream of frames. Constructed means open.

    `read` blocks until the next frame and returns it; it returns None when the stream has ended
    or `unblock` was called. A live source that loses its device does not raise: it retries inside
    `read` until the device is back, and says so in `state`. `unblock` may be called from any
    thread and makes a blocked `read` return None soon. `close` may be called twice.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        ...

    @property
    def rate_hz(self) -> float:
        """Frames a second: measured for a camera, nominal for a file."""
        ...

    @property
    def live(self) -> bool:
        """True where frames come by themselves in real time (cameras, streams)."""
        ...

    @property
    def state(self) -> str:
        """`ok`, or one line saying what is wrong (`camera 0 is gone: waiting for it`)."""
        ...

    def read(self) -> Frame | None: ...

    def unblock(self) -> None: ...

    def close(self) -> None: ...
