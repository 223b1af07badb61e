"""The picture to show now says the sound of a little while ago: so the network's look into the future is never a guess.

A window begins at the picture's time and reaches 212.5 ms beyond it. Live, that sound is yet to come: mouth and voice
together are shown later by as much (`LookAhead`). From a file it is only read earlier (`ReadAhead`).
"""

from collections.abc import Callable
from typing import Protocol

from realtime.audio.mel import LOOK_AHEAD_S
from realtime.audio.source import SoundSource
from realtime.audio.speech_buffer import MelWindow, SpeechBuffer
from realtime.clock import NS_PER_MS, NS_PER_S

RESERVE_S = 0.060
"""For what a device and the filters hold back, at first: blocks of 20 ms, a driver's buffer, 4 ms of resampling."""

MOST_S = 0.800
"""No voice is delayed more: what is missing then is silence."""

_STEP_S = 0.020
_PATIENCE = 3


class Speech(Protocol):
    """What is being said, picture by picture. Called by the engine's thread alone, with times that do not go back."""

    by_media: bool
    """True where times are those of the source file, `Frame.media_s`; False where they are the clock's."""

    @property
    def delay_s(self) -> float:
        """How much later than it was captured the voice must be heard to match the mouth."""
        ...

    def __call__(self, at_ns: int) -> MelWindow:
        """What the mouth of the picture of `at_ns` says: the clock's time live, a file's own otherwise."""
        ...


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
        heard = self.voice.heard
        spoken = heard.window(at_ns - self._delay_ns)
        begun = bool(heard.pieces) and at_ns - self._delay_ns >= heard.zero_ns
        if spoken.whole or not begun:
            self._in_a_row = 0
            return spoken
        self.late += 1
        self._in_a_row += 1
        # A device that is gone is not late: waiting longer would not help.
        behind_ns = at_ns - self._delay_ns - heard.until_ns
        if self._in_a_row >= _PATIENCE and behind_ns < 10 * _STEP_S * NS_PER_S:
            self._in_a_row = 0
            self._delay_ns = min(self._delay_ns + round(_STEP_S * NS_PER_S), round(MOST_S * NS_PER_S))
        return spoken


class AsHeard:
    """A live voice that moves no mouth: picture and sound were captured together, and neither waits for the other."""

    by_media = False
    delay_s = 0.0

    def __init__(self, voice: SpeechBuffer) -> None:
        self.voice = voice

    def __call__(self, at_ns: int) -> MelWindow:
        """What is known of the sound at `at_ns`."""
        return self.voice.heard.window(at_ns)


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
        # 100 ms more than the window: the gate opens before a word.
        while not self.voice.heard.ended and self.voice.heard.until_ns <= at_ns + 100 * NS_PER_MS:
            block = self._source.read()
            if block is None:
                self.voice.end()
            else:
                self.voice.hear(block)
        return self.voice.heard.window(at_ns)

    def close(self) -> None:
        """Close the file and its voice. May be called twice."""
        self._source.close()
        self.voice.close()
