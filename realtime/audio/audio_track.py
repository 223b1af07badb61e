"""The sound of a recording: copied from the source's file, or a live voice, in step with the pictures."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.capture.recording import Recording, media_url
from realtime.capture.source import Source
from realtime.capture.wrappers import innermost
from realtime.clock import NS_PER_S
from realtime.frame import Floats

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
_FILE_BITS, _VOICE_BITS = 128_000, 96_000

JUMP_S = 0.1  # a step between picture and sound this large means that the source jumped (it looped)
UNSEEN_S = 0.006
"""A delay that changes by less stays as it is: a camera's rate trembles, and each change could be heard."""

LATEST_S = 1.0  # what of the voice is still missing so long after its picture is silence: the device is gone


class TrackWriter(Protocol):
    """Writes the sound that belongs to the pictures shown. Errors in writing pass through.

    `show` writes the sound up to the end of the picture at `out_s` in the recording, as far as it is there. `media_s`:
    the picture's time in the source, None where that says nothing new. `zero_ns`: the clock's time of the recording's
    0. `finish` writes what is still held.
    """

    def show(self, out_s: float, media_s: float | None, zero_ns: int, duration_s: float) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class Track(Protocol):
    """The sound that goes into a recording."""

    def writer(self, out: OutputContainer, suffix: str) -> TrackWriter: ...


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """The sound of the source's file.

    `origin_s` is the file's own time at which `Frame.media_s` is 0. While `silent` says so, none of it is recorded.
    """

    path: Path
    origin_s: float = 0.0
    silent: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, source: Source, silent: Callable[[], bool] = lambda: False) -> "SoundTrack | None":
        """The sound of a source; None where it has none, or is no file."""
        file = innermost(source)
        return cls.find(Path(file.path), silent) if isinstance(file, Recording) and file.sound else None

    @classmethod
    def find(cls, path: Path, silent: Callable[[], bool] = lambda: False) -> "SoundTrack | None":
        """The sound of a media file whose time counts from its start; None where it has none."""
        try:
            with av.open(media_url(path), metadata_errors="replace") as container:
                if not container.streams.audio:
                    return None
                return cls(path, (container.start_time or 0) / av.time_base, silent)
        except (OSError, av.error.FFmpegError):
            return None

    def writer(self, out: OutputContainer, suffix: str) -> "SoundWriter":
        return SoundWriter(out, self, suffix)


@dataclass(frozen=True, slots=True)
class VoiceTrack:
    """A live voice.

    `delay_s`: how much later than it was captured it is heard, on a recording's own clock, which is that of capture:
    `LookAhead.delay_s` where it moves a mouth; else how old what a camera's picture shows was when it came.
    """

    voice: SpeechBuffer
    delay_s: Callable[[], float]

    def writer(self, out: OutputContainer, suffix: str) -> "VoiceWriter":
        return VoiceWriter(out, self, suffix)


class SoundWriter:
    """Writes a file's sound up to the end of each picture, and not more. Obeys `TrackWriter`.

    A picture without `media_s` goes on with what came before; nothing, before the first. Where the source jumps (a
    loop), so does the sound. A sound track that can't be read on ends the sound, not the recording.
    """

    def __init__(self, out: OutputContainer, track: SoundTrack, suffix: str) -> None:
        self._track = track
        self._source: InputContainer | None = av.open(media_url(track.path))
        stream = self._source.streams.audio[0]
        name = stream.codec_context.name
        # Raw AAC without its header (from MPEG-TS) can't go into MP4 as it is.
        self.copied = name in COPIED[suffix] and (name != "aac" or bool(stream.codec_context.extradata))
        self._to: _Copied | _Encoded
        self._to = _Copied(out, stream) if self.copied else _Encoded(out, stream, *ENCODED[suffix])
        self._packets: Iterator[SoundPacket] = iter(())
        self._shift_s: float | None = None

    def show(self, out_s: float, media_s: float | None, zero_ns: int, duration_s: float) -> None:
        if self._source is None:
            return
        if media_s is not None:
            shift_s = out_s - media_s - self._track.origin_s
            if self._shift_s is None or abs(shift_s - self._shift_s) > JUMP_S:
                self._seek(media_s + self._track.origin_s)
                self._shift_s = shift_s
        if self._shift_s is not None:
            self._write_until(out_s + duration_s, self._shift_s)

    def _seek(self, file_s: float) -> None:
        assert self._source is not None
        stream = self._source.streams.audio[0]
        try:
            self._source.seek(max(0, int((file_s - 0.2) * av.time_base)), backward=True)
        except (OSError, av.error.FFmpegError):
            # No seeking in this file: read it from the start again and drop what is too early.
            self._source.close()
            self._source = av.open(media_url(self._track.path))
            stream = self._source.streams.audio[0]
        self._to.jump()
        self._packets = self._source.demux(stream)

    def _write_until(self, end_s: float, shift_s: float) -> None:
        while self._to.end_s < end_s:
            try:
                packet = next(self._packets, None)
            except (OSError, av.error.FFmpegError) as error:
                log.warning("the sound of %s ends early: %s", self._track.path.name, error)
                packet = None
            if packet is None:
                return  # this stretch has no more sound; a jump may bring some
            if packet.pts is not None:
                self._to.take(packet, shift_s, silent=self._track.silent())

    def finish(self) -> None:
        self._to.finish()

    def close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()


class _Copied:
    """Sound copied packet by packet, bit for bit. Where it is to be silent the packets are left out."""

    def __init__(self, out: OutputContainer, template: AudioStream) -> None:
        self._out, self._stream = out, out.add_stream_from_template(template)
        self.end_s = 0.0  # how far into the recording sound has been written

    def jump(self) -> None:
        """Packets already written stay; those of the new stretch follow them."""

    def take(self, packet: SoundPacket, shift_s: float, *, silent: bool) -> None:
        assert packet.pts is not None
        base = packet.time_base
        start_s = float(packet.pts * base) + shift_s
        # Half a packet of overlap at a jump would be heard as an echo less than a hole as a click.
        if start_s < self.end_s - 0.5 * float((packet.duration or 0) * base):
            return
        start_s = max(start_s, self.end_s)
        packet.pts = packet.dts = round(start_s / base)
        packet.stream = self._stream
        self.end_s = start_s + float((packet.duration or 0) * base)
        if not silent:
            self._out.mux_one(packet)

    def finish(self) -> None:
        """Nothing is held back."""


class _Encoder:
    """Encodes samples and writes them one after the other, from the recording's 0 on. `sent` counts them."""

    def __init__(self, out: OutputContainer, codec: str, rate_hz: int, layout: str, bit_rate: int) -> None:
        self._out, self._rate_hz, self._layout = out, rate_hz, layout
        self._packed = codec == "libopus"
        self._format = "flt" if self._packed else "fltp"
        stream = out.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        stream.codec_context.layout = layout
        stream.codec_context.format = self._format
        stream.codec_context.bit_rate = bit_rate
        stream.time_base = Fraction(1, rate_hz)
        self.sent = 0

    @property
    def piece(self) -> int:
        """How many samples it wants at once; only the last piece may be shorter."""
        context = self._stream.codec_context
        if not context.is_open:
            context.open()
        return context.frame_size or 1024

    def send(self, samples: Floats) -> None:
        """Write a piece, (channels, n) float32."""
        array = samples.T.reshape(1, -1) if self._packed else samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), format=self._format, layout=self._layout)
        frame.sample_rate = self._rate_hz
        frame.pts, frame.time_base = self.sent, Fraction(1, self._rate_hz)
        self.sent += samples.shape[1]
        self._mux(self._stream.codec_context.encode(frame))

    def finish(self) -> None:
        """Write what the codec still holds."""
        self._mux(self._stream.codec_context.encode(None))

    def _mux(self, packets: list[SoundPacket]) -> None:
        for packet in packets:
            packet.stream = self._stream
            # The encoder's run-up lies before 0, where a recording has no picture.
            if packet.pts is None or packet.pts >= 0:
                self._out.mux_one(packet)


class _Encoded:
    """Sound decoded and encoded anew, exact to the sample."""

    def __init__(self, out: OutputContainer, source: AudioStream, codec: str, rate: int | None) -> None:
        self._rate = rate or source.codec_context.sample_rate
        if self._rate not in (av.Codec(codec, "w").audio_rates or (self._rate,)):
            self._rate = _EVERY_CODEC_HZ
        channels = min(source.codec_context.layout.nb_channels, 2)
        self._layout = "mono" if channels == 1 else "stereo"
        self._encoder = _Encoder(out, codec, self._rate, self._layout, _FILE_BITS)
        self._held: Floats = np.zeros((channels, 0), np.float32)
        self.jump()

    @property
    def end_s(self) -> float:
        """How far into the recording sound has been written or is held for the next packet."""
        return self._samples / self._rate

    @property
    def _samples(self) -> int:
        return self._encoder.sent + int(self._held.shape[1])

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
        gap = 0
        if piece.pts is not None and piece.time_base is not None:
            gap = round((float(piece.pts * piece.time_base) + shift_s) * self._rate) - self._samples
        if gap < 0:
            samples = samples[:, -gap:]
        elif gap > 0.02 * self._rate:  # less is the rounding of the source's timestamps
            samples = np.pad(samples, ((0, 0), (gap, 0)))
        self._held = np.concatenate([self._held, samples], axis=1)

    def _encode(self, *, whole: bool) -> None:
        size = self._encoder.piece
        while self._held.shape[1] >= size or (whole and self._held.shape[1] > 0):
            samples, self._held = self._held[:, :size], self._held[:, size:]
            self._encoder.send(samples)

    def finish(self) -> None:
        self._encode(whole=True)
        self._encoder.finish()


class VoiceWriter:
    """Writes a live voice, sample for sample on the recording's own time. Obeys `TrackWriter`.

    The end of a picture's sound may come after the picture: it is written with a later one.
    """

    def __init__(self, out: OutputContainer, track: VoiceTrack, suffix: str) -> None:
        self._track = track
        self._encoder = _Encoder(out, ENCODED[suffix][0], HEARD_HZ, "mono", _VOICE_BITS)
        self._end_s, self._zero_ns = 0.0, 0
        self._delay_s: float | None = None

    def show(self, out_s: float, media_s: float | None, zero_ns: int, duration_s: float) -> None:
        self._zero_ns = zero_ns
        self._end_s = max(self._end_s, out_s + duration_s)
        self._write(due_s=self._end_s - LATEST_S)

    def _write(self, *, due_s: float, whole: bool = False) -> None:
        """Write what was heard; and up to `due_s` in any case."""
        heard = self._track.voice.snapshot
        wanted_s = self._track.delay_s()
        if self._delay_s is None or abs(wanted_s - self._delay_s) > UNSEEN_S:
            self._delay_s = wanted_s
        delay_ns = round(self._delay_s * NS_PER_S)
        heard_s = (heard.sound_until_ns + delay_ns - self._zero_ns) / NS_PER_S if heard.pieces else 0.0
        until = round(min(self._end_s, max(heard_s - 0.001, due_s)) * HEARD_HZ)
        size = self._encoder.piece
        while (sent := self._encoder.sent) + size <= until or (whole and sent < until):
            start_ns = self._zero_ns + sent * NS_PER_S // HEARD_HZ - delay_ns
            self._encoder.send(heard.samples(start_ns, min(size, until - sent))[None])

    def finish(self) -> None:
        self._write(due_s=self._end_s, whole=True)
        self._encoder.finish()

    def close(self) -> None:
        """Nothing is held open."""
