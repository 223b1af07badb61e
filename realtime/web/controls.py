"""What the page asks of a run and changes in it; and the server's routes for devices."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from realtime.audio.delay_line import DelayLine
from realtime.audio.sound_devices import microphones
from realtime.capture.devices import offered
from realtime.capture.webcam import COST, CameraFound
from realtime.capture.wrappers import SourceSpec
from realtime.config import Settings
from realtime.errors import ConfigError, DeviceError
from realtime.output.recorder import Recorder
from realtime.output.virtual_camera import find_virtual_camera, how_to_get_one
from realtime.pipeline.parts import Switches
from realtime.pipeline.session import Session
from realtime.web.auth import Refused, read_strings

SIZES = ((1920, 1080), (1280, 720), (960, 540), (640, 480), (640, 360), (320, 240))
"""Offered where a camera does not say what it has."""

SHARES = (1.0, 0.75, 0.5)
"""Of its own size, what a file can be read at: another shape would only add black."""

MOST_SIZES = 16
START = "start"
"""Stands for the source that the run was started with, which may be a path and is nobody else's business."""


class LiveDevices:
    """The devices of a run as the page shows them. Any thread."""

    def __init__(
        self,
        switches: Switches,
        list_cameras: Callable[[], Sequence[CameraFound]] = offered,
        find_camera: Callable[[], str | None] = find_virtual_camera,
        list_microphones: Callable[[], list[str]] = microphones,
    ) -> None:
        self._source, self._camera, self._microphone = switches.source, switches.camera, switches.microphone
        self._busy = switches.busy
        self._list, self._find, self._list_microphones = list_cameras, find_camera, list_microphones
        self._start = self._source.spec if self._source is not None else None
        self._start_sizes = _shares(self._source.size) if self._source is not None else []

    def report(self) -> dict[str, Any]:
        """What the page shows all the time. `level`: how loud the microphone is, 0..1, None without one."""
        return {
            "camera_on": self._camera.on,
            "camera_why": self._camera.why,
            "level": round(self._microphone.level, 3) if self._microphone is not None else None,
        }

    def listed(self) -> dict[str, Any]:
        """What can be chosen. Asks the devices, so not for a thread that others wait for."""
        cameras = self._list()
        known = {camera.address for camera in cameras}
        sources = [{"id": at.address, "name": at.name, "sizes": [_size(size) for size in _sizes(at)]} for at in cameras]
        if self._start is not None and self._start.address not in known:
            start = {"id": START, "name": "as it was started", "sizes": [_size(size) for size in self._start_sizes]}
            sources.insert(0, start)
        now = self._source.spec if self._source is not None else None
        found = self._find()
        return {
            "sources": sources,
            "source": None if now is None else now.address if now.address in known else START,
            "size": _size(now.size) if now is not None and now.size is not None else "",
            "fixed": self._why_fixed(),
            "microphones": self._known_microphones(),
            "microphone": self._microphone.name if self._microphone is not None else None,
            "camera": found,
            "camera_help": None if found else how_to_get_one(),
        }

    def _known_microphones(self) -> list[str]:
        """Empty in a run without a microphone, or where the system does not list them."""
        if self._microphone is None:
            return []
        try:
            return self._list_microphones()
        except DeviceError:
            return []

    def choose_microphone(self, name: str) -> None:
        """Listen to that one from now on. Raises ConfigError."""
        if self._microphone is None:
            raise ConfigError("this run listens to no microphone: start it with --sound mic")
        if name not in self._known_microphones():
            raise ConfigError("there is no such microphone: choose one of the list, which may have changed")
        self._microphone.select(name)

    def _why_fixed(self) -> str | None:
        return "the source of this run is fixed" if self._source is None else self._busy()

    def choose(self, source: str, size: str) -> None:
        """Read that source from now on, `size` as in `1280x720`, or empty. Raises ConfigError."""
        why = self._why_fixed()
        if why is not None or self._source is None or self._start is None:
            raise ConfigError(f"the source cannot change now: {why}")
        cameras = {camera.address: camera for camera in self._list()}
        if source == START:
            address, sizes = self._start.address, self._start_sizes
        elif source in cameras:
            address, sizes = source, _sizes(cameras[source])
        else:
            raise ConfigError("there is no such camera: choose one of the list, which may have changed")
        wanted = next((known for known in (*sizes, self._start.size) if known and _size(known) == size), None)
        if size and wanted is None:
            raise ConfigError("that source has no such size: choose one of the list")
        self._source.switch(SourceSpec(address, wanted))

    def switch_camera(self, on: bool) -> None:
        self._camera.switch(on)


def _sizes(camera: CameraFound) -> list[tuple[int, int]]:
    """Those that the camera says it has, the largest first."""
    stated = {mode.size for mode in camera.modes if mode.fourcc in COST and min(mode.size) > 0}
    return sorted(stated, reverse=True)[:MOST_SIZES] or list(SIZES)


def _shares(size: tuple[int, int]) -> list[tuple[int, int]]:
    return [(2 * round(size[0] * share / 2), 2 * round(size[1] * share / 2)) for share in SHARES]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _starting(*_: Settings) -> object:
    raise ConfigError("the run is still starting: try again in a moment")


@dataclass(frozen=True, slots=True)
class Controls:
    """What the page asks of a run and changes in it. Called from the page's threads.

    `report` gives the metrics so far, `get_settings` the live settings; `set_settings` gets those wanted and those they
    were made from, and raises ConfigError for what this run may not do. `minute` gives the last minute for the charts,
    `keep` stores the settings for the next run, `overhear` opens the live voice, None in a run without one.
    `recorder` and `devices` are None where they are fixed; `job_options` are run options that rendered files share.
    """

    report: Callable[[], dict[str, Any]] = lambda: {"schema": 1, "state": "starting"}
    get_settings: Callable[[], Settings] = Settings
    set_settings: Callable[[Settings, Settings], object] = _starting
    minute: Callable[[], dict[str, Any]] = dict
    keep: Callable[[], object] = lambda: None
    overhear: Callable[[], DelayLine | None] = lambda: None
    recorder: Recorder | None = None
    devices: LiveDevices | None = None
    job_options: Mapping[str, Any] = field(default_factory=dict)


def controls_of(session: Session) -> Controls:
    parts, switches = session.parts, session.parts.switches
    return Controls(
        report=session.report,
        get_settings=parts.settings.get,
        set_settings=session.change,
        minute=parts.tally.minute.report,
        keep=session.keep,
        overhear=parts.voice.overhear if parts.voice is not None else lambda: None,
        recorder=switches.recorder if switches is not None else None,
        devices=LiveDevices(switches) if switches is not None else None,
        job_options=parts.config.model_dump(include={"provider", "precision", "detector", "faces"}),
    )


CONTROLS: web.AppKey[Callable[[], Controls]] = web.AppKey("controls")
routes = web.RouteTableDef()


def controls(request: web.Request) -> Controls:
    return request.app[CONTROLS]()


def _devices(request: web.Request) -> LiveDevices:
    devices = controls(request).devices
    if devices is None:
        raise Refused(409, "this run's devices are fixed: start it with --output page")
    return devices


@routes.get("/api/devices")
async def _list(request: web.Request) -> web.StreamResponse:
    return web.json_response(await asyncio.to_thread(_devices(request).listed))


@routes.post("/api/source")
async def _choose_source(request: web.Request) -> web.StreamResponse:
    source, size = await read_strings(request, "source", "size")
    await asyncio.to_thread(_devices(request).choose, source, size)
    return web.json_response({})


@routes.post("/api/camera")
async def _switch_camera(request: web.Request) -> web.StreamResponse:
    (do,) = await read_strings(request, "do")
    if do not in ("on", "off"):
        raise Refused(400, "the camera can be switched on or off")
    _devices(request).switch_camera(do == "on")
    return web.json_response({})


@routes.post("/api/microphone")
async def _choose_microphone(request: web.Request) -> web.StreamResponse:
    (name,) = await read_strings(request, "name")
    await asyncio.to_thread(_devices(request).choose_microphone, name)
    return web.json_response({})
