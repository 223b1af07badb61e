"""The mel spectrogram that Wav2Lip's networks hear, block by block and bit for bit as from the whole file; resampling.

Pre-emphasis, short-time Fourier transform, 80 Slaney mel bands, decibels, clipped to -4..4: the constants are those of
Wav2Lip's `hparams.py` (Prajwal et al., ACM MM 2020), the STFT is librosa 0.7's (centred, reflected at the file's ends).
"""

from fractions import Fraction
from functools import cache

import av
import numpy as np

from realtime.audio.source import SPEECH_HZ
from realtime.errors import ConfigError
from realtime.frame import Doubles, Floats

BANDS = 80
HOP, SPAN = 200, 800
RATE_HZ = SPEECH_HZ // HOP  # 80 mel frames a second; frame k is centred on sample k * HOP
WINDOW = 16  # frames in one window of a network: 200 ms, of which the first is at the picture's time
SILENCE = np.float32(-4.0)  # what every band of digital silence is
LOOK_AHEAD_S = ((WINDOW - 1) * HOP + SPAN // 2) / SPEECH_HZ
"""How much sound after the picture's time its window needs: 212.5 ms."""

_EMPHASIS = 0.97
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0
_REF_DB, _FLOOR_DB, _MOST = 20.0, -100.0, 4.0


class MelStream:
    """Turns samples into mel frames as they become known.

    A frame is given when its 800 samples are there: 25 ms of sound after its own time. Values that are no numbers must
    be taken out before (`SpeechBuffer` does).
    """

    def __init__(self) -> None:
        self._last = 0.0  # of the samples as they came, for the pre-emphasis
        self._held: Doubles = np.zeros(0)
        self._fresh = True  # the reflected start is still to be put before the first samples
        self._any = False

    def __call__(self, samples: Floats) -> Floats:
        """The frames that became known, (80, m) float32, m may be 0; `samples` is (n,) at 16 kHz, -1..1."""
        if len(samples):
            x = samples.astype(np.float64)
            before = np.concatenate([[self._last], x[:-1]])
            self._last = float(x[-1])
            self._held = np.concatenate([self._held, x - _EMPHASIS * before])
            self._any = True
        if self._fresh:
            if len(self._held) <= SPAN // 2:
                return np.zeros((BANDS, 0), np.float32)
            self._held = np.concatenate([self._held[SPAN // 2 : 0 : -1], self._held])
            self._fresh = False
        count = max((len(self._held) - SPAN) // HOP + 1, 0)
        frames = _frames(self._held, count)
        self._held = self._held[count * HOP :]
        return frames

    def finish(self) -> Floats:
        """The last frames, for which the sound's end is reflected; a sound under 25 ms has none."""
        if not self._any or self._fresh:
            return np.zeros((BANDS, 0), np.float32)
        end = self._held[-2 : -SPAN // 2 - 2 : -1]
        padded = np.concatenate([self._held, end])
        self._any = False
        return _frames(padded, max((len(padded) - SPAN) // HOP + 1, 0))


def mel_frames(samples: Floats) -> Floats:
    """The frames of a whole sound at 16 kHz, (80, 1 + n // 200) float32 in -4..4."""
    stream = MelStream()
    return np.concatenate([stream(samples), stream.finish()], axis=1)


def window_start(time_s: float) -> int:
    """The first mel frame of the window for the picture at `time_s`; Wav2Lip's int(i * 80 / fps).

    Times are whole numbers of ticks somewhere: a nanosecond short of a frame is that frame.
    """
    return int(np.floor(time_s * RATE_HZ + 1e-6))


def _frames(samples: Doubles, count: int) -> Floats:
    """`count` frames from the start of the pre-emphasised samples, (80, count) float32."""
    out = np.empty((BANDS, count), np.float32)
    basis, taper = mel_basis(), _taper()
    for k in range(count):  # one by one, so that the last bits do not depend on how the stream was cut
        spectrum = np.abs(np.fft.rfft(samples[k * HOP : k * HOP + SPAN] * taper))
        level_db = 20.0 * np.log10(np.maximum(basis @ spectrum, 1e-5)) - _REF_DB
        out[:, k] = np.clip(2.0 * _MOST * (level_db - _FLOOR_DB) / -_FLOOR_DB - _MOST, -_MOST, _MOST)
    return out


@cache
def _taper() -> Doubles:
    """Hann's window, periodic."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(SPAN) / SPAN))


@cache
def mel_basis() -> Doubles:
    """Slaney's mel filters, (80, 401) float64: triangles of equal area over the bins of the transform.

    Corners evenly spaced on Slaney's scale (Auditory Toolbox, 1998) between 55 and 7600 Hz. librosa keeps the filters
    as float32; so do these numbers.
    """
    edges = _hertz(np.linspace(_mels(_LOWEST_HZ), _mels(_HIGHEST_HZ), BANDS + 2))
    bins = np.linspace(0.0, SPEECH_HZ / 2, SPAN // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (bins - low) / (middle - low), (high - bins) / (high - middle)
    triangles = np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (high - low))
    return np.asarray(triangles.astype(np.float32), np.float64)


_KNEE_HZ, _HZ_PER_MEL = 1000.0, 200.0 / 3.0
_LOG_STEP = np.log(6.4) / 27.0


def _mels(hertz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, logarithmic above, 27 steps for a factor of 6.4."""
    if hertz < _KNEE_HZ:
        return hertz / _HZ_PER_MEL
    return float(_KNEE_HZ / _HZ_PER_MEL + np.log(hertz / _KNEE_HZ) / _LOG_STEP)


def _hertz(mels: Doubles) -> Doubles:
    knee = _KNEE_HZ / _HZ_PER_MEL
    return np.where(mels < knee, mels * _HZ_PER_MEL, _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mels, knee) - knee)))


_FILTER = "filter_size=128:phase_shift=12:cutoff=0.97:linear_interp=1"
LOWEST_HZ, HIGHEST_HZ = 4_000, 768_000


class Resampler:
    """A stream of mono float32 at `from_hz`, given back at `to_hz`, by FFmpeg with a longer filter than its default.

    Measured on sweeps up to 7.6 kHz from 8, 22.05, 44.1, 48, 96 and 192 kHz down to 16: noise at -108 dB or lower, what
    would fold back at -106 dB (FFmpeg's default: -49 dB from 22.05 kHz).

    Output sample k is the sound at k / to_hz seconds from the first input sample; the filter holds back 4 ms until
    `finish`. However the stream is cut into blocks, the sum of what comes out is the same, bit for bit. Raises
    ConfigError for rates that no sound has.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if not LOWEST_HZ <= from_hz <= HIGHEST_HZ:
            raise ConfigError(f"sound at {from_hz} Hz can't be used: give one of {LOWEST_HZ} to {HIGHEST_HZ} Hz")
        self._from_hz, self._same = from_hz, from_hz == to_hz
        self._taken = 0
        self._finished = False
        if self._same:
            return
        graph = av.filter.Graph()
        source = graph.add_abuffer(sample_rate=from_hz, format="fltp", layout="mono", time_base=Fraction(1, from_hz))
        change = graph.add("aresample", f"{to_hz}:{_FILTER}")
        source.link_to(change)
        change.link_to(graph.add("abuffersink"))
        graph.configure()
        self._graph = graph

    def __call__(self, samples: Floats) -> Floats:
        """What is ready after these samples, (m,) float32, a new array; `samples` is (n,)."""
        if self._same or not len(samples):
            return np.array(samples, np.float32)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "fltp", "mono")
        frame.sample_rate, frame.time_base, frame.pts = self._from_hz, Fraction(1, self._from_hz), self._taken
        self._taken += len(samples)
        self._graph.push(frame)
        return self._ready()

    def finish(self) -> Floats:
        """What the filter still held; the stream ends here."""
        if self._same or self._finished or not self._taken:
            return np.zeros(0, np.float32)
        self._finished = True
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> Floats:
        pieces: list[Floats] = []
        while True:
            try:
                out = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
            assert isinstance(out, av.AudioFrame)
            pieces.append(np.asarray(out.to_ndarray(), np.float32)[0])
