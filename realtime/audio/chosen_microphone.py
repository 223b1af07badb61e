"""A microphone that can be exchanged for another one while it is listened to."""

from collections.abc import Callable

import numpy as np

from realtime.audio.device import InputDevice, OpenInput, SoundDeviceGone
from realtime.audio.open_sound import open_microphone
from realtime.frame import Floats


class ChosenMicrophone:
    """Opens microphones: `open` is an `OpenInput`.

    Another choice counts as the loss of the device, whose reader then opens what is chosen now.
    `name` and `level` are those of the microphone that is open; `choose` may be called from any thread.
    """

    def __init__(self, open_input: OpenInput = open_microphone) -> None:
        self._open = open_input
        self._chosen: str | None = None
        self._listening: _Listening | None = None

    @property
    def name(self) -> str | None:
        """None before one is open."""
        return self._listening.name if self._listening is not None else None

    @property
    def level(self) -> float:
        """The loudest of the newest sound, 0..1."""
        return self._listening.level if self._listening is not None else 0.0

    def choose(self, name: str) -> None:
        """Listen to the microphone of that name from now on."""
        self._chosen = name

    def open(self, device: str | None) -> InputDevice:
        """The microphone that was chosen, `device` where none was yet. Raises DeviceError."""
        asked = self._chosen
        self._listening = _Listening(self._open(asked or device), lambda: self._chosen == asked)
        return self._listening


class _Listening:
    """An open microphone, which is as good as gone once it is no longer the one that is wanted."""

    def __init__(self, device: InputDevice, wanted: Callable[[], bool]) -> None:
        self._device, self._wanted = device, wanted
        self.level = 0.0

    @property
    def name(self) -> str:
        return self._device.name

    @property
    def rate_hz(self) -> int:
        return self._device.rate_hz

    @property
    def latency_s(self) -> float:
        return self._device.latency_s

    def read(self, timeout_s: float) -> Floats | None:
        if not self._wanted():
            raise SoundDeviceGone(f"{self.name} makes way for another microphone")
        samples = self._device.read(timeout_s)
        if samples is not None and len(samples):
            self.level = min(float(np.nanmax(np.abs(samples), initial=0.0)), 1.0)
        return samples

    def close(self) -> None:
        self.level = 0.0
        self._device.close()
