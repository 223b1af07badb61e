"""A video file, frame by frame: anything FFmpeg reads, upright, in BGR, with its true times."""

import gc
import logging
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from realtime.capture.media_file import MediaFile
from realtime.capture.to_bgr import ToBgr, decoder_of, deinterlaced
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.imaging.resize import letterbox

log = logging.getLogger(__name__)


class Recording:
    """The frames of a file in order, as fast as they are read. Obeys `Source`.

    `media_s` counts from the start of the file, sound included, and never goes back. Where the file is damaged, what
    decodes is delivered; the rest is counted in `broken` and logged once at the end. `size`, where given, is what
    frames are letterboxed to. Raises ConfigError when there is no picture to be had.
    """

    live = False
    state = "ok"

    def __init__(self, path: Path | str, *, size: tuple[int, int] | None = None, clock: Clock = now_ns) -> None:
        self.path = path
        self.name = path.name if isinstance(path, Path) else Path(path.partition("?")[0]).name
        self.broken = 0
        self._clock = clock
        self._ended = False
        self._seq = 0
        self._closed = self._told = False
        self._media = MediaFile(path)
        try:
            self._start()
            if self._first is None:
                raise ConfigError(f"{path} holds no picture that can be decoded: give another file")
            if not self.sound and self._media.container.streams.audio:
                log.warning("the sound of %s cannot be decoded, and is left out", self.name)
            self._first_pts = self._first.pts
            self.size = size or self._to_bgr.size(self._first)
        except BaseException:
            self._media.close()
            raise

    def _start(self) -> None:
        """Decode the first frame, which tells the true size, from where the file stands."""
        stream = self._media.pictures
        if stream is None:
            kind = "only sound" if self._media.sound else "no pictures"
            raise ConfigError(f"{self.path} has {kind}: give a file with video")
        if not stream.codec_context.is_open:
            # Two threads by frame: 2.9 ms a 720p frame against 5.1 by slice, measured on 2 cores.
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            self._decoder = decoder_of(stream)
            self._to_bgr = ToBgr(stream, self._decoder)
        self.sound = self._media.sound is not None
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 30)
        if not 0 < self.rate <= 1000:
            self.rate = Fraction(30)  # some containers give a tick rate for want of a frame rate
        self.rate_hz = float(self.rate)
        # From the file's start, not the picture's: so the sound keeps its place.
        self._zero_s = self._media.start_s
        self._last_s: float | None = None
        self._frames = deinterlaced(self._decoded(stream))
        self._first = next(self._frames, None)

    @property
    def duration_s(self) -> float | None:
        """How long the file is, sound included; None where it does not say."""
        return self._media.length_s

    def _decoded(self, stream: VideoStream) -> Generator[VideoFrame]:
        try:
            for packet in self._media.packets(stream):
                try:
                    yield from self._decoder.decode(packet)
                except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                    self.broken += 1
        except av.error.FFmpegError:
            self.broken += 1  # the container itself is cut off or damaged here: nothing more to be had

    def read(self) -> Frame | None:
        """The next frame; None at the end."""
        if self._ended:
            return None
        decoded, self._first = self._first or next(self._frames, None), None
        if decoded is None:
            if self.broken and not self._told:
                log.warning("%s is damaged: %d part(s) of it could not be read", self.path, self.broken)
                self._told = True
            return None
        media_s = self._media_s(decoded)
        frame = Frame(letterbox(self._to_bgr(decoded), self.size), self._seq, self._clock(), media_s)
        self._seq += 1
        return frame

    def _media_s(self, frame: VideoFrame) -> float:
        """Seconds from the file's start; where the file has no or backward times, one frame on."""
        # AVI stores decoding times only, and FFmpeg's guess at the others jumps about: there the
        # first frame is the start, which takes the decoder's delay out.
        decoding_times = self._media.container.format.name == "avi"
        ticks = frame.dts if decoding_times else frame.pts
        said = None if ticks is None else float(ticks * (frame.time_base or 0)) - self._zero_s
        if self._last_s is None:
            if decoding_times and said is not None:
                self._zero_s, said = self._zero_s + said, 0.0
            self._last_s = max(0.0, said or 0.0)
        elif said is None or said <= self._last_s:
            self._last_s += 1 / self.rate_hz
        else:
            self._last_s = said
        return self._last_s

    def rewind(self) -> None:
        """Start again from the first frame; `seq` goes on, `media_s` starts anew."""
        container = self._media.container
        self._frames.close()
        self._decoder.flush_buffers()
        self._media.seek(0.0)
        self._start()
        if self._first is None or self._first_pts is None or self._first.pts != self._first_pts:
            self._frames.close()
            self._media.reopen()  # the format cannot seek, or lands elsewhere
            self._start()
        if self._media.container is not container:
            gc.collect()  # a closed container and its decoder hold each other, megabytes a time, until then

    def unblock(self) -> None:
        self._ended = True

    def close(self) -> None:
        self._ended = True
        if not self._closed:
            self._closed = True
            self._frames.close()
            self._media.close()
