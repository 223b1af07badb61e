"""A video file, frame by frame: anything FFmpeg reads, upright, in BGR, with its true times."""

import gc
import logging
import struct
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import capped, letterbox

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_LINES = 576  # above this, untagged video is taken as BT.709, as players do


class ToBgr:
    """Makes pixels of one stream's frames; `ratio` is the width to height of its pixels (None: square).

    The display matrix (a telephone's rotation, a mirror) is looked up only when the rotation changes: PyAV's side data
    and frame hold each other, so asking every frame would keep each of them, some megabytes, until the garbage
    collector comes by.
    """

    def __init__(self, ratio: Fraction | None = None) -> None:
        self._ratio = ratio
        self._turn: tuple[int, tuple[int, int, int, int]] | None = None

    def __call__(self, frame: VideoFrame) -> Pixels:
        """(H, W, 3) uint8 BGR, upright, at most 3840x2160, whatever the pixel format and depth.

        High dynamic range is converted, not tone-mapped.
        """
        width, height = capped(_square(frame, self._ratio))
        untagged = frame.colorspace == _UNSPECIFIED and frame.height > _HD_LINES
        pixels = frame.to_ndarray(
            width=width, height=height, format="bgr24", src_colorspace="ITU709" if untagged else None
        )
        return _turned(np.asarray(pixels, dtype=np.uint8), self._matrix(frame))

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) of what the frame becomes."""
        width, height = capped(_square(frame, self._ratio))
        upright = self._matrix(frame)[0] != 0
        return (width, height) if upright else (height, width)

    def _matrix(self, frame: VideoFrame) -> tuple[int, int, int, int]:
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, _matrix(frame)
        return self._turn[1]


def _square(frame: VideoFrame, ratio: Fraction | None) -> tuple[int, int]:
    """The decoded size with square pixels: the width stretched by the pixels' own ratio."""
    width = frame.width if not ratio else max(1, round(frame.width * float(ratio)))
    return width, frame.height


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the display matrix, each -1, 0 or 1: x' = a x + c y, y' = b x + d y.

    Rotations that are no quarter turns are rounded to the nearest one; no matrix is the identity.
    """
    side = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))  # the stub says object
    if side is None or side.buffer_size < 36:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(side))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _turned(pixels: Pixels, matrix: tuple[int, int, int, int]) -> Pixels:
    a, b, c, d = matrix
    turned: object = pixels
    if not a:
        turned = cv2.transpose(pixels)
        a, d = c, b  # now x' = c x and y' = b y
    if (a, d) != (1, 1):
        turned = cv2.flip(turned, {(-1, -1): -1, (-1, 1): 1, (1, -1): 0}[a, d])  # type: ignore[call-overload]
    return np.ascontiguousarray(turned, dtype=np.uint8)


log = logging.getLogger(__name__)

_JOINT_S = 1.0  # times that go back by more than this start anew; by less, they are just untidy
_ADVICE = "give a video file, a picture, a stream address or a camera"
_ATTACHED_PICTURE = "attached_pic"  # a song's cover is a video stream of one picture


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
        self.name = Path(str(path).partition("?")[0]).name
        self.broken = 0
        self._clock = clock
        self._ended = False
        self._seq = 0
        self._closed = self._told = False
        self._start()
        assert self._first is not None
        self.size = size or self._to_bgr.size(self._first)

    def _start(self) -> None:
        """Open the file and decode its first frame, which tells the true size."""
        self._container = open_container(str(self.path))
        try:
            stream = picture_stream(self._container, str(self.path))
            # Two threads by frame: 2.9 ms a 720p frame against 5.1 by slice, measured on 2 cores.
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            self._to_bgr = ToBgr(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)
            self.sound = bool(self._container.streams.audio)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 30)
            if not 0 < self.rate <= 1000:
                self.rate = Fraction(30)  # some containers give a tick rate for want of a frame rate
            self.rate_hz = float(self.rate)
            self.duration_s = self._container.duration / 1e6 if self._container.duration else None
            # From the file's start, not the picture's: so the sound keeps its place.
            self._zero_s = (self._container.start_time or 0) / 1e6
            self._start_s = self._zero_s
            self._last_s: float | None = None
            self._frames = self._decoded(stream)
            self._first = next(self._frames, None)
            if self._first is None:
                raise ConfigError(f"{self.path} holds no picture that can be decoded: give another file")
            self._stream, self._first_pts = stream, self._first.pts
        except BaseException:
            self._container.close()
            raise

    def _decoded(self, stream: VideoStream) -> Generator[VideoFrame]:
        try:
            for packet in self._container.demux(stream):
                try:
                    yield from packet.decode()
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
        decoding_times = self._container.format.name == "avi"
        ticks = frame.dts if decoding_times else frame.pts
        said = None if ticks is None else float(ticks * (frame.time_base or 0)) - self._zero_s
        if self._last_s is None:
            if decoding_times and said is not None:
                self._zero_s, said = self._zero_s + said, 0.0
            self._last_s = max(0.0, said or 0.0)
        elif said is None or said <= self._last_s:
            step = 1 / self.rate_hz
            if said is not None and said < self._last_s - _JOINT_S:
                self._zero_s -= self._last_s + step - said  # joined files: the clock starts anew, we go on
            self._last_s += step
        else:
            self._last_s = said
        return self._last_s

    def rewind(self) -> None:
        """Start again from the first frame; `seq` goes on, `media_s` starts anew."""
        self._frames.close()
        if not self._sought():
            self._container.close()
            # A closed container and its decoder hold each other, megabytes a time, until collected.
            gc.collect()
            self._start()

    def _sought(self) -> bool:
        """Seek back to the start; False where the format cannot, or lands elsewhere."""
        if self._first_pts is None:
            return False
        try:
            self._container.seek(int(self._start_s * 1e6))
            frames = self._decoded(self._stream)
            first = next(frames, None)
        except (av.error.FFmpegError, OSError):
            return False
        if first is None or first.pts != self._first_pts:
            return False
        self._frames, self._first, self._last_s, self._zero_s = frames, first, None, self._start_s
        return True

    def unblock(self) -> None:
        self._ended = True

    def close(self) -> None:
        self._ended = True
        if not self._closed:
            self._closed = True
            self._frames.close()
            self._container.close()


def open_container(path: str, what: str = "a video", advice: str = _ADVICE) -> av.container.InputContainer:
    """Open a media file. Raises ConfigError with the reason in plain words."""
    try:
        return av.open(path, "r", metadata_errors="replace", timeout=(8.0, 4.0) if "://" in path else None)
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}: {advice}") from error
    except PermissionError as error:
        raise ConfigError(f"{path} may not be read: check the file's rights") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder: {advice}") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        empty = Path(path).is_file() and Path(path).stat().st_size == 0
        why = "is empty" if empty else f"is not {what} FFmpeg can read, or is cut off"
        raise ConfigError(f"{path} {why}: {advice}") from error


def picture_stream(container: av.container.InputContainer, path: str) -> VideoStream:
    """The first moving-picture stream, cover art passed over. Raises ConfigError where there is none."""
    for stream in container.streams.video:
        cover = _ATTACHED_PICTURE in str(stream.disposition)
        if not cover and stream.codec_context is not None:
            return stream
    kind = "only sound" if container.streams.audio else "no pictures"
    raise ConfigError(f"{path} has {kind}: give a file with video")
