"""A media file's pictures and sound on one clock, whatever its own time stamps do."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from realtime.capture.picture import first_bytes, foreign
from realtime.errors import ConfigError

ADVICE = "give a video file, a picture, a stream address or a camera"

_RESTARTING, _STEADY = (0.1, 10.0), (1.0, 1800.0)
"""By how many seconds time stamps may go back and forth before they have jumped: in formats whose clock may begin anew
(MPEG-TS), as FFmpeg has it; and in the others, where a slide may be shown for minutes."""
_APART_S = 1.0  # packets of one moment are no further apart in a file

Packet = Any  # av.Packet[AudioStream] | av.Packet[VideoStream]


class Joints:
    """Lays the parts of a file end to end where its clock jumps; all streams of a part move together.

    `end_s` is how far the packets reach, in the time of the first part.
    """

    def __init__(self, start_s: float, back_s: float, gap_s: float) -> None:
        self._back_s, self._gap_s = back_s, gap_s
        self._shifts_s = [0.0]  # of each part
        self.end_s = self._now_s = start_s
        self._part: dict[int, int] = {}  # of each stream
        self._latest_s: dict[int, float] = {}  # the furthest decoding time in the stream's part, as stamped

    @property
    def joined(self) -> bool:
        """True once the clock has jumped."""
        return len(self._shifts_s) > 1

    def last_shift_s(self, stream: int) -> float:
        """The same as for the stream's packet before."""
        return self._shifts_s[self._part.get(stream, 0)]

    def shift_s(self, stream: int, decoded_s: float | None, shown_s: float, lasts_s: float) -> float:
        """What is to be added to the time stamps of the next packet. `decoded_s` None: not stamped."""
        part, newest = self._part.get(stream, 0), len(self._shifts_s) - 1
        before_s = self._latest_s.get(stream)
        back = before_s is not None and decoded_s is not None and decoded_s < before_s - self._back_s
        at_s = shown_s if decoded_s is None else decoded_s
        off_s, off_newest_s = (abs(at_s + self._shifts_s[k] - self._now_s) for k in (part, newest))
        if part < newest and (back or off_s > _APART_S) and off_newest_s < max(off_s, self._gap_s):
            part, back = newest, False  # the other stream has crossed this joint already
        if back or at_s + self._shifts_s[part] > self.end_s + self._gap_s:
            self._shifts_s.append(self.end_s - shown_s)
            part = newest + 1
        if part != self._part.get(stream, 0):
            self._latest_s.pop(stream, None)
        self._part[stream] = part
        if decoded_s is not None:
            self._latest_s[stream] = max(decoded_s, self._latest_s.get(stream, decoded_s))
        shift_s = self._shifts_s[part]
        self.end_s = max(self.end_s, shown_s + shift_s + lasts_s)
        if part == len(self._shifts_s) - 1:
            self._now_s = at_s + shift_s
        return shift_s


class MediaFile:
    """An open media file. `pictures` and `sound` are its streams, None where there is none that can be decoded.

    Of several the file's default is taken, cover art never. `start_s` is the time stamp that is the file's 0.
    Raises ConfigError, with `what` it is not, and `advice`, where it cannot be opened.
    """

    def __init__(self, path: Path | str, what: str = "a video", advice: str = ADVICE) -> None:
        self.path, self._what, self._advice = path, what, advice
        self._open()

    def _open(self) -> None:
        self.container = open_container(self.path, self._what, self._advice)
        pictures, sound = self.container.streams.video, self.container.streams.audio
        self.pictures: VideoStream | None = min(filter(_is_film, pictures), key=_rank, default=None)
        related: Stream | None = self.pictures and self.container.streams.best("audio", related=self.pictures)
        # A transport stream may hold several programmes, each with a clock of its own.
        programmes = self.container.format.name == "mpegts"
        self.sound: AudioStream | None = min(
            (stream for stream in sound if stream.codec_context is not None),
            key=lambda stream: (*_rank(stream), programmes and stream is not related),
            default=None,
        )
        self.start_s = (self.container.start_time or 0) / av.time_base
        flags: Any = self.container.format.flags  # a number, whatever the stub says
        self._restarts = bool(flags & av.format.Flags.ts_discont.value)
        self._begin()

    def _begin(self) -> None:
        self._joints = Joints(self.start_s, *(_RESTARTING if self._restarts else _STEADY))
        self._untouched = True

    @property
    def length_s(self) -> float | None:
        """How long it lasts: as far as it was read where its clock jumps, else as it says; None where it does not."""
        if self._joints.joined:
            return self._joints.end_s - self.start_s
        return self.container.duration / av.time_base if self.container.duration else None

    def packets(self, wanted: Stream | None) -> Iterator[Packet]:
        """The packets of one of the two streams from here on, and an empty one at the end that flushes the decoder.

        Their time stamps go on where the file's clock jumps.
        """
        self._untouched = False
        both = [stream for stream in (self.pictures, self.sound) if stream is not None]
        for packet in self.container.demux(both):
            shift_s = self._shift_s(packet)
            if packet.stream is not wanted:
                continue
            if shift_s and packet.time_base is not None:
                ticks = round(shift_s / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts + ticks
                packet.dts = None if packet.dts is None else packet.dts + ticks
            yield packet

    def _shift_s(self, packet: Packet) -> float:
        shown = packet.dts if packet.pts is None else packet.pts
        # What an edit list cuts away may lie anywhere.
        if shown is None or packet.time_base is None or packet.is_discard:
            return self._joints.last_shift_s(packet.stream.index)
        tick = float(packet.time_base)
        rate = getattr(packet.stream, "average_rate", None)
        lasts_s = packet.duration * tick if packet.duration else float(1 / rate) if rate else 0.0
        decoded_s = None if packet.dts is None else packet.dts * tick
        return self._joints.shift_s(packet.stream.index, decoded_s, shown * tick, lasts_s)

    def seek(self, at_s: float) -> None:
        """Go to `at_s` seconds from the start, or before it: to the start where times do not tell places.

        Below 0 the sound's run-up, which lies before its 0, is read too.
        """
        if at_s >= 0 and not self._restarts and not self._joints.joined:
            try:
                self.container.seek(int((at_s + self.start_s) * av.time_base), backward=True)
            except (OSError, av.error.FFmpegError):
                pass
            else:
                self._begin()
                return
        if not self._untouched:
            self.reopen()

    def reopen(self) -> None:
        """Begin again: with other streams, `pictures` and `sound`, of the same file."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close it. May be called twice."""
        self.container.close()


def _is_film(stream: VideoStream) -> bool:
    """False for a song's cover, which is a video stream of one picture."""
    return stream.codec_context is not None and not stream.disposition & Disposition.attached_pic


def _rank(stream: Stream) -> tuple[bool, bool]:
    """Lower for the stream that is meant to be taken: the default one, and neither a commentary nor for the deaf."""
    special = Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired
    return not stream.disposition & Disposition.default, bool(stream.disposition & special)


def media_url(path: Path | str) -> str:
    """What FFmpeg is to open: a Path, and a file that is there, is no address, whatever colons are in its name."""
    return f"file:{path}" if isinstance(path, Path) or os.path.exists(path) else path


def open_container(path: Path | str, what: str = "a video", advice: str = ADVICE) -> InputContainer:
    """Open a media file, or an address. Raises ConfigError with the reason in plain words."""
    url = media_url(path)
    try:
        return av.open(url, "r", metadata_errors="replace", timeout=None if url.startswith("file:") else (8.0, 4.0))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}: {advice}") from error
    except PermissionError as error:
        raise ConfigError(f"{path} may not be read: check the file's rights") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder: {advice}") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        empty = Path(path).is_file() and Path(path).stat().st_size == 0
        why = "is empty" if empty else f"is not {what} FFmpeg can read, or is cut off"
        if os.path.isfile(path) and (found := foreign(first_bytes(Path(path)))) not in (None, "a video"):
            why = f"is {found}, not {what}"
        raise ConfigError(f"{path} {why}: {advice}") from error
