"""The sound of a file, block by block: anything FFmpeg reads, as mono float32 at the file's own rate."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from realtime.audio.source import Block
from realtime.capture.media_file import MediaFile
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Doubles, Floats
from realtime.threads import Event

log = logging.getLogger(__name__)

_ADVICE = "give a sound or video file, or mic"


class SoundFile:
    """The blocks of a file in order, as fast as they are read. Obeys `SoundSource`.

    A block's `start_ns` counts from the file's start, pictures included, so that the sound of a video keeps its place
    beside `Frame.media_s`. Rate and channels may change on the way. Where the file is damaged, what decodes is
    delivered; the rest is counted in `broken` and logged once at the end. Raises ConfigError, in one line, where there
    is no sound to be had.
    """

    live = False
    state = "ok"

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.broken = 0
        self._ended = self._logged = False
        self._media = MediaFile(path, "a sound or video file", _ADVICE)
        try:
            if self._media.sound is None:
                raise ConfigError(f"{path} has no sound in it that can be decoded: {_ADVICE}")
            self._end_ns = 0
            self._blocks = self._decoded(self._media.sound)
            self._first = next(self._blocks, None)
            if self._first is None:
                raise ConfigError(f"{path} holds no sound that can be decoded: {_ADVICE}")
        except BaseException:
            self._media.close()
            raise

    @property
    def duration_s(self) -> float | None:
        """How long the file is, pictures included; None where it does not say."""
        return self._media.length_s

    def read(self) -> Block | None:
        """The next block; None at the end."""
        if self._ended:
            return None
        block, self._first = self._first or next(self._blocks, None), None
        if block is None and self.broken and not self._logged:
            log.warning("%s is damaged: %d part(s) of its sound could not be read", self.path, self.broken)
            self._logged = True
        return block

    def _decoded(self, stream: AudioStream) -> Iterator[Block]:
        try:
            for packet in self._media.packets(stream):
                try:
                    frames = packet.decode()
                except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                    self.broken += 1
                    continue
                yield from (self._block(frame) for frame in frames if frame.samples and frame.sample_rate)
        except (av.error.FFmpegError, OSError):
            self.broken += 1  # the container itself is cut off or damaged here: nothing more to be had

    def _block(self, frame: AudioFrame) -> Block:
        start_ns = self._end_ns
        if frame.pts is not None and frame.time_base is not None:
            start_ns = round((float(frame.pts * frame.time_base) - self._media.start_s) * NS_PER_S)
        samples = to_mono(as_floats(frame), [channel.name for channel in frame.layout.channels])
        samples.flags.writeable = False
        block = Block(samples, frame.sample_rate, start_ns)
        self._end_ns = block.end_ns
        return block

    def unblock(self) -> None:
        self._ended = True

    def close(self) -> None:
        self._ended = True
        self._media.close()


def as_floats(frame: AudioFrame) -> Floats:
    """The frame's samples, (channels, n) float32, full scale 1.0, whatever its format."""
    raw: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype == np.uint8:
        return np.asarray((raw.astype(np.float32) - 128.0) / 128.0, np.float32)
    if raw.dtype.kind == "i":
        return np.asarray(raw / 2.0 ** (8 * raw.itemsize - 1), np.float32)
    return np.array(raw, np.float32)


_QUIET = 0.003  # of full scale, -50 dB: less is heard by nobody


def sounds_until_s(path: Path) -> float:
    """When the last that can be heard of a file ends, in seconds from its start. Decodes all of it."""
    with closing(SoundFile(path)) as file:
        loud = (block for block in iter(file.read, None) if np.abs(block.samples).max() > _QUIET)
        return max((block.end_ns / NS_PER_S for block in loud), default=0.0)


class PacedSound:
    """The blocks of a file, each when its last sample is due. Obeys `SoundSource`; owns the file.

    `loop` begins again at the end, without a gap. Whoever reads late gets what is due at once: times stay true.
    """

    live = True
    state = "ok"

    def __init__(
        self,
        open_file: Callable[[], SoundFile],
        *,
        loop: bool = False,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._open_file, self._loop, self._clock = open_file, loop, clock
        self._file = open_file()
        self.name = self._file.name
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._zero_ns: int | None = None  # the clock's time of the file's 0
        self._end_ns = 0

    def read(self) -> Block | None:
        """The next block, when it is due; None at the end or once unblocked."""
        block = self._file.read()
        if block is None and self._loop and not self._stop.is_set():
            self._file.close()
            self._file = self._open_file()
            block = self._file.read()
            if block is not None and self._zero_ns is not None:
                self._zero_ns = self._end_ns - block.start_ns
        if block is None or self._stop.is_set():
            return None
        if self._zero_ns is None:
            self._zero_ns = self._clock() - block.start_ns
        due = replace(block, start_ns=block.start_ns + self._zero_ns)
        self._end_ns = due.end_ns
        if self._wait((due.end_ns - self._clock()) / NS_PER_S):
            return None
        return due

    def unblock(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()
        self._file.close()


_HALF_POWER = 0.5**0.5

_WEIGHTS = {
    **dict.fromkeys(("FL", "FR"), _HALF_POWER),
    "FC": 1.0,
    **dict.fromkeys(("BL", "BR", "SL", "SR", "BC", "FLC", "FRC"), 0.5),
    **dict.fromkeys(("LFE", "LFE2"), 0.0),
}
"""By FFmpeg's channel names (ITU-R BS.775-3, to mono); the voice is in the centre, the effects channel has none."""

_OTHERS = 0.5


def weights(channels: list[str]) -> Doubles:
    """How much of each channel is in the mono sum, (n,) float64, together 1: full scale stays full scale.

    Equal parts for one and two channels, whatever they are called, as librosa and with it Wav2Lip has it.
    """
    if len(channels) > 2:
        raw = np.array([_WEIGHTS.get(name, _OTHERS) for name in channels])
        if raw.sum() > 0:
            return np.asarray(raw / raw.sum())
    return np.full(len(channels), 1.0 / len(channels))


def to_mono(samples: Floats, channels: list[str]) -> Floats:
    """(n,) float32 out of (channels, n)."""
    if len(samples) == 1:
        return np.asarray(samples[0], np.float32)
    mixed: Floats = np.einsum("c,cn->n", weights(channels), samples).astype(np.float32)
    return mixed
