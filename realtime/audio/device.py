"""What a sound driver is to us: something to read samples from, or to write them to."""

from collections.abc import Callable
from typing import Protocol

from realtime.errors import DeviceError
from realtime.frame import Floats


class SoundDeviceGone(DeviceError):
    """The device was unplugged, or its server ended."""


class InputDevice(Protocol):
    """An open microphone, used by one thread. Samples are mono float32."""

    @property
    def name(self) -> str:
        """As people know it."""
        ...

    @property
    def rate_hz(self) -> int: ...

    @property
    def latency_s(self) -> float:
        """How old the newest sample is when `read` gives it, as far as the driver says."""
        ...

    def read(self, timeout_s: float) -> Floats | None:
        """All that arrived, waiting for some; None when nothing came in time. Raises SoundDeviceGone."""
        ...

    def close(self) -> None:
        """Let go of it. May be called twice."""
        ...


class OutputDevice(Protocol):
    """An open loudspeaker or virtual cable, used by one thread. Mono float32 at HEARD_HZ."""

    @property
    def name(self) -> str: ...

    @property
    def latency_s(self) -> float:
        """How long after `write` a sample is heard."""
        ...

    def write(self, samples: Floats) -> bool:
        """Hand samples over without waiting; False where some had to be thrown away. Raises SoundDeviceGone."""
        ...

    def close(self) -> None: ...


OpenInput = Callable[[str | None], InputDevice]
"""A device's name, or None for the system's own choice. Raises DeviceError with what to do."""

OpenOutput = Callable[[], OutputDevice]
