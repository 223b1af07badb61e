"""A microphone as a source: survives unplugging, can be exchanged for another, says what is wrong with it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from realtime.audio.source import Block
from realtime.capture.source import Reconnecting
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Floats

POLL_S = 0.1  # how long one wait for the driver lasts: `unblock` takes effect within it
SILENT_S = 2.0  # a microphone that sends nothing for so long is closed and opened again
MUTE_S = 3.0  # digital silence for so long is worth a word: a switch, or the system's privacy settings
_FULL_SCALE = 0.999
_CLIPPED = 0.01  # a share of samples at full scale that is heard as distortion


class SoundDeviceGone(DeviceError):
    """The device was unplugged, or its server ended."""


class InputDevice(Protocol):
    """An open microphone, used by one thread. Samples are mono float32."""

    @property
    def name(self) -> str: ...

    @property
    def rate_hz(self) -> int: ...

    @property
    def latency_s(self) -> float:
        """How old the newest sample is when `read` gives it, as far as the driver says."""

    def read(self, timeout_s: float) -> Floats | None:
        """All that arrived, waiting for some; None when nothing came in time. Raises SoundDeviceGone."""

    def close(self) -> None:
        """Let go of it. May be called twice."""


OpenInput = Callable[[str | None], InputDevice]
"""A device's name, or None for the system's own choice. Raises DeviceError with what to do."""


class Microphone(Reconnecting[InputDevice]):
    """The blocks of a microphone. Obeys `SoundSource`; open when constructed.

    A block's `start_ns` is when its first sample was captured: the clock when it arrived, less its length, less what
    the driver holds back. Raises DeviceError where it can't be opened.
    """

    live = True

    def __init__(
        self,
        device: str | None,
        *,
        open_input: OpenInput,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(wait)
        self._asked, self._open_input, self._clock = device, open_input, clock
        self._device = self._open()
        self.name = self._device.name

    def _open(self) -> InputDevice:
        device = self._open_input(self._asked)
        self._came_ns = self._loud_ns = self._clock()
        return device

    def read(self) -> Block | None:
        """The next sound; waits for a lost microphone to come back. None once unblocked."""
        while not self._stop.is_set():
            device = self._connected()
            if device is None:
                continue
            try:
                samples = device.read(POLL_S)
            except SoundDeviceGone:
                self._lose(f"{self.name} is gone: waiting for it")
                continue
            now = self._clock()
            if samples is None or not len(samples):
                if now - self._came_ns > SILENT_S * NS_PER_S:
                    self._lose(f"{self.name} sends nothing: waiting for it")
                continue
            self._came_ns = now
            self.state = self._judge(np.abs(samples), now)
            age_ns = round((len(samples) / device.rate_hz + device.latency_s) * NS_PER_S)
            samples.flags.writeable = False
            return Block(samples, device.rate_hz, now - age_ns)
        return None

    def _judge(self, levels: Floats, now: int) -> str:
        if np.nanmax(levels, initial=0.0) > 0.0:
            self._loud_ns = now
        if now - self._loud_ns > MUTE_S * NS_PER_S:
            return f"{self.name} gives pure silence: muted, or not allowed in the privacy settings?"
        if np.count_nonzero(levels >= _FULL_SCALE) > _CLIPPED * len(levels):
            return f"{self.name} is too loud and distorts: lower its level"
        return "ok"


class SelectableMicrophone:
    """Opens the selected microphone, and lets another be selected while it is in use: `open` is an `OpenInput`.

    Another selection counts as the loss of the device, whose reader then opens what is selected now. `name` and `level`
    are those of the microphone that is open; `select` may be called from any thread.
    """

    def __init__(self, open_input: OpenInput) -> None:
        self._open = open_input
        self._selected: str | None = None
        self._input: _MeteredInput | None = None

    @property
    def name(self) -> str | None:
        """None before one is open."""
        return self._input.name if self._input is not None else None

    @property
    def level(self) -> float:
        """The loudest of the newest sound, 0..1."""
        return self._input.level if self._input is not None else 0.0

    def select(self, name: str) -> None:
        """Listen to the microphone of that name from now on."""
        self._selected = name

    def open(self, device: str | None) -> InputDevice:
        """The microphone that was selected, `device` where none was yet. Raises DeviceError."""
        asked = self._selected
        self._input = _MeteredInput(self._open(asked or device), lambda: self._selected == asked)
        return self._input


class _MeteredInput:
    """An open microphone with a level meter, as good as gone once it is no longer the selected one."""

    def __init__(self, device: InputDevice, selected: Callable[[], bool]) -> None:
        self._device, self._selected = device, selected
        self.name, self.rate_hz = device.name, device.rate_hz
        self.level = 0.0

    @property
    def latency_s(self) -> float:
        return self._device.latency_s

    def read(self, timeout_s: float) -> Floats | None:
        if not self._selected():
            raise SoundDeviceGone(f"{self.name} makes way for another microphone")
        samples = self._device.read(timeout_s)
        if samples is not None and len(samples):
            self.level = min(float(np.nanmax(np.abs(samples), initial=0.0)), 1.0)
        return samples

    def close(self) -> None:
        self.level = 0.0
        self._device.close()
