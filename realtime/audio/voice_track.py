"""A live voice in a recording: the delayed sound beside the pictures that it belongs to."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.clock import NS_PER_S

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
