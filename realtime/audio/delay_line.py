"""The voice as it is handed out: as late as the picture that goes with it, sample by sample."""

from collections import deque
from collections.abc import Callable

import numpy as np

from realtime.audio.look_ahead import MOST_S
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer, SpeechSnapshot
from realtime.clock import NS_PER_S
from realtime.frame import Floats

UNSEEN_S = 0.006
"""A difference of sound and picture that is let be: a change costs nothing where nobody speaks, and what is let be here
is added to the half picture that nobody can help."""

WRONG_S = 0.045
"""From here on it is seen (the same), so it is put right in the middle of a word."""

PAUSE_S = 0.060
"""What a page holds back, at least."""

GONE_S = 0.200
"""Sound that is missing for longer comes from a device that is gone: waiting for it would not help."""

_WATCHED, _PATIENCE = 50, 3
"""So many of the last blocks came when their sound was due already: the delay is too short for this machine."""

ROOM_S, _LOOKED_S = 0.004, 4.0
"""What is kept between a block's coming and its being due, once there was more for so long."""


class Delayed:
    """A voice `delay_s` late, in real time: asked now and then, it gives the samples since it was asked last.

    Called by one thread. `delay_s` says how late the voice should be now: `LookAhead`'s own delay, or the measured
    latency of the video (`swap`, `motion`). A change is made where nobody speaks, so that nobody hears it, unless it is
    large.

    A voice with holes is worse than one that is late: where pictures leave sooner than a device gives its sound, which
    some 30 ms of video latency are, the delay is what the sound needs, `least_s`. That grows at once, and shrinks when
    four seconds needed less: a machine is busiest when it starts.

    While `silent` says so it gives silence, at once.
    """

    def __init__(
        self,
        voice: SpeechBuffer,
        delay_s: Callable[[], float],
        silent: Callable[[], bool] = lambda: False,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._voice, self._wanted_s, self._silent = voice, delay_s, silent
        self._pause_ns = round(pause_s * NS_PER_S)
        self._delay_s = delay_s()
        self._to_ns: int | None = None
        self.changes = 0
        self.least_s = 0.0
        self._short_s: deque[float] = deque(maxlen=_WATCHED)
        self._until_ns, self._worst_s = 0, 0.0
        self._needs_s: list[float] = []
        self._looked_ns = 0

    @property
    def delay_s(self) -> float:
        """How late the voice is handed over."""
        return self._delay_s

    def __call__(self, now_ns: int, ahead_ns: int = 0) -> Floats:
        """The samples for the time since the last call, (n,) float32 at HEARD_HZ, `delay_s` after they were captured.

        `ahead_ns`: how much later than now they will be heard, which is taken off the delay. The first call gives
        none; after `pause_s` without one, the time in between is skipped: whoever plays them has nothing left, and made
        up for it would be late from then on.
        """
        if self._to_ns is None:
            self._delay_s = max(self._wanted_s() - ahead_ns / NS_PER_S, 0.0)
        if self._to_ns is None or not 0 <= now_ns - self._to_ns <= self._pause_ns:
            self._to_ns = now_ns if self._to_ns is None or now_ns > self._to_ns else self._to_ns
            return self._voice.heard.samples(0, 0)
        count = (now_ns - self._to_ns) * HEARD_HZ // NS_PER_S
        heard = self._voice.heard
        self._watch(heard, now_ns)
        self._follow(heard.window(self._to_ns - round(self._delay_s * NS_PER_S)).openness == 0.0, ahead_ns / NS_PER_S)
        start_ns = self._to_ns - round(self._delay_s * NS_PER_S)
        self._to_ns += count * NS_PER_S // HEARD_HZ
        samples = heard.samples(start_ns, int(count))
        return np.zeros_like(samples) if self._silent() else samples

    def _follow(self, quiet: bool, ahead_s: float) -> None:
        wanted_s = max(self._wanted_s() - ahead_s, self.least_s)
        off_s = abs(wanted_s - self._delay_s)
        if off_s > WRONG_S or (quiet and off_s > UNSEEN_S):
            self._delay_s = wanted_s
            self.changes += 1

    def _watch(self, heard: SpeechSnapshot, now_ns: int) -> None:
        """Learn what the sound needs from what was missing before each of the last blocks came."""
        short_s = (now_ns - heard.sound_until_ns) / NS_PER_S - self._delay_s
        if heard.sound_until_ns == self._until_ns or not heard.pieces:
            self._worst_s = max(self._worst_s, short_s)
            return
        worst_s, self._until_ns, self._worst_s = self._worst_s, heard.sound_until_ns, short_s
        if worst_s >= GONE_S:
            worst_s = 0.0
        self._short_s.append(worst_s)
        self._needs_s.append(self._delay_s + worst_s)
        if now_ns - self._looked_ns > _LOOKED_S * NS_PER_S:
            if len(self._needs_s) > _WATCHED:
                self.least_s = min(self.least_s, sorted(self._needs_s)[-_PATIENCE] + ROOM_S)
            self._needs_s.clear()
            self._looked_ns = now_ns
        if sum(one > 0 for one in self._short_s) < _PATIENCE:
            return
        self.least_s = min(self._delay_s + sorted(self._short_s)[-_PATIENCE] + ROOM_S, MOST_S)
        self._delay_s = max(self._delay_s, self.least_s)
        self._short_s.clear()
        self.changes += 1
