"""A recording: the pictures shown, at their times, with the source's sound."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from secrets import token_hex
from shutil import copymode

import av
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from realtime.audio.audio_track import SoundTrack, Track, TrackWriter
from realtime.capture.source import Pace
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError, DeviceError, MasqueradeError
from realtime.frame import Frame
from realtime.home import user_home
from realtime.imaging.resize import even, pad_to_even
from realtime.output.timeline import Place, Timeline

log = logging.getLogger(__name__)

TICKS_HZ = 90_000  # MPEG's clock: whole ticks for 24, 25, 30 and 60 Hz, and under 6 µs off for 29.97

# All three can be cut anywhere and still play: MP4 in fragments of half a second, Matroska in clusters.
# The interleaver must not hold pictures back for a sound track that has ended.
_WRITE_NOW = {"flush_packets": "1", "max_interleave_delta": "500000"}
CONTAINERS: dict[str, tuple[str, dict[str, str]]] = {
    ".mp4": (
        "mp4",
        # The header waits for the first fragment: it tells when the sound begins, and AC-3 needs that.
        {"movflags": "+frag_keyframe+empty_moov+default_base_moof+delay_moov", "frag_duration": "500000", **_WRITE_NOW},
    ),
    ".mkv": ("matroska", {"cluster_time_limit": "500", **_WRITE_NOW}),
    ".webm": ("webm", {"cluster_time_limit": "500", **_WRITE_NOW}),
}
FRAGMENT_BYTES = 4 * 1024 * 1024
"""More than half a second of video: a fragment goes to the disk in one write, whole or not at all."""

VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "row-mt": "1", "lag-in-frames": "0"}


OLD = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
NEW = OLD | os.O_CREAT | os.O_EXCL


class RecordingFile:
    """A file without a buffer of its own: what was written survives a kill of the process.

    It is new, and locked against other runs. A write that fails is undone, so that the file ends with a whole fragment;
    later ones are swallowed, so that the container can close.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 (closed in `close`)
        _lock(self._file.fileno())
        self._at = self.size = 0
        self.failed = False

    def write(self, data: bytes) -> int:
        """Write all of it. Raises OSError the first time that the disk does not take it."""
        if not self.failed:
            try:
                self._put(data)
            except OSError:
                self.failed = True
                with suppress(OSError):
                    self._file.truncate(self._at)
                raise
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (offset, self._at + offset, self.size + offset)[whence]
        if not self.failed:
            self._file.seek(self._at)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()


class VideoFile:
    """An .mp4 or .mkv (H.264) or .webm (VP9) file.

    `show` encodes in the calling thread; frames have one size, `size` (odd sizes grow by a pixel). Where `sound` is
    given, the part of it that belongs to the pictures is written too. `metadata` is kept in the file. The file is
    playable after whatever ends the process, half a second short at most.

    Raises ConfigError before anything is written where the path can't be a recording, DeviceError from `show` when the
    disk takes no more. It is locked against other runs, and written under another name beside `path` until its first
    half second is there: only then is an old file replaced.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: tuple[int, int],
        rate_hz: float,
        metadata: Mapping[str, str] | None = None,
        sound: Track | None = None,
        pace: Pace = "live",
        clock: Clock = now_ns,
        open_file: Callable[[Path], RecordingFile] = RecordingFile,
    ) -> None:
        self._path, self.name = path, str(path)
        if isinstance(sound, SoundTrack) and os.path.exists(path) and path.samefile(sound.path):
            raise ConfigError(f"output {path} is the source itself: give another name")
        self._claimed, self._fresh = claim(path)
        self._target = path.absolute()
        self._beside = self._target.with_name(f".masquerade-{token_hex(8)}{path.suffix}")
        self._settled = False
        self._head = 0  # bytes of the container before its first picture
        self._size, self._rate_hz, self._pace, self._clock = size, rate_hz, pace, clock
        self._metadata, self._track, self._open_file = dict(metadata or {}), sound, open_file
        self._timeline = Timeline(pace, rate_hz)
        self._file: RecordingFile | None = None
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._sound: TrackWriter | None = None
        self._lost: DeviceError | None = None
        self._closed = False

    def show(self, frame: Frame) -> None:
        """Write one picture and the sound that goes with it. Raises DeviceError when the disk is full."""
        self.show_at(frame, self._clock())

    def show_at(self, frame: Frame, now_ns: int) -> None:
        """The same for a picture that was handed over at `now_ns`."""
        if self._lost is not None:
            raise self._lost
        if self._closed:
            raise DeviceError(f"recording {self._path} is closed: start again")
        place = self._timeline.place(frame, now_ns)
        try:
            if self._container is None:
                self._begin(place.media_s)
            self._encode(frame, place.out_s)
            self._show_sound(place)
            assert self._file is not None
            if not self._settled and self._file.size > self._head:
                self._settle()
        except (OSError, ValueError, av.error.FFmpegError) as error:
            self._lost = self._explain(error)
            raise self._lost from error

    def _begin(self, media_s: float | None) -> None:
        self._file = self._open_file(self._beside)
        with suppress(FileNotFoundError):
            copymode(self._target, self._beside)
        form, options = CONTAINERS[self._path.suffix.lower()]
        self._container = av.open(self._file, "w", format=form, options=options, buffer_size=FRAGMENT_BYTES)
        self._container.metadata.update(self._metadata)
        self._video = self._add_video(self._container)
        if self._track is not None:
            try:
                self._sound = self._track.writer(self._container, self._path.suffix.lower(), media_s)
            except (MasqueradeError, OSError, av.error.FFmpegError, IndexError, ValueError) as error:
                log.warning("%s is recorded without sound: %s", self._path.name, error)
        self._container.start_encoding()
        self._head = self._file.size

    def _show_sound(self, place: Place) -> None:
        if self._sound is None:
            return
        try:
            self._sound.show(place.out_s, place.media_s, self._timeline.zero_ns, 1 / self._rate_hz)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            if self._file is None or self._file.failed:
                raise
            log.warning("the sound of %s ends here, the pictures go on: %s", self._path.name, error)
            self._sound.close()
            self._sound = None

    def _settle(self, *, closed: bool = False) -> None:
        """Give the file its name, if what has it now is still locked by this run."""
        if self._claimed is not None and self._target.exists() and not _is_at(self._claimed, self._target):
            raise OSError(errno.EBUSY, "another program made a file of that name")
        try:
            os.replace(self._beside, self._target)
        except PermissionError:
            if closed:
                raise
            return  # Windows: not while it is open
        self._settled = True

    def _add_video(self, container: OutputContainer) -> VideoStream:
        rate = Fraction(self._rate_hz).limit_denominator(1001)
        if self._path.suffix.lower() == ".webm":
            video = container.add_stream("libvpx-vp9", rate=rate, options=VP9)
        else:
            # No B frames and no look-ahead: a picture is in the file as soon as it was shown.
            preset = "superfast" if self._pace == "live" else "veryfast"
            options = {"preset": preset, "tune": "zerolatency", "crf": "19", "bf": "0"}
            video = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height = even(self._size)
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, TICKS_HZ)
        context = video.codec_context
        if self._pace == "live":
            context.thread_count = 1  # the other cores are the engine's
        context.gop_size = max(1, round(2 * self._rate_hz))
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return video

    def _encode(self, frame: Frame, out_s: float) -> None:
        assert self._video is not None
        assert self._container is not None
        picture = av.VideoFrame.from_ndarray(pad_to_even(frame.pixels), format="bgr24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = round(out_s * TICKS_HZ), Fraction(1, TICKS_HZ)
        picture.duration = round(TICKS_HZ / self._rate_hz)
        self._container.mux(self._video.encode(picture))

    def _explain(self, error: Exception) -> DeviceError:
        code = error.errno if isinstance(error, OSError) else None
        reason = " ".join(str(error).split())
        if code in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full: free some space, or record elsewhere"
        elif self._file is None or self._file.failed:
            why = f"{reason}: is the disk still there?"
        else:
            why = f"{reason}: try another name, ending in .mkv"
        if self._settled:
            return DeviceError(f"recording {self._path} stopped, {why} (what was written so far plays)")
        kept = "" if self._fresh else " (the old file is as it was)"
        return DeviceError(f"recording {self._path} could not begin, {why}{kept}")

    def close(self) -> None:
        """Finish the file. May be called twice; raises DeviceError if the end could not be written."""
        if self._closed:
            return
        self._closed = True
        error = self._finish()
        if error is not None and self._lost is None:
            raise self._explain(error) from error

    def _finish(self) -> Exception | None:
        steps: list[Callable[[], object]] = []
        if self._container is not None:
            container, video, sound = self._container, self._video, self._sound
            if self._lost is None:
                if sound is not None:
                    steps.append(sound.finish)
                if video is not None:
                    steps.append(lambda: container.mux(video.encode(None)))
            steps.append(container.close)
        if self._sound is not None:
            steps.append(self._sound.close)
        if self._file is not None:
            steps.append(self._file.close)
        first = _first_error(steps)
        if self._file is None:
            log.warning("%s: no picture came, so nothing is recorded", self._path)
        elif not self._settled and first is None and self._lost is None:
            first = _first_error([lambda: self._settle(closed=True)])
        if not self._settled:
            self._beside.unlink(missing_ok=True)
            if self._fresh and (self._claimed is None or _is_at(self._claimed, self._target)):
                self._target.unlink(missing_ok=True)
        if self._claimed is not None:
            os.close(self._claimed)
        return first


def _first_error(steps: Sequence[Callable[[], object]]) -> Exception | None:
    """Take every step, whatever the ones before raised."""
    first: Exception | None = None
    for step in steps:
        try:
            step()
        except (OSError, ValueError, av.error.FFmpegError) as error:
            first = first or error
    return first


def claim(path: Path) -> tuple[int | None, bool]:
    """Open `path`, made where nothing was, and lock it against other recordings; gives its handle, True if it is new.

    An existing file keeps its content. A link is refused: somebody else may have laid it there. On Windows nothing is
    locked, and there is no handle. Raises ConfigError that says why no recording can be made.
    """
    if path.suffix.lower() not in CONTAINERS:
        raise ConfigError(f"output {path}: use a name ending in {', '.join(CONTAINERS)}")
    try:
        if path.is_symlink():
            raise ConfigError(f"output {path} is a link: give the name of the file that it leads to")
        if path.is_dir():
            raise ConfigError(f"output {path} is a folder: give a file name in it")
        if not path.parent.is_dir():
            raise ConfigError(f"output {path}: there is no folder {path.parent}: make it, or choose another")
        if path.exists() and not path.is_file():
            raise ConfigError(f"output {path} is not an ordinary file: choose another name")
        mode = 0o600 if path.absolute().is_relative_to(user_home()) else 0o666
        while True:
            try:
                handle, fresh = os.open(path, NEW, mode), True
            except FileExistsError:
                handle, fresh = os.open(path, OLD), False
            if sys.platform == "win32":
                os.close(handle)
                return None, fresh
            if not _lock(handle):
                os.close(handle)
                raise ConfigError(f"output {path} is being written by another run: choose another name")
            if _is_at(handle, path):
                return handle, fresh
            os.close(handle)  # another run replaced or removed it this moment
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"output {str(path)!r} cannot be written ({why}): choose another place") from error


def _lock(handle: int) -> bool:
    """Lock an open file until it is closed; False where another run has it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # some network file systems have no locks
            log.info("a recording cannot be locked: %s", error)
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
