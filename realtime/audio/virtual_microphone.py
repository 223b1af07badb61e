"""The voice as a video call hears it: delayed like the mouth, through a virtual microphone."""

import logging
import statistics
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from realtime.audio.delay_line import DelayLine
from realtime.audio.microphone import SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.capture.source import Reconnecting
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.frame import Floats

log = logging.getLogger(__name__)

PIECE_S = 0.010  # how often it writes
PAUSE_S = 0.040  # a device's buffer, and some: what should have been played before is skipped
_WATCHED = 50  # the median of so many pieces counts: a server takes what it is given in gulps
DRY_S, DRY_TIMES, MOST_MORE = 30.0, 3, 3
"""A device that ran out of sound so often in so long gets a piece of silence to hold, at most so many."""


class OutputDevice(Protocol):
    """An open loudspeaker or virtual cable, used by one thread. Mono float32 at HEARD_HZ."""

    @property
    def name(self) -> str: ...

    @property
    def latency_s(self) -> float:
        """How long after `write` a sample is heard."""

    def write(self, samples: Floats) -> bool:
        """Hand samples over without waiting; False where some had to be thrown away. Raises SoundDeviceGone."""

    def close(self) -> None:
        """Let go of it. May be called twice."""


OpenOutput = Callable[[], OutputDevice]  # raises DeviceError with what to do


class VirtualMicrophone(Reconnecting[OutputDevice]):
    """Plays a delayed voice into a device; made for a thread of its own, which runs `run`.

    What the device and a piece hold back is taken off the delay, so that the voice is heard when the picture is seen. A
    device that is gone is waited for, and logged once. `lost` counts pieces that the device had no room for, `dry` how
    often it ran out of sound because this thread came late: where that goes on it is given more to hold.
    """

    def __init__(
        self,
        voice: DelayLine,
        *,
        open_output: OpenOutput,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(wait)
        self.lost = self.dry = 0
        self._voice, self._open_output, self._clock = voice, open_output, clock
        self._ahead_ns: deque[int] = deque(maxlen=_WATCHED)
        self._dry_ns: deque[int] = deque(maxlen=DRY_TIMES)
        self._device = self._open()
        self.name = self._device.name

    def _open(self) -> OutputDevice:
        device = self._open_output()
        self.state = "ok"
        self._written_ns: int | None = None
        self._ahead_ns.clear()
        self._more = 0
        return device

    @property
    def delay_s(self) -> float:
        """How late the voice is played, without what the device holds back itself."""
        return self._voice.delay_s

    def run(self) -> None:
        """Until `unblock`: piece by piece, what is due."""
        next_ns = self._clock()
        while not self._stop.is_set():
            lost = self._device is None
            device = self._connected()
            if lost:
                next_ns = self._clock()
                continue
            assert device is not None
            try:
                self._write(device)
            except SoundDeviceGone as error:
                log.warning("%s", error)
                self._lose(f"{self.name} is gone: waiting for it")
            next_ns = max(next_ns + round(PIECE_S * NS_PER_S), self._clock() - round(PIECE_S * NS_PER_S))
            self._wait((next_ns - self._clock()) / NS_PER_S)

    def _write(self, device: OutputDevice) -> None:
        now = self._clock()
        # A piece's first sample has waited since the last one was written; however late this thread comes, what the
        # device holds then is less by as much.
        waited_ns = min(now - self._written_ns, round(PAUSE_S * NS_PER_S)) if self._written_ns is not None else 0
        self._written_ns = now
        if self._ahead_ns and waited_ns > statistics.median(self._ahead_ns):
            self._ran_dry(device, now)
        self._ahead_ns.append(round(device.latency_s * NS_PER_S) + waited_ns)
        if not device.write(self._voice(now, round(statistics.median(self._ahead_ns)))):
            self.lost += 1

    def _ran_dry(self, device: OutputDevice, now: int) -> None:
        self.dry += 1
        self._dry_ns.append(now)
        often = len(self._dry_ns) == DRY_TIMES and now - self._dry_ns[0] < DRY_S * NS_PER_S
        if often and self._more < MOST_MORE:
            self._more += 1
            self._dry_ns.clear()
            device.write(np.zeros(round(PIECE_S * HEARD_HZ), np.float32))
