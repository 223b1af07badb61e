"""A microphone as a source: survives unplugging, says what is wrong with it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from realtime.audio.source import Block
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Floats
from realtime.threads import Event


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


POLL_S = 0.1
"""How long one wait for the driver lasts: `unblock` takes effect within it."""
RETRY_S = 0.5
SILENT_S = 2.0
"""A microphone that sends nothing for so long is closed and opened again."""
MUTE_S = 3.0
"""Digital silence for so long is worth a word: a switch, or the system's privacy settings."""

_FULL_SCALE = 0.999
_CLIPPED = 0.01
"""A share of samples at full scale that is heard as distortion."""


class Microphone:
    """The blocks of a microphone. Obeys `SoundSource`; open when constructed.

    A block's `start_ns` is when its first sample was captured: the clock when it arrived, less its length, less what
    the driver holds back. `losses` counts how often the device was gone. Raises DeviceError where it can't be opened.
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
        self.losses = 0
        self._asked, self._open, self._clock = device, open_input, clock
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._state = "ok"
        try:
            self._device: InputDevice | None = open_input(device)
        except BaseException:
            self._stop.set()
            raise
        self._name = self._device.name
        self._seen_ns = self._loud_ns = clock()

    @property
    def name(self) -> str:
        """The device's name."""
        return self._name

    @property
    def state(self) -> str:
        """`ok`, or what is wrong with the microphone in one line."""
        return self._state

    def read(self) -> Block | None:
        """The next sound; waits for a lost microphone to come back. None once unblocked."""
        while not self._stop.is_set():
            if self._device is None:
                self._look_for_it()
                continue
            try:
                samples = self._device.read(POLL_S)
            except SoundDeviceGone:
                self._lost(f"{self._name} is gone: waiting for it")
                continue
            now = self._clock()
            if samples is None or not len(samples):
                if now - self._seen_ns > SILENT_S * NS_PER_S:
                    self._lost(f"{self._name} sends nothing: waiting for it")
                continue
            self._seen_ns = now
            self._judge(np.abs(samples), now)
            rate_hz = self._device.rate_hz
            age_ns = round((len(samples) / rate_hz + self._device.latency_s) * NS_PER_S)
            samples.flags.writeable = False
            return Block(samples, rate_hz, now - age_ns)
        return None

    def _judge(self, levels: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", now: int) -> None:
        if np.nanmax(levels, initial=0.0) > 0.0:
            self._loud_ns = now
        if now - self._loud_ns > MUTE_S * NS_PER_S:
            self._state = f"{self._name} gives pure silence: muted, or not allowed in the privacy settings?"
        elif np.count_nonzero(levels >= _FULL_SCALE) > _CLIPPED * len(levels):
            self._state = f"{self._name} is too loud and distorts: lower its level"
        else:
            self._state = "ok"

    def _lost(self, state: str) -> None:
        self.losses += 1
        self._state = state
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _look_for_it(self) -> None:
        if self._wait(RETRY_S):
            return
        try:
            self._device = self._open(self._asked)
        except DeviceError:
            return  # not yet
        self._seen_ns = self._loud_ns = self._clock()

    def unblock(self) -> None:
        """Make `read` return None within POLL_S. From any thread."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the microphone. May be called twice; not while another thread is in `read`."""
        self._stop.set()
        device, self._device = self._device, None
        if device is not None:
            device.close()


class ChosenMicrophone:
    """Opens microphones: `open` is an `OpenInput`.

    Another choice counts as the loss of the device, whose reader then opens what is chosen now.
    `name` and `level` are those of the microphone that is open; `choose` may be called from any thread.
    """

    def __init__(self, open_input: OpenInput) -> None:
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
