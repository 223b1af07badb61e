"""When a voice is seen and heard: mouth and sound are delayed alike, by the network's look into the future.

A window of sound begins at the picture's time and reaches 212.5 ms beyond it. Live, that sound is yet to come: mouth
and voice together are shown later by as much (`LookAhead`). From a file it is only read earlier (`ReadAhead`).
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from realtime.audio.mel import LOOK_AHEAD_S
from realtime.audio.source import HEARD_HZ, SoundSource
from realtime.audio.speech_buffer import MelWindow, SpeechBuffer, SpeechSnapshot
from realtime.clock import NS_PER_MS, NS_PER_S
from realtime.frame import Floats, Frame

RESERVE_S = 0.060
"""For what a device and the filters hold back, at first: blocks of 20 ms, a driver's buffer, 4 ms of resampling."""

MOST_S = 0.800  # no voice is delayed more: what is missing then is silence
_STEP_S = 0.020
_PATIENCE = 3

UNSEEN_S = 0.006  # a difference of sound and picture that is not corrected: each change could be heard
WRONG_S = 0.045  # from here on a difference is seen, so it is corrected in the middle of a word
PAUSE_S = 0.060  # what a page holds back, at least
GONE_S = 0.200  # sound that is missing for longer comes from a device that is gone: waiting for it would not help
_WATCHED = 50
"""`_PATIENCE` of so many blocks that came when their sound was due already: the delay is too short for this machine."""

ROOM_S, _LOOKED_S = 0.004, 4.0
"""What is kept between a block's coming and its being due, once there was more for so long."""


class Speech(Protocol):
    """What is being said, picture by picture. Called by the engine's thread alone, with times that do not go back."""

    by_media: bool
    """True where times are those of the source file, `Frame.media_s`; False where they are the clock's."""

    @property
    def delay_s(self) -> float:
        """How much later than it was captured the voice must be heard to match the mouth."""

    def __call__(self, at_ns: int) -> MelWindow:
        """What the mouth of the picture of `at_ns` says: the clock's time live, a file's own otherwise."""


def speech_time_ns(frame: Frame, speech: Speech) -> int:
    """When to ask `speech` for what belongs to this picture."""
    if speech.by_media and frame.media_s is not None:
        return round(frame.media_s * NS_PER_S)
    return frame.captured_ns


class LookAhead:
    """A live voice, delayed as much as its sound needs to be there.

    The delay grows by 20 ms when `_PATIENCE` pictures in a row found their sound missing, and never shrinks: a sound
    that jumps back and forth is worse than one that is late. `late` counts the pictures that missed some.
    """

    by_media = False

    def __init__(self, voice: SpeechBuffer, *, reserve_s: float = RESERVE_S) -> None:
        self.voice = voice
        self.late = 0
        self._delay_ns = round((LOOK_AHEAD_S + reserve_s) * NS_PER_S)
        self._in_a_row = 0

    @property
    def delay_s(self) -> float:
        """How much later than it was captured a voice is heard and seen."""
        return self._delay_ns / NS_PER_S

    def __call__(self, at_ns: int) -> MelWindow:
        """What the mouth says in the picture shown at `at_ns`."""
        heard = self.voice.snapshot
        window = heard.window(at_ns - self._delay_ns)
        begun = bool(heard.pieces) and at_ns - self._delay_ns >= heard.zero_ns
        if window.whole or not begun:
            self._in_a_row = 0
            return window
        self.late += 1
        self._in_a_row += 1
        # A device that is gone is not late: waiting longer would not help.
        behind_ns = at_ns - self._delay_ns - heard.until_ns
        if self._in_a_row >= _PATIENCE and behind_ns < 10 * _STEP_S * NS_PER_S:
            self._in_a_row = 0
            self._delay_ns = min(self._delay_ns + round(_STEP_S * NS_PER_S), round(MOST_S * NS_PER_S))
        return window


class Undelayed:
    """A live voice that moves no mouth: picture and sound were captured together, and neither waits for the other."""

    by_media = False
    delay_s = 0.0

    def __init__(self, voice: SpeechBuffer) -> None:
        self.voice = voice

    def __call__(self, at_ns: int) -> MelWindow:
        """What is known of the sound at `at_ns`."""
        return self.voice.snapshot.window(at_ns)


class ReadAhead:
    """A voice out of a file, read just as far as the picture needs: nothing is delayed, nothing missing.

    `open_source` opens the file, and again where the pictures went back beyond what is kept (a loop).
    """

    by_media = True
    delay_s = 0.0

    def __init__(self, open_source: Callable[[], SoundSource], make_voice: Callable[[], SpeechBuffer]) -> None:
        self._open_source, self._make_voice = open_source, make_voice
        self._source = open_source()
        self.voice = make_voice()
        self._at_ns = 0

    def __call__(self, at_ns: int) -> MelWindow:
        """What the mouth says in the picture at `at_ns` of the file; behind its end, nothing."""
        if at_ns < self._at_ns - NS_PER_S:
            self.close()
            self._source, self.voice = self._open_source(), self._make_voice()
        self._at_ns = at_ns
        # 100 ms more than the window: the mouth opens before a word.
        while not self.voice.snapshot.ended and self.voice.snapshot.until_ns <= at_ns + 100 * NS_PER_MS:
            block = self._source.read()
            if block is None:
                self.voice.end()
            else:
                self.voice.push(block)
        return self.voice.snapshot.window(at_ns)

    def close(self) -> None:
        """Close the file and its voice. May be called twice."""
        self._source.close()
        self.voice.close()


class DelayLine:
    """A voice `delay_s` late, in real time: asked now and then, it gives the samples since it was asked last.

    Called by one thread. `delay_s` says how late the voice should be now: `LookAhead`'s own delay, or the measured
    latency of the video (`swap`, `motion`). A change is made where nobody speaks, so that nobody hears it, unless it is
    large.

    A voice with holes is worse than one that is late: where pictures leave sooner than a device gives its sound (some
    30 ms of video latency), the delay is what the sound needs, `least_s`. That grows at once, and shrinks when four
    seconds needed less: a machine is busiest when it starts.

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
        self.delay_s = delay_s()
        """How late the voice is handed over now."""
        self._to_ns: int | None = None
        self.changes = 0
        self.least_s = 0.0
        self._short_s: deque[float] = deque(maxlen=_WATCHED)
        self._until_ns, self._worst_s = 0, 0.0
        self._needs_s: list[float] = []
        self._looked_ns = 0

    def __call__(self, now_ns: int, ahead_ns: int = 0) -> Floats:
        """The samples for the time since the last call, (n,) float32 at HEARD_HZ, `delay_s` after they were captured.

        `ahead_ns`: how much later than now they will be heard, which is taken off the delay. The first call gives none;
        after `pause_s` without one, the time in between is skipped: whoever plays them has nothing left, and would be
        late from then on.
        """
        if self._to_ns is None:
            self.delay_s = max(self._wanted_s() - ahead_ns / NS_PER_S, 0.0)
        if self._to_ns is None or not 0 <= now_ns - self._to_ns <= self._pause_ns:
            self._to_ns = now_ns if self._to_ns is None or now_ns > self._to_ns else self._to_ns
            return np.zeros(0, np.float32)
        count = (now_ns - self._to_ns) * HEARD_HZ // NS_PER_S
        heard = self._voice.snapshot
        self._watch(heard, now_ns)
        quiet = heard.window(self._to_ns - round(self.delay_s * NS_PER_S)).speech == 0.0
        self._follow(quiet, ahead_ns / NS_PER_S)
        start_ns = self._to_ns - round(self.delay_s * NS_PER_S)
        self._to_ns += count * NS_PER_S // HEARD_HZ
        samples = heard.samples(start_ns, int(count))
        return np.zeros_like(samples) if self._silent() else samples

    def _follow(self, quiet: bool, ahead_s: float) -> None:
        wanted_s = max(self._wanted_s() - ahead_s, self.least_s)
        off_s = abs(wanted_s - self.delay_s)
        if off_s > WRONG_S or (quiet and off_s > UNSEEN_S):
            self.delay_s = wanted_s
            self.changes += 1

    def _watch(self, heard: SpeechSnapshot, now_ns: int) -> None:
        """Learn what the sound needs from what was missing before each of the last blocks came."""
        short_s = (now_ns - heard.sound_until_ns) / NS_PER_S - self.delay_s
        if heard.sound_until_ns == self._until_ns or not heard.pieces:
            self._worst_s = max(self._worst_s, short_s)
            return
        worst_s, self._until_ns, self._worst_s = self._worst_s, heard.sound_until_ns, short_s
        if worst_s >= GONE_S:
            worst_s = 0.0
        self._short_s.append(worst_s)
        self._needs_s.append(self.delay_s + worst_s)
        if now_ns - self._looked_ns > _LOOKED_S * NS_PER_S:
            if len(self._needs_s) > _WATCHED:
                self.least_s = min(self.least_s, sorted(self._needs_s)[-_PATIENCE] + ROOM_S)
            self._needs_s.clear()
            self._looked_ns = now_ns
        if sum(one > 0 for one in self._short_s) < _PATIENCE:
            return
        self.least_s = min(self.delay_s + sorted(self._short_s)[-_PATIENCE] + ROOM_S, MOST_S)
        self.delay_s = max(self.delay_s, self.least_s)
        self._short_s.clear()
        self.changes += 1
