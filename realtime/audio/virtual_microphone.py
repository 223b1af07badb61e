"""The voice as a video call hears it: delayed like the mouth, through a virtual microphone."""

import contextlib
import logging
import statistics
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from realtime.audio.delay_line import Delayed
from realtime.audio.microphone import OpenOutput, OutputDevice, SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Floats
from realtime.threads import Event

log = logging.getLogger(__name__)

PIECE_S = 0.010
"""How often it speaks."""

PAUSE_S = 0.040
"""A device's buffer, and some: what should have been played before is skipped."""

_WATCHED = 50
"""Of so many pieces the median counts: a server takes what it is given in gulps."""

DRY_S, DRY_TIMES, MOST_MORE = 30.0, 3, 3
"""A device that had nothing left to play so often in so long gets a piece of silence to hold, at most so many."""

RETRY_S = 0.5


class Closable(Protocol):
    """Something that must be put away."""

    def close(self) -> None: ...


class OwnedOutput:
    """An output device and the virtual cable made for it, closed together."""

    def __init__(self, device: OutputDevice, cable: Closable, name: str) -> None:
        self._device, self._cable = device, cable
        self.name = name

    @property
    def latency_s(self) -> float:
        """The device's own."""
        return self._device.latency_s

    def write(self, samples: Floats) -> bool:
        """As `OutputDevice`."""
        return self._device.write(samples)

    def close(self) -> None:
        """Both. May be called twice."""
        self._device.close()
        self._cable.close()


class VirtualMicrophone:
    """Speaks a delayed voice into a device; made for a thread of its own, which runs `speak`.

    What the device and a piece hold back is taken off the delay, so that the voice is heard when the picture is seen. A
    device that is gone is waited for, and that said once. `lost` counts pieces that the device had no room for, `dry`
    how often it had nothing left because this thread came late: where that goes on it is given more to hold.
    """

    def __init__(
        self,
        voice: Delayed,
        *,
        open_output: OpenOutput,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.lost = self.dry = 0
        self._voice, self._open, self._clock = voice, open_output, clock
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._state = "ok"
        self._said_ns: int | None = None
        self._ahead_ns: deque[int] = deque(maxlen=_WATCHED)
        self._dry_ns: deque[int] = deque(maxlen=DRY_TIMES)
        self._more = 0
        try:
            self._device: OutputDevice | None = open_output()
        except BaseException:
            self._stop.set()
            raise
        self._name = self._device.name

    @property
    def name(self) -> str:
        """What a video call shows as the microphone's name."""
        return self._name

    @property
    def state(self) -> str:
        """`ok`, or what is wrong in one line."""
        return self._state

    @property
    def delay_s(self) -> float:
        """How late the voice is spoken, without what the device holds back itself."""
        return self._voice.delay_s

    def speak(self) -> None:
        """Until `unblock`: piece by piece, what is due."""
        next_ns = self._clock()
        while not self._stop.is_set():
            if self._device is None:
                self._look_for_it()
                next_ns = self._clock()
                continue
            self._say(self._device)
            next_ns = max(next_ns + round(PIECE_S * NS_PER_S), self._clock() - round(PIECE_S * NS_PER_S))
            self._wait((next_ns - self._clock()) / NS_PER_S)

    def _say(self, device: OutputDevice) -> None:
        try:
            now = self._clock()
            # A piece's first sample has waited since the last one was spoken; however late this thread comes, what
            # the device holds then is less by as much.
            waited_ns = min(now - self._said_ns, round(PAUSE_S * NS_PER_S)) if self._said_ns is not None else 0
            self._said_ns = now
            if self._ahead_ns and waited_ns > statistics.median(self._ahead_ns):
                self._ran_dry(device, now)
            self._ahead_ns.append(round(device.latency_s * NS_PER_S) + waited_ns)
            if not device.write(self._voice(now, round(statistics.median(self._ahead_ns)))):
                self.lost += 1
        except SoundDeviceGone as error:
            self._state = f"{self._name} is gone: waiting for it"
            log.warning("%s", error)
            self._device = None
            with contextlib.suppress(DeviceError):
                device.close()

    def _ran_dry(self, device: OutputDevice, now: int) -> None:
        self.dry += 1
        self._dry_ns.append(now)
        often = len(self._dry_ns) == DRY_TIMES and now - self._dry_ns[0] < DRY_S * NS_PER_S
        if often and self._more < MOST_MORE:
            self._more += 1
            self._dry_ns.clear()
            device.write(np.zeros(round(PIECE_S * HEARD_HZ), np.float32))

    def _look_for_it(self) -> None:
        if self._wait(RETRY_S):
            return
        try:
            self._device = self._open()
        except DeviceError:
            return  # not yet
        self._state = "ok"
        self._said_ns = None
        self._ahead_ns.clear()
        self._more = 0

    def unblock(self) -> None:
        """Make `speak` return. From any thread."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the device. May be called twice; not while another thread is in `speak`."""
        self._stop.set()
        device, self._device = self._device, None
        if device is not None:
            device.close()
