"""From what `--source` says to an open source."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from realtime.capture.devices import find, list_cameras, open_camera
from realtime.capture.motion_file import MotionFile, is_motion_file
from realtime.capture.picture import Animation, Picture, first_bytes, foreign, is_animated, is_picture
from realtime.capture.recording import Recording
from realtime.capture.source import Pace, Source
from realtime.capture.stream import SCHEMES, Stream
from realtime.capture.synthetic import Synthetic
from realtime.capture.webcam import CameraRequest, Opener, Webcam
from realtime.capture.wrappers import Paced, SeekableSource
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError, DeviceError

_MOVING = (".mjpg", ".mjpeg")  # begin like a JPEG
_KINDS = "a camera (0, a name), a video file, a picture, a stream address or synthetic"


def open_source(
    spec: str,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    clock: Clock = now_ns,
    pace: Pace = "live",
    loop: bool = False,
    open_camera: Opener = open_camera,
) -> Source:
    """An open source for a `--source` string: camera, file, picture, stream or `synthetic[:COUNT]`.

    With pace `live`, files come in real time, `loop` again and again; with `all`, as fast as they are read, once.
    `size` is what a camera is asked for and what everything else is letterboxed to. `fps` is what a camera is asked
    for, the rate of pictures and of `synthetic`, and thins a video that plays live. Raises ConfigError or DeviceError
    in one line.
    """
    spec = spec if os.path.exists(spec) else spec.strip()
    scheme = _scheme(spec)
    if scheme in SCHEMES:
        stream = Stream(spec, size=size, clock=clock)
        if stream.finite:
            stream.close()
            return _played(Recording(spec, size=size, clock=clock), fps, clock, pace, loop)
        if pace == "all":
            stream.close()
            raise ConfigError(f"--pace all needs a file, and {stream.name} is a live stream: use --pace live")
        return stream
    if scheme not in (None, "file"):
        raise ConfigError(f"{scheme}:// is no stream address masquerade knows: use {', '.join(SCHEMES)}")
    seekable = _seekable(spec, file_path(spec), size, fps, clock, pace)
    if seekable is not None:
        return _played(seekable, fps, clock, pace, loop)
    if pace == "all":
        raise ConfigError(f"--pace all needs a file, and {spec} is a camera: use --pace live")
    return Webcam(spec, open_camera=open_camera, size=size, fps=fps, clock=clock)


def _played(source: SeekableSource, fps: float | None, clock: Clock, pace: Pace, loop: bool) -> Source:
    if pace == "live":
        return Paced(source, loop=loop, fps=fps, clock=clock)
    if isinstance(source, (Recording, Animation)) and fps is not None:
        source.close()
        name = source.name
        raise ConfigError(f"--pace all keeps every frame of {name}, --fps {fps:g} would drop some: leave one out")
    return source


def _seekable(
    spec: str, path: Path, size: tuple[int, int] | None, fps: float | None, clock: Clock, pace: Pace
) -> SeekableSource | None:
    """The file, picture or test pattern meant; None where a camera is meant."""
    word, _, count = spec.partition(":")
    if word == "synthetic" and not (count and os.path.isfile(path)):
        if count and not (count.isdigit() and int(count) > 0):
            raise ConfigError(f"synthetic:{count} is no number of frames: write e.g. synthetic:300")
        if pace == "all" and not count:
            raise ConfigError("--pace all needs an end, and synthetic has none: write e.g. synthetic:300")
        return Synthetic(size or (1280, 720), fps or 30.0, int(count) if count else None, clock)
    if not spec:
        raise ConfigError(f"--source is empty: give {_KINDS}")
    if spec.isdigit() or spec.startswith("/dev/video"):
        return None
    if os.path.isdir(path):
        raise ConfigError(f"{spec} is a folder: give {_KINDS}")
    if not os.path.exists(path):
        if _looks_like_a_path(spec) or not _is_a_camera(spec):
            raise ConfigError(
                f"there is no file and no camera {spec}: give {_KINDS} (masquerade devices lists the cameras)"
            )
        return None
    if is_motion_file(path):
        return MotionFile(path, clock)
    if _is_still(path):
        return Picture(path, size=size, rate_hz=fps or 30.0, count=1 if pace == "all" else None, clock=clock)
    if is_animated(path):
        return Animation(path, size=size, clock=clock)
    try:
        return Recording(path, size=size, clock=clock)
    except ConfigError as error:
        what = foreign(first_bytes(path))
        if what in (None, "a video"):
            raise
        raise ConfigError(f"{path} is {what}, which cannot be played: give {_KINDS}") from error


def _scheme(spec: str) -> str | None:
    """The scheme of an address; None for a name, and for a file that is there, whatever its name."""
    head, found, _ = spec.partition("://")
    return head.lower() if found and head.isalnum() and not os.path.exists(spec) else None


def file_path(spec: str) -> Path:
    """The path that a `--source` string is where it names a file, which need not be there."""
    if _scheme(spec) == "file":
        return Path(unquote(urlsplit(spec).path))
    return Path(spec if os.path.exists(spec) else os.path.expanduser(spec))


def _looks_like_a_path(spec: str) -> bool:
    return os.sep in spec or bool(os.altsep and os.altsep in spec)


def _is_a_camera(spec: str) -> bool:
    """True when a camera's name says so; an ambiguous name is the camera code's to complain about."""
    cameras = list_cameras(with_modes=False)
    try:
        find(CameraRequest(spec), cameras)
        return True
    except DeviceError:
        return any(spec.lower() in camera.name.lower() for camera in cameras)


def is_still(spec: str) -> bool:
    """True where a `--source` string names a still picture's file. Raises ConfigError for one that cannot be read."""
    path = file_path(spec)
    return os.path.isfile(path) and _is_still(path)


def _is_still(path: Path) -> bool:
    return path.suffix.lower() not in _MOVING and is_picture(path) and not is_animated(path)
