"""Sounds for tests: made, written to files, and given out by scripted devices."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from realtime.audio.microphone import SoundDeviceGone
from realtime.audio.sound_file import SoundFile
from realtime.audio.source import Block
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad, Vad
from realtime.errors import DeviceError
from realtime.frame import Floats
from realtime.threads import Event

NS = 1_000_000_000


def tone(hertz: float, seconds: float, rate_hz: int, level: float = 0.5) -> Floats:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def noise(seconds: float, rate_hz: int, level: float = 0.1, seed: int = 0) -> Floats:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))).astype(np.float32)


def clicks(at_s: Iterable[float], seconds: float, rate_hz: int) -> Floats:
    """Bursts of 5 ms at these times."""
    out = np.zeros(round(seconds * rate_hz), np.float32)
    for at in at_s:
        start = round(at * rate_hz)
        click = tone(1000, 0.005, rate_hz, 0.9)[: len(out) - start]
        out[start : start + len(click)] = click
    return out


def onsets(samples: Floats, rate_hz: int, level: float = 0.3) -> list[float]:
    """When bursts begin that are half a second apart or more, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > level)
    firsts = [int(b) for a, b in zip(np.concatenate([[-rate_hz], loud[:-1]]), loud, strict=True) if b - a > rate_hz / 2]
    return [first / rate_hz for first in firsts]


def blocks(samples: Floats, rate_hz: int, start_ns: int = 0, size: int = 960) -> list[Block]:
    """A device's blocks, each with its true time."""
    return [Block(samples[i : i + size], rate_hz, start_ns + i * NS // rate_hz) for i in range(0, len(samples), size)]


def filled(samples: Floats, rate_hz: int, start_ns: int = 0, size: int = 960, vad: Vad | None = None) -> SpeechBuffer:
    """A voice that has taken all of a sound, block by block; everything is speech unless `vad` says otherwise."""
    voice = SpeechBuffer(vad or NoVad())
    for block in blocks(samples, rate_hz, start_ns, size):
        voice.push(block)
    return voice


def write_sound(
    path: Path,
    channels: Sequence[Floats],
    rate_hz: int,
    *,
    codec: str = "pcm_s16le",
    form: str = "s16",
    layout: str = "mono",
    start_s: float = 0.0,
) -> Path:
    """A sound file of these channels, one array each."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate_hz)
        stream.codec_context.layout = layout
        stream.codec_context.format = form
        planar = np.stack(channels).astype(np.float32)
        resampler = av.AudioResampler(format=form, layout=layout, rate=rate_hz)
        for i in range(0, planar.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planar[:, i : i + 1024]), "fltp", layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = i + round(start_s * rate_hz)
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return path


def whole_sound(path: Path) -> tuple[Floats, int]:
    """All of a file's sound as one (n,) float32, and its rate."""
    source = SoundFile(path)
    got = list(iter(source.read, None))
    source.close()
    return np.concatenate([block.samples for block in got]), got[0].rate_hz


class FakeInput:
    """A microphone that gives the scripted items: samples, None (nothing in time) or an error to raise."""

    def __init__(
        self, items: Iterable[Floats | Exception | None], rate_hz: int = 48_000, latency_s: float = 0.0
    ) -> None:
        self.name, self.rate_hz, self.latency_s = "fake microphone", rate_hz, latency_s
        self.closed, self.gone = 0, Event()
        self._items = iter(list(items))

    def read(self, timeout_s: float) -> Floats | None:
        item = next(self._items, SoundDeviceGone("the script is at its end"))
        if isinstance(item, Exception):
            raise item
        return None if item is None else item.copy()

    def close(self) -> None:
        self.closed += 1
        self.gone.set()


class Devices:
    """Opens the scripted devices in turn; an error stands for one that is not there."""

    def __init__(self, *devices: FakeInput | DeviceError) -> None:
        self._devices = iter(devices)
        self.asked: list[str | None] = []

    def __call__(self, name: str | None) -> FakeInput:
        self.asked.append(name)
        device = next(self._devices, DeviceError("no such device"))
        if isinstance(device, Exception):
            raise device
        return device


class FakeOutput:
    """Keeps what was spoken; `faults` are raised at those writes."""

    name = "fake cable"

    def __init__(self, latency_s: float = 0.0, gone_at: int | None = None, full_at: int | None = None) -> None:
        self.latency_s = latency_s
        self.written: list[Floats] = []
        self.closed, self.begun = 0, Event()
        self._gone_at, self._full_at = gone_at, full_at

    def write(self, samples: Floats) -> bool:
        if self._gone_at is not None and len(self.written) >= self._gone_at:
            raise SoundDeviceGone("the cable is gone")
        self.written.append(samples)
        self.begun.set()
        return self._full_at is None or len(self.written) != self._full_at

    def close(self) -> None:
        self.closed += 1
