"""A live voice laid on the clock, as the lip-sync network and the listeners need it: mel frames and clean samples."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from realtime.audio.mel import BANDS, RATE_HZ, SILENCE, WINDOW, MelStream, Resampler, window_start
from realtime.audio.source import HEARD_HZ, SPEECH_HZ, Block
from realtime.audio.vad import Vad, fade_to_silence, open_vad, speech_envelope
from realtime.clock import NS_PER_S
from realtime.frame import Floats
from realtime.threads import Latest

KEPT_S = 6.0  # how much of the past can be asked for
_FULL_SCALE = 0.999

_NO_FRAMES: Floats = np.zeros((BANDS, 0), np.float32)
_NOTHING: Floats = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class MelWindow:
    """What the mouth of one picture says.

    `mel`: (80, 16) float32 in -4..4, faded to silence where nobody speaks. `speech`: 0 (the mouth rests) .. 1 (it may
    open), at the picture's own time. `whole`: False where some of the sound is not there (yet, or any more): it counts
    as silence.
    """

    mel: Floats
    speech: float
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class SpeechSnapshot:
    """The last seconds of a voice. Times are the clock's."""

    zero_ns: int = 0
    frames: Floats = field(default_factory=lambda: _NO_FRAMES)
    first_frame: int = 0
    envelope: Floats = field(default_factory=lambda: _NOTHING)
    pieces: tuple[tuple[int, Floats], ...] = ()
    ended: bool = False

    @property
    def until_ns(self) -> int:
        """Windows that begin before this are whole."""
        frame = self.first_frame + len(self.envelope) - WINDOW + 1
        return self.zero_ns + frame * NS_PER_S // RATE_HZ

    def window(self, at_ns: int) -> MelWindow:
        """The 200 ms from `at_ns` on, as the network wants them."""
        start = window_start((at_ns - self.zero_ns) / NS_PER_S) - self.first_frame
        known = self.frames.shape[1]
        lo, hi = max(start, 0), min(start + WINDOW, known)
        mel = np.full((BANDS, WINDOW), SILENCE, np.float32)
        if hi > lo:
            mel[:, lo - start : hi - start] = fade_to_silence(self.frames[:, lo:hi], self.envelope[lo:hi])
        here = float(self.envelope[start]) if 0 <= start < known else 0.0
        whole = start >= 0 and (self.ended or start + WINDOW <= known)
        return MelWindow(mel, here, whole)

    def samples(self, start_ns: int, count: int) -> Floats:
        """`count` samples from `start_ns` on at HEARD_HZ, (count,) float32; silence where nothing is known.

        Laid on the clock: where the device's crystal differs from ours, they lie between the samples that came.
        """
        first = (start_ns - self.zero_ns) * HEARD_HZ / NS_PER_S
        near = [(at, piece) for at, piece in self.pieces if at < first + count + 3 and at + len(piece) > first - 3]
        if not near:
            return np.zeros(count, np.float32)
        held = np.concatenate([piece for _, piece in near])
        return at_positions(held, first - near[0][0], count)

    @property
    def sound_until_ns(self) -> int:
        """Up to where `samples` has sound."""
        if not self.pieces:
            return self.zero_ns
        at, piece = self.pieces[-1]
        return self.zero_ns + (at + len(piece)) * NS_PER_S // HEARD_HZ


class SpeechBuffer:
    """Takes blocks, in one thread; shows what it holds of them to any other.

    Values that are no numbers become 0 (`broken` counts them), values beyond full scale are cut off (`clipped`).
    `exact` where the blocks' times have no jitter: a file's. While `silent` says so nothing is heard, and what was
    heard before and may still wait to be spoken is forgotten: neither comes out of any listener, then or later.
    """

    def __init__(self, vad: Vad | None = None, *, exact: bool = False) -> None:
        """`vad` None: the built-in one; raises ModelError where it is missing."""
        self._vad: Vad = vad or open_vad()
        self.timing = ClockRecovery(exact=exact)
        self.broken = self.clipped = 0
        self.silent: Callable[[], bool] = lambda: False
        self._was_silent = False
        self._rate_hz = 0
        self._to_speech: Resampler
        self._to_heard: Resampler
        self._seconds = 0.0  # of stream so far, at the blocks' own rates
        self._mel = MelStream()
        self._probability: Floats = _NOTHING
        self._frames: Floats = _NO_FRAMES
        self._first_frame = self._heard_to = 0
        self._pieces: list[tuple[int, Floats]] = []
        self._snapshot = Latest(SpeechSnapshot())
        self._ended = False

    @property
    def snapshot(self) -> SpeechSnapshot:
        """The last seconds, as of now. From any thread."""
        return self._snapshot.get()

    def push(self, block: Block) -> None:
        """Take the next block."""
        if self._ended or not len(block.samples):
            return
        if block.rate_hz != self._rate_hz:
            self._change_rate(block.rate_hz)
        samples, silent = self._clean(block.samples), self.silent()
        if silent:
            samples = np.zeros_like(samples)
        gap_s = self.timing.place(self._seconds, block.start_ns)
        off = round(gap_s * block.rate_hz)
        if off > 0:
            samples = np.concatenate([np.zeros(off, np.float32), samples])
        elif off < 0:
            samples = samples[-off:]
        self._seconds += len(samples) / block.rate_hz
        self._take(self._to_speech(samples), self._to_heard(samples))
        if silent and not self._was_silent:
            self._forget()
        self._was_silent = silent

    def end(self) -> None:
        """No more blocks: what the filters hold comes out."""
        if self._ended:
            return
        self._ended = True
        if self._rate_hz:
            self._take(self._to_speech.finish(), self._to_heard.finish(), last=True)
        else:
            self._snapshot.set(SpeechSnapshot(ended=True))

    def close(self) -> None:
        self._vad.close()

    def _change_rate(self, rate_hz: int) -> None:
        to_speech, to_heard = Resampler(rate_hz, SPEECH_HZ), Resampler(rate_hz, HEARD_HZ)
        if self._rate_hz:
            self._take(self._to_speech.finish(), self._to_heard.finish())
        self._rate_hz, self._to_speech, self._to_heard = rate_hz, to_speech, to_heard

    def _clean(self, samples: Floats) -> Floats:
        bad = ~np.isfinite(samples)
        if bad.any():
            self.broken += int(bad.sum())
            samples = np.where(bad, np.float32(0), samples)
        self.clipped += int((np.abs(samples) >= _FULL_SCALE).sum())
        return np.clip(samples, -1.0, 1.0)

    def _take(self, speech: Floats, heard: Floats, *, last: bool = False) -> None:
        frames = self._mel(speech)
        if last:
            frames = np.concatenate([frames, self._mel.finish()], axis=1)
        self._probability = np.concatenate([self._probability, self._vad(speech, frames)])
        self._frames = np.concatenate([self._frames, frames], axis=1)
        over = self._frames.shape[1] - round(KEPT_S * RATE_HZ)
        if over > 0:
            self._frames, self._probability = self._frames[:, over:], self._probability[over:]
            self._first_frame += over
        if len(heard):
            self._pieces.append((self._heard_to, heard))
            self._heard_to += len(heard)
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) < self._heard_to - KEPT_S * HEARD_HZ:
            self._pieces.pop(0)
        self._show()

    def _forget(self) -> None:
        """Silence instead of all that is kept, at the same times."""
        self._pieces = [(at, np.zeros_like(piece)) for at, piece in self._pieces]
        self._frames, self._probability = np.full_like(self._frames, SILENCE), np.zeros_like(self._probability)
        self._show()

    def _show(self) -> None:
        envelope, pieces = speech_envelope(self._probability), tuple(self._pieces)
        self._snapshot.set(
            SpeechSnapshot(self.timing.zero_ns, self._frames, self._first_frame, envelope, pieces, self._ended)
        )


GAP_S = 0.060  # a block later (or earlier) than this does not belong behind the one before
LONGEST_S = 5.0  # a longer gap is not filled: nothing keeps so much sound, so the stream simply begins again there
_WATCHED_S = 2.0
_SLEW = 0.005  # seconds a second: ten times what crystals differ by, and less than anybody sees on a mouth


class ClockRecovery:
    """Lays a stream's sample numbers on the clock: keeps `zero_ns`, the clock's time of the stream's second 0.

    A microphone's crystal and the computer's run apart (some 50 ppm: 30 ms in ten minutes), its blocks arrive with
    jitter, and now and then some are lost. The stream's time follows the earliest arrivals slowly, so that jitter moves
    nothing; what is missing becomes silence, what is too much is cut. `exact` where stamps have no jitter (files).
    """

    def __init__(self, *, exact: bool = False) -> None:
        self.zero_ns = 0
        self.gaps = 0
        self.missing_s = self.cut_s = 0.0
        self._exact = exact
        self._tolerance_s = 0.020 if exact else GAP_S
        # (start, the zero it speaks for) of the last blocks, ns; only those no later one undercuts, so rising.
        self._earliest: deque[tuple[int, int]] = deque()
        self._since_ns = self._before_ns = 0
        self._begun = False

    def place(self, position_s: float, start_ns: int) -> float:
        """Seconds of silence to put before a block that comes when the stream is `position_s` long.

        Negative: so much of the block's beginning is to be cut off. `start_ns` is the block's own stamp.
        """
        position_ns = round(position_s * NS_PER_S)
        if not self._begun:
            self._begun = True
            self._restart(start_ns, start_ns - position_ns)
            return 0.0
        late_ns = start_ns - self.zero_ns - position_ns
        late_s = late_ns / NS_PER_S
        if abs(late_s) > self._tolerance_s:
            return self._jump(start_ns, late_s, late_ns)
        if not self._exact:
            self._follow(start_ns, start_ns - position_ns)
        return 0.0

    def _restart(self, start_ns: int, zero_ns: int) -> None:
        self.zero_ns = zero_ns
        self._earliest.clear()
        self._since_ns = self._before_ns = start_ns

    def _jump(self, start_ns: int, late_s: float, late_ns: int) -> float:
        self.gaps += 1
        if abs(late_s) > LONGEST_S:
            self.missing_s += max(late_s, 0.0)
            self._restart(start_ns, self.zero_ns + late_ns)
            return 0.0
        self._restart(start_ns, self.zero_ns)
        if late_s > 0:
            self.missing_s += late_s
        else:
            self.cut_s -= late_s
        return late_s

    def _follow(self, start_ns: int, zero_ns: int) -> None:
        while self._earliest and self._earliest[-1][1] >= zero_ns:
            self._earliest.pop()
        self._earliest.append((start_ns, zero_ns))
        while start_ns - self._earliest[0][0] > _WATCHED_S * NS_PER_S:
            self._earliest.popleft()
        step_ns, self._before_ns = start_ns - self._before_ns, start_ns
        if start_ns - self._since_ns < 0.5 * _WATCHED_S * NS_PER_S:
            return
        most = round(_SLEW * max(step_ns, 0))
        self.zero_ns += max(-most, min(most, self._earliest[0][1] - self.zero_ns))


def at_positions(samples: Floats, first: float, count: int) -> Floats:
    """`count` values of `samples` at first, first + 1, …: (count,) float32; 0 beyond its ends.

    Cubic through the four neighbours (Catmull and Rom, 1974): where `first` is whole, the samples themselves. For
    positions that creep, as those of two crystals do; a change of rate is `Resampler`'s.
    """
    whole = int(np.floor(first))
    t = first - whole
    if abs(t - round(t)) < 1e-4:  # under a hundred nanoseconds of 48 kHz's step: the clock's own rounding
        return _cut(samples, round(first), count)
    a, b, c, d = (_cut(samples, whole + k, count) for k in (-1, 0, 1, 2))
    weights = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1.0 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2.0 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    return np.asarray(weights[0] * a + weights[1] * b + weights[2] * c + weights[3] * d, np.float32)


def _cut(samples: Floats, first: int, count: int) -> Floats:
    out = np.zeros(count, np.float32)
    lo, hi = max(first, 0), min(first + count, len(samples))
    if hi > lo:
        out[lo - first : hi - first] = samples[lo:hi]
    return out
