"""From the user's `--output` words to open sinks."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from realtime.audio.audio_track import SoundTrack, VoiceTrack
from realtime.capture.open_source import file_path
from realtime.capture.source import Pace
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError, MasqueradeError
from realtime.output.sink import NullSink, Sink, ThreadedSink
from realtime.output.video_file import CONTAINERS, VideoFile, claim
from realtime.output.virtual_camera import VirtualCamera

log = logging.getLogger(__name__)

FORMS = f"camera, camera:/dev/videoN, FILE{', FILE'.join(CONTAINERS)}, page or null"

OpenCamera = Callable[[str | None], Sink]  # a device, or None for whichever there is -> the open virtual camera


def check_specs(specs: Sequence[str], source: str | None = None) -> None:
    """Refuse what can't be an output, before anything is opened. Raises ConfigError."""
    seen: set[str] = set()
    for spec in specs:
        key = spec if _is_word(spec) else os.path.abspath(spec)
        if key in seen:
            raise ConfigError(f"output {spec} is given twice: name each once")
        seen.add(key)
        if _is_word(spec):
            if spec == "camera:":
                raise ConfigError("output camera: needs a device after the colon, as in camera:/dev/video9")
        elif Path(spec).suffix.lower() not in CONTAINERS:
            raise ConfigError(f"output {spec!r} is unknown: use {FORMS}")
        else:
            check_file(Path(spec), source)


def _is_word(spec: str) -> bool:
    return spec in ("page", "null") or is_camera(spec)


def is_camera(spec: str) -> bool:
    """True where `--output` means a virtual camera; `camera:talk.mp4` is a file."""
    return spec == "camera" or (spec.startswith("camera:") and Path(spec).suffix.lower() not in CONTAINERS)


def check_file(path: Path, source: str | None) -> None:
    """Refuse a recording that can't be made; leaves nothing behind. Raises ConfigError."""
    file = file_path(source) if source is not None else ""
    if os.path.exists(file) and os.path.exists(path) and path.samefile(file):
        raise ConfigError(f"output {path} is the source itself: give another name")
    handle, fresh = claim(path)
    if fresh:
        path.unlink(missing_ok=True)
    if handle is not None:
        os.close(handle)


def wants_page(specs: Sequence[str]) -> bool:
    """True if the page is among the outputs, or may become one because none is given."""
    return not specs or "page" in specs


def open_sinks(
    specs: Sequence[str],
    *,
    size: tuple[int, int],
    rate_hz: float,
    metadata: Mapping[str, str] | None = None,
    sound: SoundTrack | VoiceTrack | None = None,
    page: Sink | None = None,
    source: str | None = None,
    pace: Pace = "live",
    clock: Clock = now_ns,
    open_camera: OpenCamera | None = None,
) -> list[Sink]:
    """The sinks the user asked for, open, in the order given.

    Frames of `size` (width, height) will come at `rate_hz`. Without `specs`: the virtual camera if one can be opened,
    else the page. `metadata` and `sound` go into recordings. With pace `live` a recording encodes in its own thread and
    may miss pictures; with `all` it loses none. `page` is an open sink, needed where `wants_page`; `source` is what is
    read, which no recording may overwrite. Raises ConfigError or DeviceError; what was opened is closed again.
    """
    check_specs(specs, source)

    camera = open_camera or (lambda device: VirtualCamera(size=size, rate_hz=rate_hz, device=device))

    def open_page() -> Sink:
        if page is None:
            raise ConfigError("output page: the page is switched off here")
        return page

    def open_one(spec: str) -> Sink:
        if spec == "null":
            return NullSink()
        if spec == "page":
            return open_page()
        if is_camera(spec):
            return camera(spec.removeprefix("camera").removeprefix(":") or None)
        recording = VideoFile(
            Path(spec), size=size, rate_hz=rate_hz, metadata=metadata, sound=sound, pace=pace, clock=clock
        )
        return ThreadedSink(recording, clock) if pace == "live" else recording

    if not specs:
        try:
            return [camera(None)]
        except MasqueradeError as error:
            log.info("no virtual camera, so the page: %s", error)
            return [open_page()]
    with ExitStack() as opened:
        sinks: list[Sink] = []
        for spec in specs:
            sinks.append(open_one(spec))
            opened.callback(sinks[-1].close)
        opened.pop_all()
    return sinks
