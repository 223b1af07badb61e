"""What the page may change of a live run's devices: where pictures come from, and whether a call sees them."""

from collections.abc import Callable, Sequence
from typing import Any

from realtime.audio.sound_devices import microphones
from realtime.capture.camera import COST, CameraFound
from realtime.capture.devices import offered
from realtime.capture.switched import Choice
from realtime.errors import ConfigError, DeviceError
from realtime.output.virtual_camera import find_virtual_camera, how_to_get_one
from realtime.pipeline.switches import Switches

SIZES = ((1920, 1080), (1280, 720), (960, 540), (640, 480), (640, 360), (320, 240))
"""Offered where a camera does not say what it has."""

SHARES = (1.0, 0.75, 0.5)
"""Of its own size, what a file can be read at: another shape would only add black."""

MOST_SIZES = 16
START = "start"
"""Stands for the source that the run was started with, which may be a path and is nobody else's business."""


class LiveDevices:
    """A run's devices. Any thread. `list_cameras`, `find_camera` and `list_microphones` ask this machine."""

    def __init__(
        self,
        switches: Switches,
        list_cameras: Callable[[], Sequence[CameraFound]] = offered,
        find_camera: Callable[[], str | None] = find_virtual_camera,
        list_microphones: Callable[[], list[str]] = microphones,
    ) -> None:
        source = switches.source
        self._source, self._camera, self._microphone = source, switches.camera, switches.microphone
        self._busy = switches.busy
        self._list, self._find, self._list_microphones = list_cameras, find_camera, list_microphones
        self._start = source.choice if source is not None else None
        self._start_sizes = _shares(source.size) if source is not None else []

    def report(self) -> dict[str, Any]:
        """What the page shows all the time: whether the virtual camera is on, what stands in its way, how loud it is.

        `level` is the microphone's, 0..1, None where nobody listens.
        """
        camera, microphone = self._camera, self._microphone
        return {
            "camera_on": camera.on,
            "camera_why": camera.why,
            "level": round(microphone.level, 3) if microphone is not None else None,
        }

    def listed(self) -> dict[str, Any]:
        """What can be chosen. Asks the devices, so not for a thread that others wait for."""
        cameras = self._list()
        known = {camera.address for camera in cameras}
        sources: list[dict[str, Any]] = []
        if self._start is not None and self._start.address not in known:
            sources.append(
                {"id": START, "name": "as it was started", "sizes": [_size(size) for size in self._start_sizes]}
            )
        for camera in cameras:
            sources.append(
                {"id": camera.address, "name": camera.name, "sizes": [_size(size) for size in _sizes(camera)]}
            )
        now = self._source.choice if self._source is not None else None
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
        """None to choose from where nobody listens, or the system does not tell."""
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
        if source != START and source not in cameras:
            raise ConfigError("there is no such camera: choose one of the list, which may have changed")
        if source == START:
            address, sizes = self._start.address, self._start_sizes
        else:
            address, sizes = source, _sizes(cameras[source])
        wanted = next((known for known in (*sizes, self._start.size) if known and _size(known) == size), None)
        if size and wanted is None:
            raise ConfigError("that source has no such size: choose one of the list")
        self._source.switch(Choice(address, wanted))

    def switch_camera(self, on: bool) -> None:
        """Let calls see the picture, or not."""
        self._camera.switch(on)


def _sizes(camera: CameraFound) -> list[tuple[int, int]]:
    """Those that the camera says it has, the largest first."""
    told = {mode.size for mode in camera.modes if mode.fourcc in COST and min(mode.size) > 0}
    return sorted(told, reverse=True)[:MOST_SIZES] or list(SIZES)


def _shares(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Even sizes of that shape."""
    return [(2 * round(size[0] * share / 2), 2 * round(size[1] * share / 2)) for share in SHARES]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
