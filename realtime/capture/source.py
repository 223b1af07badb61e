"""Where pictures come from: the protocol of all sources, and the base of those whose device may vanish."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.threads import Event

Pace = Literal["live", "all"]  # files in real time, or as fast as they are processed
RETRY_S = 0.5  # how often a lost device is looked for: back well within 2 s of its return


class Source(Protocol):
    """A stream of frames. Constructed means open.

    `read` blocks until the next frame and returns it; it returns None when the stream has ended or `unblock` was
    called. A live source that loses its device does not raise: it retries inside `read` until the device is back, and
    says so in `state`. `unblock` may be called from any thread and makes a blocked `read` return None soon. `close` may
    be called twice.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames."""

    @property
    def rate_hz(self) -> float:
        """Frames a second: measured for a camera, nominal for a file."""

    @property
    def live(self) -> bool:
        """True where frames come by themselves in real time (cameras, streams)."""

    @property
    def state(self) -> str:
        """`ok`, or one line saying what is wrong (`camera 0 is gone: waiting for it`)."""

    def read(self) -> Frame | None: ...

    def unblock(self) -> None: ...

    def close(self) -> None: ...


class Closable(Protocol):
    """Something that must be closed; twice does no harm."""

    def close(self) -> None: ...


Device = TypeVar("Device", bound=Closable)


class Reconnecting(ABC, Generic[Device]):
    """Keeps a device open: one that is lost is closed, and looked for every RETRY_S until it is back.

    `state` is `ok`, or what is wrong in one line; `losses` counts. `wait` stands in for the real wait: it takes seconds
    and says whether it was interrupted.
    """

    def __init__(self, wait: Callable[[float], bool] | None = None) -> None:
        self.state = "ok"
        self.losses = 0
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._retry_at_once = False
        self._device: Device | None = None

    @abstractmethod
    def _open(self) -> Device:
        """Find and open the device. Raises DeviceError."""

    def _connected(self) -> Device | None:
        """The open device; a lost one is looked for once, after RETRY_S. None if it is not back, or unblocked."""
        if self._device is None and (self._retry_at_once or not self._wait(RETRY_S)):
            self._retry_at_once = False
            with contextlib.suppress(DeviceError):  # not yet
                self._device = self._open()
        return self._device

    def _lose(self, state: str, *, retry_at_once: bool = False) -> None:
        self.losses += 1
        self.state, self._retry_at_once = state, retry_at_once
        with contextlib.suppress(DeviceError):
            self._release()

    def _release(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def unblock(self) -> None:
        """End what waits for the device, soon. From any thread."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the device. May be called twice; not while another thread uses it."""
        self._stop.set()
        self._release()
