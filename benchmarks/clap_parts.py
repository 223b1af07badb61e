"""What a clapper test needs at both ends: a microphone that clicks on time, flashes to see, and ears with a clock."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from realtime.capture import Source
from realtime.capture.around import AroundSource
from realtime.capture.bell import Bell
from realtime.character import Character
from realtime.clock import NS_PER_S, Clock
from realtime.face import Face
from realtime.frame import Frame, Pixels
from realtime.laps import Laps
from realtime.settings import Settings
from realtime.sound import HEARD_HZ, Floats, pulse
from realtime.sound.look_ahead import Speech
from realtime.sound.voice import Spoken

FIRST_S, EVERY_S = 3.0, 2.013
"""Clicks: no whole number of pictures apart, so that they fall into all phases of one."""

CLICK_S = 0.005
LOUD_MEL = -3.0
"""Mean mel of a window's first three frames above which a click is in them: silence is -4."""

_RATE_HZ, _PIECE_S = 48_000, pulse.LATENCY_S
_NOISE = 1e-5
"""A microphone that gives zeros alone is reported as muted."""


def corner(pixels: Pixels) -> Pixels:
    """The part of a picture that flashes, a view: the lower right, where no badge and no face is."""
    rows, columns = pixels.shape[:2]
    return pixels[rows - rows // 6 :, columns - columns // 6 :]


def is_bright(pixels: Pixels) -> bool:
    """True where the corner flashes."""
    return bool(corner(pixels).mean() > 127)


class ClickGate:
    """Takes clicks for speech, and nothing else. Obeys `Gate`."""

    def __call__(self, samples: Floats, frames: Floats) -> Floats:
        """1 for each frame with a click in it."""
        return np.asarray(frames.mean(axis=0) > LOUD_MEL, np.float32)

    def close(self) -> None:
        """Nothing is open."""


class ClickingMicrophone:
    """Clicks in real time from the moment it is made; its crystal runs `ppm` millionths fast. Obeys `InputDevice`."""

    name = "clicking microphone"
    rate_hz = _RATE_HZ
    latency_s = 0.0

    def __init__(self, clock: Clock, *, ppm: float = 0.0, wait: Callable[[float], bool] | None = None) -> None:
        self.zero_ns = clock()
        self._clock, self._speed = clock, 1.0 + ppm * 1e-6
        self._bell = Bell()
        self._wait = wait or self._bell.wait
        self._given = 0
        self._rng = np.random.default_rng(0)

    def since_click(self, at_ns: int) -> float:
        """Seconds at that reading of the clock since the last click; negative before the first."""
        since_s = (at_ns - self.zero_ns) / NS_PER_S - FIRST_S
        return since_s % EVERY_S if since_s >= 0 else since_s

    def clicks_within(self, start_ns: int, end_ns: int) -> bool:
        """Whether a click begins between two readings of the clock."""
        low, high = ((at - self.zero_ns) / NS_PER_S - FIRST_S for at in (start_ns, end_ns))
        return max(0, int(np.ceil(low / EVERY_S))) * EVERY_S < high

    def read(self, timeout_s: float) -> Floats | None:
        """The next piece once it is over; more after a pause."""
        due_ns = self.zero_ns + round((self._given / _RATE_HZ + _PIECE_S) / self._speed * NS_PER_S)
        if self._wait(min((due_ns - self._clock()) / NS_PER_S, timeout_s)):
            return None
        until = int((self._clock() - self.zero_ns) / NS_PER_S * self._speed * _RATE_HZ)
        if until - self._given < _PIECE_S * _RATE_HZ:
            return None
        at_s = np.arange(self._given, until) / _RATE_HZ / self._speed - FIRST_S
        self._given = until
        since_s = np.where(at_s >= 0, at_s % EVERY_S, EVERY_S)
        click = np.where(since_s < CLICK_S, 0.9 * np.sin(2 * np.pi * 1000 * since_s), 0.0)
        return (click + _NOISE * self._rng.standard_normal(len(at_s))).astype(np.float32)

    def close(self) -> None:
        """End a wait. May be called twice."""
        self._bell.close()


class FlashingSource(AroundSource):
    """A source whose pictures flash where a click falls into them, as if a camera saw the clapper.

    A camera has light in its picture that fell before it gives it away: since the picture before.
    """

    def __init__(self, source: Source, clicks: Callable[[int, int], bool]) -> None:
        super().__init__(source)
        self._clicks = clicks

    @property
    def live(self) -> bool:
        """True: it stands for a camera."""
        return True

    def read(self) -> Frame | None:
        """The source's next frame, its corner white or black."""
        frame = self._source.read()
        if frame is None:
            return None
        before_ns = frame.captured_ns - round(NS_PER_S / self.rate_hz)
        pixels = frame.pixels.copy()
        corner(pixels)[:] = 255 if self._clicks(before_ns, frame.captured_ns) else 0
        return frame.with_pixels(pixels)


class Overheard:
    """A voice, and what it last said. Obeys `Speech`."""

    def __init__(self, speech: Speech) -> None:
        self._speech, self.by_media = speech, speech.by_media
        self.last: Spoken | None = None

    @property
    def delay_s(self) -> float:
        """The voice's."""
        return self._speech.delay_s

    def __call__(self, at_ns: int) -> Spoken:
        """The voice's, remembered."""
        self.last = self._speech(at_ns)
        return self.last

    @property
    def clicks(self) -> bool:
        """True where the window last asked for begins with a click: now the mouth opens."""
        return self.last is not None and bool(self.last.mel[:, :3].mean() > LOUD_MEL)


class FlashingCharacter:
    """A character whose pictures flash: where its mouth hears a click, or where the camera saw one. Obeys `Character`.

    Everything the character does is done and takes its time; only the corner is painted over.
    """

    def __init__(self, character: Character, overheard: Overheard | None) -> None:
        self._character, self._overheard = character, overheard

    @property
    def title(self) -> str:
        """The character's."""
        return self._character.title

    @property
    def ran_on(self) -> str:
        """The character's."""
        return self._character.ran_on

    @property
    def precision(self) -> str:
        """The character's."""
        return self._character.precision

    @property
    def spent_ns(self) -> int:
        """The character's."""
        return self._character.spent_ns

    @property
    def resting(self) -> bool:
        """The character's."""
        return self._character.resting

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """The character's."""
        self._character.prepare(size, settings)

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, laps: Laps) -> Pixels | None:
        """The character's picture, its corner white or black."""
        picture = self._character(frame, faces, settings, laps)
        if picture is not None:
            flash = self._overheard.clicks if self._overheard is not None else is_bright(frame.pixels)
            corner(picture)[:] = 255 if flash else 0
        return picture

    def close(self) -> None:
        """The character's."""
        self._character.close()


class WatchingSink:
    """Notes when flashes are shown: in a video call this is what the others see. Obeys `Sink`.

    `seen`: (when the first bright picture was handed over, and the picture before it), in the clock's nanoseconds.
    """

    name = "clapper"

    def __init__(self, clock: Clock) -> None:
        self.seen: list[tuple[int, int]] = []
        self._clock = clock
        self._before_ns = 0
        self._bright = True

    def show(self, frame: Frame) -> None:
        """Look at one picture."""
        now, bright = self._clock(), is_bright(frame.pixels)
        if bright and not self._bright:
            self.seen.append((now, self._before_ns))
        self._bright, self._before_ns = bright, now

    def close(self) -> None:
        """Nothing is open."""


class ListeningCable:
    """A virtual microphone that knows when each sample is heard: what is written is played in turn, `HOLDS_S` after the
    first; it takes no more than three times as much, like the pipe to a sound server. Obeys `OutputDevice`. `clicks`:
    the clock's time of each click, nanoseconds; `ran_dry`: how often it had nothing to play.
    """

    name = "listening cable"
    HOLDS_S = pulse.OUT_LATENCY_S

    def __init__(self, clock: Clock) -> None:
        self.clicks: deque[int] = deque()
        self.ran_dry = 0
        self._clock = clock
        self._played_to_ns: int | None = None

    @property
    def latency_s(self) -> float:
        """How long what is written now waits."""
        now = self._clock()
        if self._played_to_ns is None or self._played_to_ns < now:
            return self.HOLDS_S
        return (self._played_to_ns - now) / NS_PER_S

    def write(self, samples: Floats) -> bool:
        """Play them behind what is there; False where that is too much."""
        if not len(samples):
            return True
        now = self._clock()
        if self._played_to_ns is None or self._played_to_ns < now:
            self.ran_dry += self._played_to_ns is not None
            self._played_to_ns = now + round(self.HOLDS_S * NS_PER_S)
        if self._played_to_ns - now > 3 * self.HOLDS_S * NS_PER_S:
            return False
        for at in onsets(samples):
            when = self._played_to_ns + round(at / HEARD_HZ * NS_PER_S)
            if not self.clicks or when - self.clicks[-1] > NS_PER_S // 2:
                self.clicks.append(when)
        self._played_to_ns += len(samples) * NS_PER_S // HEARD_HZ
        return True

    def close(self) -> None:
        """Nothing is open."""


def onsets(samples: npt.NDArray[np.float32], level: float = 0.3) -> list[int]:
    """Where bursts begin that are half a second apart or more, as sample numbers at HEARD_HZ."""
    loud = np.flatnonzero(np.abs(samples) > level)
    if not len(loud):
        return []
    return [int(loud[0]), *loud[1:][np.diff(loud) > HEARD_HZ // 2].tolist()]
