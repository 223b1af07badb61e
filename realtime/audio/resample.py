"""Sound at another rate, block by block: FFmpeg's resampler with a longer filter than its default.

Measured on sweeps up to 7.6 kHz from 8, 22.05, 44.1, 48, 96 and 192 kHz down to 16: noise at -108 dB or lower, what
would fold back at -106 dB. FFmpeg's default folds back at -49 dB from 22.05 kHz; soxr's best reaches -112 and -155,
which nobody hears, for one package more.
"""

from fractions import Fraction

import av
import numpy as np

from realtime.errors import ConfigError
from realtime.frame import Floats

_FILTER = "filter_size=128:phase_shift=12:cutoff=0.97:linear_interp=1"
LOWEST_HZ, HIGHEST_HZ = 4_000, 768_000


class Resampler:
    """A stream of mono float32 at `from_hz`, given back at `to_hz`.

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
        door = graph.add_abuffer(sample_rate=from_hz, format="fltp", layout="mono", time_base=Fraction(1, from_hz))
        change = graph.add("aresample", f"{to_hz}:{_FILTER}")
        door.link_to(change)
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
