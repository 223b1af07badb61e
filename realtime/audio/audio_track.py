"""The source's sound, carried over into a recording and kept in step with its pictures."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.capture.source import Source
from realtime.clock import NS_PER_S

SoundPacket: TypeAlias = "av.Packet[AudioStream]"

log = logging.getLogger(__name__)

COPIED = {
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".mkv": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "vorbis", "flac", "pcm_s16le", "pcm_s24le"},
    ".webm": {"opus", "vorbis"},
}
"""The sound each container takes as it is; anything else is encoded anew."""

ENCODED = {".mp4": ("aac", None), ".mkv": ("aac", None), ".webm": ("libopus", 48_000)}
"""The encoder used otherwise, and the sample rate it insists on."""

_EVERY_CODEC_HZ = 48_000

JUMP_S = 0.1
"""A step between picture and sound this large means that the source jumped (it looped)."""


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """Where the sound of a source is.

    `origin_s` is the file's own time at which `Frame.media_s` is 0. While `silent` says so, none of it is recorded.
    """

    path: Path
    origin_s: float = 0.0
    silent: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, source: Source, silent: Callable[[], bool] = lambda: False) -> "SoundTrack | None":
        """The sound of a source; None where it has none, or is no file."""
        reel = getattr(source, "reel", source)  # what `Paced` plays
        path = getattr(reel, "path", None)
        return cls.find(Path(path), silent) if path is not None and getattr(reel, "sound", False) else None

    @classmethod
    def find(cls, path: Path, silent: Callable[[], bool] = lambda: False) -> "SoundTrack | None":
        """The sound of a media file whose time counts from its start; None where it has none."""
        try:
            with av.open(str(path), metadata_errors="replace") as container:
                if not container.streams.audio:
                    return None
                return cls(path, (container.start_time or 0) / av.time_base, silent)
        except (OSError, av.error.FFmpegError):
            return None


class _Voice(Protocol):
    """Takes the source's packets and writes them into the recording."""

    @property
    def end_s(self) -> float:
        """How far into the recording sound has been written."""
        ...

    def take(self, packet: SoundPacket, shift_s: float, *, silent: bool) -> None: ...

    def jump(self) -> None: ...

    def finish(self) -> None: ...


class SoundWriter:
    """Writes the sound that belongs to the pictures shown, and not more.

    `show(out_s, media_s)` says that the picture at `out_s` in the recording is the one at `media_s` in
    the source (None: whatever came before goes on; nothing, before the first). Sound is written up to the
    end of that picture. Where the source jumps (a loop), so does the sound. A sound track that
    can't be read on ends the sound, not the recording; errors in writing pass through.
    """

    def __init__(self, out: OutputContainer, track: SoundTrack, suffix: str) -> None:
        self._track = track
        self._source: InputContainer | None = av.open(str(track.path))
        stream = self._source.streams.audio[0]
        name = stream.codec_context.name
        # Raw AAC without its header (from MPEG-TS) can't go into MP4 as it is.
        ready = name != "aac" or bool(stream.codec_context.extradata)
        self._voice: _Voice
        if name in COPIED[suffix] and ready:
            self._voice = _Copied(out, stream)
        else:
            self._voice = _Encoded(out, stream, *ENCODED[suffix])
        self.copied = isinstance(self._voice, _Copied)
        self._packets: Iterator[SoundPacket] = iter(())
        self._shift_s: float | None = None

    def show(self, out_s: float, media_s: float | None, duration_s: float) -> None:
        """Write the sound up to the end of the picture at `out_s`."""
        if self._source is None:
            return
        if media_s is not None:
            shift_s = out_s - media_s - self._track.origin_s
            if self._shift_s is None or abs(shift_s - self._shift_s) > JUMP_S:
                self._seek(media_s + self._track.origin_s)
                self._shift_s = shift_s
        if self._shift_s is not None:
            self._write_until(out_s + duration_s)

    def _seek(self, file_s: float) -> None:
        assert self._source is not None
        stream = self._source.streams.audio[0]
        try:
            self._source.seek(max(0, int((file_s - 0.2) * av.time_base)), backward=True)
        except (OSError, av.error.FFmpegError):
            # No seeking in this file: read it from the start again and drop what is too early.
            self._source.close()
            self._source = av.open(str(self._track.path))
            stream = self._source.streams.audio[0]
        self._voice.jump()
        self._packets = self._source.demux(stream)

    def _write_until(self, end_s: float) -> None:
        while self._source is not None and self._voice.end_s < end_s:
            try:
                packet = next(self._packets, None)
            except (OSError, av.error.FFmpegError) as error:
                log.warning("the sound of %s ends early: %s", self._track.path.name, error)
                packet = None
            if packet is None:
                return  # this stretch has no more sound; a jump may bring some
            if packet.pts is not None:
                self._voice.take(packet, self._shift_s or 0.0, silent=self._track.silent())

    def finish(self) -> None:
        """Write what the encoder still holds. Errors in writing pass through."""
        self._voice.finish()

    def close(self) -> None:
        """Close the source's file. May be called twice."""
        source, self._source = self._source, None
        if source is not None:
            source.close()


class _Copied:
    """Sound copied packet by packet, bit for bit. Where it is to be silent the packets are left out."""

    def __init__(self, out: OutputContainer, template: AudioStream) -> None:
        self._out = out
        self._stream = out.add_stream_from_template(template)
        self._end_s = 0.0

    @property
    def end_s(self) -> float:
        """How far into the recording sound has been written."""
        return self._end_s

    def jump(self) -> None:
        """Packets already written stay; those of the new stretch follow them."""

    def take(self, packet: SoundPacket, shift_s: float, *, silent: bool) -> None:
        assert packet.pts is not None
        base = packet.time_base
        start_s = float(packet.pts * base) + shift_s
        # Half a packet of overlap at a jump would be heard as an echo less than a hole as a click.
        if start_s < self._end_s - 0.5 * float((packet.duration or 0) * base):
            return
        start_s = max(start_s, self._end_s)
        ticks = round(start_s / base)
        packet.pts = packet.dts = ticks
        packet.stream = self._stream
        self._end_s = start_s + float((packet.duration or 0) * base)
        if not silent:
            self._out.mux_one(packet)

    def finish(self) -> None:
        """Nothing is held back."""


class _Encoded:
    """Sound decoded and encoded anew, exact to the sample."""

    def __init__(self, out: OutputContainer, source: AudioStream, codec: str, rate: int | None) -> None:
        self._out = out
        self._rate = rate or source.codec_context.sample_rate
        if self._rate not in (av.Codec(codec, "w").audio_rates or (self._rate,)):
            self._rate = _EVERY_CODEC_HZ
        self._layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
        stream = out.add_stream(codec, rate=self._rate)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._packed = codec == "libopus"
        self._format = "flt" if self._packed else "fltp"
        stream.codec_context.layout = self._layout
        stream.codec_context.format = self._format
        stream.codec_context.bit_rate = 128_000
        stream.time_base = Fraction(1, self._rate)
        self._sent = 0
        channels = 1 if self._layout == "mono" else 2
        self._held: npt.NDArray[np.float32] = np.zeros((channels, 0), np.float32)
        self.jump()

    @property
    def end_s(self) -> float:
        """How far into the recording sound has been written or is held for the next packet."""
        return self._samples / self._rate

    @property
    def _samples(self) -> int:
        return self._sent + int(self._held.shape[1])

    def jump(self) -> None:
        """Forget what the resampler holds of the old stretch."""
        self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)

    def take(self, packet: SoundPacket, shift_s: float, *, silent: bool) -> None:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            return  # a damaged packet becomes silence when the next one comes
        for frame in frames:
            for piece in self._resampler.resample(frame):
                self._append(piece, shift_s, silent=silent)
        self._encode(whole=False)

    def _append(self, piece: av.AudioFrame, shift_s: float, *, silent: bool) -> None:
        # A file's floats may be anything, and an encoder gives up at what is no number.
        samples = np.nan_to_num(piece.to_ndarray().astype(np.float32), nan=0.0).clip(-1.0, 1.0)
        if silent:
            samples[:] = 0.0
        if piece.pts is None or piece.time_base is None:
            gap = 0
        else:
            gap = round((float(piece.pts * piece.time_base) + shift_s) * self._rate) - self._samples
        if gap < 0:
            samples = samples[:, -gap:]
        elif gap > 0.02 * self._rate:  # less is the rounding of the source's timestamps
            silence = np.zeros((samples.shape[0], gap), np.float32)
            samples = np.concatenate([silence, samples], axis=1)
        self._held = np.concatenate([self._held, samples], axis=1)

    def _encode(self, *, whole: bool) -> None:
        context = self._stream.codec_context
        if not context.is_open:
            context.open()
        size = context.frame_size or 1024
        while self._held.shape[1] >= size or (whole and self._held.shape[1] > 0):
            samples, self._held = self._held[:, :size], self._held[:, size:]
            array = samples.T.reshape(1, -1) if self._packed else samples
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), format=self._format, layout=self._layout)
            frame.sample_rate = self._rate
            frame.pts, frame.time_base = self._sent, Fraction(1, self._rate)
            self._sent += samples.shape[1]
            self._mux(context.encode(frame))

    def _mux(self, packets: list[SoundPacket]) -> None:
        for packet in packets:
            packet.stream = self._stream
            # The encoder's run-up lies before 0, where a recording has no picture.
            if packet.pts is None or packet.pts >= 0:
                self._out.mux_one(packet)

    def finish(self) -> None:
        self._encode(whole=True)
        self._mux(self._stream.codec_context.encode(None))


_CODECS = {".mp4": ("aac", "fltp"), ".mkv": ("aac", "fltp"), ".webm": ("libopus", "flt")}
_BITS = 96_000

UNSEEN_S = 0.006
"""A delay that changes by less stays as it is: a camera's rate trembles, and each change could be heard."""

LATEST_S = 1.0
"""What of the voice is still missing so long after its picture is silence: the device is gone."""


@dataclass(frozen=True, slots=True)
class VoiceTrack:
    """The voice that goes into a live recording.

    `delay_s`: how much later than it was captured it is heard, on a recording's own clock, which is that of capture:
    `LookAhead.delay_s` where it moves a mouth; else how old what a camera's picture shows was when it came.
    """

    voice: SpeechBuffer
    delay_s: Callable[[], float]


class VoiceWriter:
    """Writes the voice beside the pictures, sample for sample on the recording's own time.

    The end of a picture's sound may come after the picture: it is written with a later one.
    """

    copied = False

    def __init__(self, out: OutputContainer, track: VoiceTrack, suffix: str) -> None:
        codec, self._format = _CODECS[suffix]
        self._out, self._track = out, track
        stream = out.add_stream(codec, rate=HEARD_HZ)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        stream.codec_context.layout = "mono"
        stream.codec_context.format = self._format
        stream.codec_context.bit_rate = _BITS
        stream.time_base = Fraction(1, HEARD_HZ)
        self._sent = 0
        self._end_s = 0.0
        self._zero_ns = 0
        self._delay_s: float | None = None

    def show(self, out_s: float, zero_ns: int, duration_s: float) -> None:
        """Write the sound up to the end of the picture at `out_s`, as far as it was heard.

        `zero_ns`: the clock's time of the recording's 0.
        """
        self._zero_ns = zero_ns
        self._end_s = max(self._end_s, out_s + duration_s)
        self._write(due_s=self._end_s - LATEST_S)

    def _write(self, *, due_s: float, whole: bool = False) -> None:
        """Write what was heard; and up to `due_s` in any case."""
        heard = self._track.voice.heard
        wanted_s = self._track.delay_s()
        if self._delay_s is None or abs(wanted_s - self._delay_s) > UNSEEN_S:
            self._delay_s = wanted_s
        delay_ns = round(self._delay_s * NS_PER_S)
        heard_s = (heard.sound_until_ns + delay_ns - self._zero_ns) / NS_PER_S if heard.pieces else 0.0
        until = round(min(self._end_s, max(heard_s - 0.001, due_s)) * HEARD_HZ)
        context = self._stream.codec_context
        if not context.is_open:
            context.open()
        size = context.frame_size or 1024
        while self._sent + size <= until or (whole and self._sent < until):
            count = min(size, until - self._sent)
            start_ns = self._zero_ns + self._sent * NS_PER_S // HEARD_HZ - delay_ns
            samples = heard.samples(start_ns, count)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format=self._format, layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = HEARD_HZ, Fraction(1, HEARD_HZ), self._sent
            self._sent += count
            self._mux(context.encode(frame))

    def _mux(self, packets: "list[av.Packet[AudioStream]]") -> None:
        for packet in packets:
            packet.stream = self._stream
            # The encoder's run-up lies before 0, where a recording has no picture.
            if packet.pts is None or packet.pts >= 0:
                self._out.mux_one(packet)

    def finish(self) -> None:
        """Write the rest, and what the encoder still holds. Errors in writing pass through."""
        self._write(due_s=self._end_s, whole=True)
        self._mux(self._stream.codec_context.encode(None))

    def close(self) -> None:
        """Nothing is held open."""
