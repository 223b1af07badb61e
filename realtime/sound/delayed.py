"""The voice as it is handed out: as late as the picture that goes with it, sample by sample."""

from collections.abc import Callable

from realtime.clock import NS_PER_S
from realtime.sound import HEARD_HZ, Floats
from realtime.sound.voice import Voice

UNSEEN_S = 0.020
"""A difference of sound and picture that is let be: half of what ITU-R BT.1359 calls detectable."""

WRONG_S = 0.045
"""From here on it is seen (the same), so it is put right in the middle of a word."""


class Delayed:
    """A voice `delay_s` late, in real time: asked now and then, it gives the samples since it was asked last.

    Called by one thread. `delay_s` says how late the voice should be now: `LookAhead`'s own delay, or the measured
    latency of the video (`swap`, `motion`). A change is made where nobody speaks, so that nobody hears it, unless it is
    large.
    """

    def __init__(self, voice: Voice, delay_s: Callable[[], float]) -> None:
        self._voice, self._wanted_s = voice, delay_s
        self._delay_s = delay_s()
        self._to_ns: int | None = None
        self.changes = 0

    @property
    def delay_s(self) -> float:
        """How late the voice is handed over."""
        return self._delay_s

    def __call__(self, now_ns: int, ahead_ns: int = 0) -> Floats:
        """The samples for the time since the last call, (n,) float32 at HEARD_HZ, `delay_s` after they were captured.

        `ahead_ns`: how much later than now they will be heard, which is taken off the delay. The first call gives
        none; after more than a second without one, the time in between is skipped.
        """
        if self._to_ns is None or not 0 <= now_ns - self._to_ns <= NS_PER_S:
            self._to_ns = now_ns if self._to_ns is None or now_ns > self._to_ns else self._to_ns
            return self._voice.heard.samples(0, 0)
        count = (now_ns - self._to_ns) * HEARD_HZ // NS_PER_S
        heard = self._voice.heard
        self._follow(heard.window(self._to_ns - round(self._delay_s * NS_PER_S)).openness == 0.0, ahead_ns / NS_PER_S)
        start_ns = self._to_ns - round(self._delay_s * NS_PER_S)
        self._to_ns += count * NS_PER_S // HEARD_HZ
        return heard.samples(start_ns, int(count))

    def _follow(self, quiet: bool, ahead_s: float) -> None:
        wanted_s = max(self._wanted_s() - ahead_s, 0.0)
        off_s = abs(wanted_s - self._delay_s)
        if off_s > WRONG_S or (quiet and off_s > UNSEEN_S):
            self._delay_s = wanted_s
            self.changes += 1
