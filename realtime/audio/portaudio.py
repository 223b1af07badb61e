"""Sound devices of macOS and Windows, through PortAudio (the package sounddevice brings it along there).

On Linux it serves where the sound server's tools are missing; PortAudio is then Debian's libportaudio2.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from realtime.audio.microphone import SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.errors import DeviceError
from realtime.frame import Floats
from realtime.threads import Event

LATENCY_S = 0.020
_LOOK_S = 0.005
CABLES = ("BlackHole", "CABLE Input", "VB-Cable", "Loopback Audio")
"""Virtual cables by the names they have as a loudspeaker: BlackHole (macOS), VB-Audio's CABLE (Windows, macOS)."""


def load() -> Any:
    """The module sounddevice. Raises DeviceError with what to install."""
    if importlib.util.find_spec("sounddevice") is None:
        tools = "sudo apt install pulseaudio-utils, or " if sys.platform.startswith("linux") else ""
        raise DeviceError(f'no way to the sound devices: {tools}pip install "masquerade[sound]"')
    try:
        import sounddevice
    except OSError as error:  # PortAudio itself is missing
        raise DeviceError("PortAudio is missing: sudo apt install libportaudio2 (or pulseaudio-utils)") from error
    return sounddevice


def names(kind: str, driver: Any = None) -> list[str]:
    """The names of the devices; `kind` is `input` or `output`. Raises DeviceError."""
    return [str(device["name"]) for device in _devices(kind, driver or load())]


def _devices(kind: str, driver: Any) -> Sequence[Any]:
    try:
        return [device for device in driver.query_devices() if device[f"max_{kind}_channels"] > 0]
    except (OSError, driver.PortAudioError) as error:
        raise DeviceError(f"the sound devices can't be asked ({_line(error)}): restart the sound system") from error


def find_cable(driver: Any = None) -> str | None:
    """The virtual cable to play into; None where there is none. Raises DeviceError."""
    for device in names("output", driver):
        if any(cable.lower() in device.lower() for cable in CABLES):
            return device
    return None


class PortAudioInput:
    """A microphone, read as its samples come."""

    def __init__(self, device: str | None, driver: Any = None) -> None:
        driver = driver or load()
        self._error = driver.PortAudioError
        self.name = device or "the default microphone"
        self._stop = Event()
        try:
            found = driver.query_devices(device, "input")
            self.rate_hz = round(found["default_samplerate"])
            self._stream = driver.InputStream(
                device=device, channels=1, samplerate=self.rate_hz, dtype="float32", latency="low"
            )
            self._stream.start()
        except (ValueError, OSError, self._error) as error:
            self._stop.set()
            raise DeviceError(
                f"microphone {device or ''}: {_line(error)}: choose another (masquerade devices), "
                "and allow microphones in the system's privacy settings"
            ) from error

    @property
    def latency_s(self) -> float:
        """As the driver says."""
        return float(self._stream.latency)

    def read(self, timeout_s: float) -> Floats | None:
        """All that arrived. Raises SoundDeviceGone."""
        try:
            for _ in range(max(round(timeout_s / _LOOK_S), 1)):
                if not self._stream.active:
                    raise SoundDeviceGone(f"{self.name} is gone: is it plugged in?")
                count = self._stream.read_available
                if count > 0:
                    samples, _overflowed = self._stream.read(count)  # what overflowed shows as a gap in time
                    return np.array(samples[:, 0], np.float32)
                # A blocking read could never be ended where a driver hangs.
                self._stop.wait(_LOOK_S)
            return None
        except self._error as error:
            raise SoundDeviceGone(f"{self.name} is gone ({_line(error)}): is it plugged in?") from error

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._stop.set()
        with contextlib.suppress(OSError, self._error):
            self._stream.close()


class PortAudioOutput:
    """A virtual cable, written to as far as it takes samples."""

    def __init__(self, device: str, driver: Any = None) -> None:
        driver = driver or load()
        self._error = driver.PortAudioError
        self.name = device
        try:
            self._stream = driver.OutputStream(
                device=device, channels=1, samplerate=HEARD_HZ, dtype="float32", latency="low"
            )
            self._stream.start()
        except (ValueError, OSError, self._error) as error:
            raise DeviceError(f"{device} can't be played into ({_line(error)}): set it to 48000 Hz") from error

    @property
    def latency_s(self) -> float:
        """As the driver says."""
        return float(self._stream.latency)

    def write(self, samples: Floats) -> bool:
        """Hand samples over; what it does not take is thrown away. Raises SoundDeviceGone."""
        try:
            room = self._stream.write_available
            if room > 0 and len(samples):
                self._stream.write(np.ascontiguousarray(samples[:room, None]))
            return bool(len(samples) <= room)
        except self._error as error:
            raise SoundDeviceGone(f"{self.name} is gone ({_line(error)}): is it still installed?") from error

    def close(self) -> None:
        """Let go of it. May be called twice."""
        with contextlib.suppress(OSError, self._error):
            self._stream.close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
