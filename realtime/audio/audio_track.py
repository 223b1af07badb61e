"""The sound of a recording: copied from the source's file, or a live voice, in step with the pictures."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import dropwhile, islice
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.capture.media_file import MediaFile
from realtime.capture.recording import Recording
from realtime.capture.source import Source
from realtime.capture.wrappers import innermost
from realtime.clock import NS_PER_S
from realtime.errors import ConfigError
from realtime.frame import Floats

SoundPacket: TypeAlias = "av.Packet[AudioStream]"

log = logging.getLogger(__name__)

MP4_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}
"""What players expect in an .mp4, which takes more than they play; the other containers are asked alone."""

ENCODED = {".mp4": ("aac", None), ".mkv": ("aac", None), ".webm": ("libopus", 48_000)}
"""The encoder for what a container does not carry, and the sample rate it insists on."""

_FORMATS = {"aac": "fltp", "libopus": "flt"}
_EVERY_CODEC_HZ = 48_000
_CHANNEL_BITS, _VOICE_BITS = 64_000, 96_000
_AT_ONCE_S = 0.25  # sound that begins later than the pictures is encoded anew: an .mp4 can't wait for its first packet
_TRIED = 8  # packets a container is asked about
_RUN_UP_S = 0.05  # what a decoder needs of the sound before a cut; an .mp4 can keep it without playing it

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
    """The sound that goes into a recording.

    `begins_s`: the first picture's time in the source, None where that is not known yet.
    """

    def writer(self, out: OutputContainer, suffix: str, begins_s: float | None) -> TrackWriter: ...


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """The sound of a media file, whose times are `Frame.media_s`. While `silent` says so, none of it is recorded."""

    path: Path
    silent: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, source: Source, silent: Callable[[], bool] = lambda: False) -> "SoundTrack | None":
        """The sound of a source; None where it has none, or is no file."""
        file = innermost(source)
        return cls.find(Path(file.path), silent) if isinstance(file, Recording) and file.sound else None

    @classmethod
    def find(cls, path: Path, silent: Callable[[], bool] = lambda: False) -> "SoundTrack | None":
        """The sound of a media file; None where it has none that can be decoded."""
        try:
            with closing(MediaFile(path)) as media:
                return cls(path, silent) if media.sound is not None else None
        except ConfigError:
            return None

    def writer(self, out: OutputContainer, suffix: str, begins_s: float | None) -> "SoundWriter":
        return SoundWriter(out, self, suffix, begins_s)


@dataclass(frozen=True, slots=True)
class VoiceTrack:
    """A live voice.

    `delay_s`: how much later than it was captured it is heard, on a recording's own clock, which is that of capture:
    `LookAhead.delay_s` where it moves a mouth; else how old what a camera's picture shows was when it came.
    """

    voice: SpeechBuffer
    delay_s: Callable[[], float]

    def writer(self, out: OutputContainer, suffix: str, begins_s: float | None) -> "VoiceWriter":
        return VoiceWriter(out, self, suffix)


class SoundWriter:
    """Writes a file's sound up to the end of each picture, and not more. Obeys `TrackWriter`.

    A picture without `media_s` goes on with what came before; silence, before the first. Where the source jumps (a
    loop), so does the sound. What the container carries is copied, anything else encoded anew. A sound track that can't
    be read on ends the sound, not the recording.
    """

    def __init__(self, out: OutputContainer, track: SoundTrack, suffix: str, begins_s: float | None) -> None:
        self._track = track
        self._media: MediaFile | None = MediaFile(track.path)
        self.copied = not track.silent() and begins_s is not None and _is_carried(out, self._media, suffix, begins_s)
        stream = self._media.sound
        assert stream is not None
        self._to: _Copied | _Encoded
        self._to = _Copied(out, stream, suffix) if self.copied else _Encoded(out, stream, *ENCODED[suffix])
        self._packets: Iterator[SoundPacket] = iter(())
        self._shift_s: float | None = None

    def show(self, out_s: float, media_s: float | None, zero_ns: int, duration_s: float) -> None:
        if self._media is None:
            return
        if media_s is not None:
            shift_s = out_s - media_s
            if self._shift_s is None or abs(shift_s - self._shift_s) > JUMP_S:
                self._media.seek(media_s - 0.2)
                self._packets = self._media.packets(self._media.sound)
                self._to.jump(out_s)
                self._shift_s = shift_s
        self._read_until(out_s + duration_s)
        self._to.write(out_s + duration_s)

    def _read_until(self, end_s: float) -> None:
        assert self._media is not None
        while self._shift_s is not None and self._to.end_s < end_s:
            try:
                packet = next(self._packets, None)
            except (OSError, av.error.FFmpegError) as error:
                log.warning("the sound of %s ends early: %s", self._track.path.name, error)
                packet = None
            if packet is None:
                return  # this stretch has no more sound; a jump may bring some
            if packet.pts is not None:
                self._to.take(packet, self._shift_s - self._media.start_s, silent=self._track.silent())

    def finish(self) -> None:
        self._to.finish()

    def close(self) -> None:
        media, self._media = self._media, None
        if media is not None:
            media.close()


def _is_carried(out: OutputContainer, media: MediaFile, suffix: str, begins_s: float) -> bool:
    """True where the container of `out` takes the sound from `begins_s` on as it is: tried in memory, and decoded."""
    stream = media.sound
    assert stream is not None
    name = stream.codec_context.codec.canonical_name
    # Raw AAC (from MPEG-TS) has a header in every packet, which may change, instead of one in the file.
    if (suffix == ".mp4" and name not in MP4_SOUND) or (name == "aac" and not stream.codec_context.extradata):
        return False
    file = BytesIO()
    try:
        media.seek(begins_s)
        timed = (packet for packet in media.packets(media.sound) if packet.pts is not None)
        packets = list(islice(dropwhile(lambda packet: _end_s(packet) - media.start_s <= begins_s, timed), _TRIED))
        if not packets or float(packets[0].pts * packets[0].time_base) - media.start_s > begins_s + _AT_ONCE_S:
            return False
        with av.open(file, "w", format=out.format.name, options=out.options) as trial:
            copy = trial.add_stream_from_template(packets[0].stream)
            for packet in packets:
                packet.stream = copy
                trial.mux_one(packet)
        with av.open(BytesIO(file.getvalue()), "r") as written:
            kept = written.streams.audio[0].codec_context.codec.canonical_name == name
            return kept and any(frame.samples for frame in written.decode(audio=0))
    except (OSError, ValueError, IndexError, av.error.FFmpegError):
        return False


def _end_s(packet: SoundPacket) -> float:
    assert packet.pts is not None
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


class _Copied:
    """Sound copied packet by packet, bit for bit. Where it is to be silent the packets are left out."""

    def __init__(self, out: OutputContainer, template: AudioStream, suffix: str) -> None:
        self._out, self._stream = out, out.add_stream_from_template(template)
        self._hides_run_up = suffix == ".mp4"
        self._last: int | None = None
        self.end_s = 0.0
        """How far into the recording sound has been written."""

    def jump(self, at_s: float) -> None:
        """Packets already written stay; those of the new stretch follow them."""

    def take(self, packet: SoundPacket, shift_s: float, *, silent: bool) -> None:
        assert packet.pts is not None
        base, lasts_s = packet.time_base, float((packet.duration or 0) * packet.time_base)
        start_s = float(packet.pts * base) + shift_s
        if self._last is None:
            # A file's first sound needs the packets before its 0: one of AAC, two of MP3 at 22 kHz. Where a container
            # does not hide them, it begins there.
            least_s = -_RUN_UP_S - lasts_s if self._hides_run_up else -1.95 * lasts_s if packet.pts < 0 else -lasts_s
            if start_s <= least_s:
                return
            start_s = start_s if self._hides_run_up or packet.pts < 0 else max(start_s, 0.0)
        # Half a packet of overlap at a jump would be heard as an echo less than a hole as a click.
        elif start_s < self.end_s - 0.5 * lasts_s:
            return
        self._last = round(start_s / base) if self._last is None else max(round(start_s / base), self._last + 1)
        packet.pts = packet.dts = self._last
        packet.stream = self._stream
        self.end_s = start_s + lasts_s
        if not silent:
            self._out.mux_one(packet)

    def write(self, end_s: float) -> None:
        """Nothing is held back."""

    def finish(self) -> None:
        """Nothing is held back."""


class _Encoder:
    """Encodes samples and writes them one after the other, from the recording's 0 on. `sent` counts them."""

    def __init__(self, out: OutputContainer, codec: str, rate_hz: int, layout: str, bit_rate: int) -> None:
        self._out, self._rate_hz, self._layout = out, rate_hz, layout
        self._format = _FORMATS[codec]
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
        array = samples.T.reshape(1, -1) if self._format == "flt" else samples
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
            self._out.mux_one(packet)


class _Encoded:
    """Sound decoded and encoded anew, exact to the sample; silence where the file has none."""

    def __init__(self, out: OutputContainer, source: AudioStream, codec: str, rate: int | None) -> None:
        self._rate = rate or source.codec_context.sample_rate
        if self._rate not in (av.Codec(codec, "w").audio_rates or (self._rate,)):
            self._rate = _EVERY_CODEC_HZ
        self._layout = _layout(codec, self._rate, source)
        self._channels = av.AudioLayout(self._layout).nb_channels
        self._encoder = _Encoder(out, codec, self._rate, self._layout, _CHANNEL_BITS * max(self._channels, 2))
        self._held: list[tuple[int, Floats]] = []  # (number of its first sample, (channels, n)), in order
        self._end = self._written = 0
        self._begun = False  # this stretch
        self._resampler = self._new_resampler()

    @property
    def end_s(self) -> float:
        """How far into the recording the sound is known."""
        return self._end / self._rate

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)

    def jump(self, at_s: float) -> None:
        """Forget what of the old stretch lies behind `at_s`."""
        self._resampler, self._begun = self._new_resampler(), False
        self._end = min(self._end, max(round(at_s * self._rate), self._encoder.sent))
        self._held = [(at, samples[:, : self._end - at]) for at, samples in self._held if at < self._end]

    def take(self, packet: SoundPacket, shift_s: float, *, silent: bool) -> None:
        if _end_s(packet) + shift_s < self.end_s - 0.3:
            return  # long past, where a file can only be read from its start
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            return  # a damaged packet becomes silence when the next one comes
        for frame in frames:
            for piece in self._resampler.resample(frame):
                self._append(piece, shift_s, silent=silent)

    def _append(self, piece: av.AudioFrame, shift_s: float, *, silent: bool) -> None:
        # A file's floats may be anything, and an encoder gives up at what is no number.
        samples = np.nan_to_num(piece.to_ndarray().astype(np.float32), nan=0.0).clip(-1.0, 1.0)
        if silent:
            samples[:] = 0.0
        start = self._end
        if piece.pts is not None and piece.time_base is not None:
            start = round((float(piece.pts * piece.time_base) + shift_s) * self._rate)
        if self._begun and abs(start - self._end) <= 0.02 * self._rate:
            start = self._end  # the rounding of the source's time stamps
        late = max(self._end - start, 0)
        if late < samples.shape[1]:
            self._begun = True
            self._held.append((start + late, samples[:, late:]))
            self._end = start + samples.shape[1]

    def write(self, end_s: float) -> None:
        """Encode everything before `end_s`."""
        self._written = max(self._written, round(end_s * self._rate))
        size = self._encoder.piece
        while self._encoder.sent + size <= self._written:
            self._send(size)

    def _send(self, count: int) -> None:
        first = self._encoder.sent
        samples = np.zeros((self._channels, count), np.float32)
        for at, piece in self._held:
            lo, hi = max(at, first), min(at + piece.shape[1], first + count)
            if hi > lo:
                samples[:, lo - first : hi - first] = piece[:, lo - at : hi - at]
        self._encoder.send(samples)
        self._held = [held for held in self._held if held[0] + held[1].shape[1] > first + count]

    def finish(self) -> None:
        if self._written > self._encoder.sent:
            self._send(self._written - self._encoder.sent)
        self._encoder.finish()


def _layout(codec: str, rate: int, source: AudioStream) -> str:
    """The source's channels where the encoder takes them, else two."""
    own = source.codec_context.layout
    # Cinema's side channels are the ones at the back of an encoder's 5.1.
    for name in (own.name.replace("(side)", ""), "mono" if own.nb_channels == 1 else "stereo"):
        try:
            context = cast(av.AudioCodecContext, av.CodecContext.create(codec, "w"))
            context.layout, context.sample_rate, context.format = name, rate, _FORMATS[codec]
            context.open()
            return name
        except (ValueError, av.error.FFmpegError):
            continue
    return "stereo"


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
