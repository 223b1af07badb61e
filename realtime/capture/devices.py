"""Which cameras this machine has, which one is meant, and how to open it."""

import glob
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from realtime.capture.webcam import (
    USUAL_RATE_HZ,
    USUAL_SIZE,
    Camera,
    CameraFound,
    CameraGone,
    CameraRequest,
    Mode,
    RawFrame,
)
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError

_SYSTEM: str = sys.platform  # a plain str, so that the type checker looks at every system's branch

OURS = "masquerade"
_FED_BY_US = ("obs virtual camera", "unity video capture")
"""The virtual cameras that pyvirtualcam feeds on macOS and Windows: our own output there."""

_HELP = "masquerade devices lists what is there; a video file works as well: --source FILE"


def list_cameras(with_modes: bool = True) -> list[CameraFound]:
    """Every camera, in the order of their numbers, our own virtual one among them, marked `own`.

    Without their modes it takes milliseconds: some drivers list thousands. Only Linux tells them.
    """
    if _SYSTEM == "linux":
        return _linux_cameras(with_modes)
    names = _mac_names() if _SYSTEM == "darwin" else _windows_names()
    return numbered_cameras(names)


def offered() -> list[CameraFound]:
    """The cameras a user may choose from: all but our own virtual one."""
    return [camera for camera in list_cameras() if not camera.own]


def find(request: CameraRequest, cameras: Iterable[CameraFound]) -> CameraFound:
    """The camera that is meant, by number, path or name; on coming back by its identity.

    0 means the first camera where no camera, or just our own virtual one, has that number. Raises DeviceError with what
    is there.
    """
    cameras = list(cameras)
    usable = [camera for camera in cameras if not camera.own]
    if request.known is not None:
        again = _again(request.known, usable)
        return replace(again, beside=request.known.beside, modes=again.modes or request.known.modes)
    chosen = _named(request, cameras, usable)
    beside = tuple(camera.identity for camera in cameras if camera.identity != chosen.identity)
    return replace(chosen, beside=beside)


def _again(known: CameraFound, usable: list[CameraFound]) -> CameraFound:
    """That very camera: same bus and name, or same name in a new socket; never just the same number."""
    for camera in usable:
        if (camera.identity, camera.name) == (known.identity, known.name):
            return camera
    for camera in usable:
        if camera.name == known.name and camera.identity not in known.beside:
            return camera
    raise DeviceError(f"camera {known.address} is not there: plug it in again")


def _named(request: CameraRequest, cameras: list[CameraFound], usable: list[CameraFound]) -> CameraFound:
    """The camera of that number, path or (part of a) name."""
    asked = request.address.strip()
    path = os.path.realpath(asked) if asked.startswith("/dev/") else asked
    for camera in cameras:
        if path in (camera.address, f"/dev/video{camera.address}"):
            if camera.own and asked == "0":
                continue
            if camera.own:
                raise DeviceError(
                    f"camera {asked} is masquerade's own virtual camera, it cannot be its source: "
                    "choose another (masquerade devices)"
                )
            return camera
    if asked == "0" and usable:
        return usable[0]
    words = "" if asked.isdigit() else asked.lower()
    named = [camera for camera in usable if words and words in camera.name.lower()]
    exact = [camera for camera in named if words == camera.name.lower()]
    if len(exact or named) == 1:
        return (exact or named)[0]
    if len(named) > 1:
        both = ", ".join(f"{camera.address} ({camera.name})" for camera in named)
        raise DeviceError(f"several cameras are called {asked}: {both}: give the number")
    there = ", ".join(f"{camera.address} ({camera.name})" for camera in usable)
    if not there:
        raise DeviceError(f"there is no camera {asked}, none at all: plug one in; {_HELP}")
    raise DeviceError(f"there is no camera {asked}, only {there}: choose one of them; {_HELP}")


def open_camera(request: CameraRequest) -> Camera:
    """Find and open a camera of this machine. Raises DeviceError."""
    found = find(request, list_cameras(with_modes=False))
    if _SYSTEM == "linux":
        from realtime.capture.v4l2 import V4l2Camera

        return V4l2Camera(found, f"/dev/video{found.address}", request)
    backend = cv2.CAP_AVFOUNDATION if _SYSTEM == "darwin" else cv2.CAP_DSHOW
    return OpenCvCamera(found, int(found.address), backend, request)


def delivered(camera: Camera, seconds: float = 1.0, clock: Clock = now_ns) -> Mode | None:
    """What an open camera really sends, measured for so long after its first picture; None if nothing."""
    stamps: list[int] = []
    mode = camera.mode
    started = clock()
    while clock() - started < (seconds if stamps else 5.0) * NS_PER_S:
        try:
            shot = camera.read(0.2)
        except CameraGone:
            break
        if shot is None or shot.pixels is None:
            continue
        if not stamps:
            started = clock()
        stamps.append(shot.stamp_ns or clock())
        mode = replace(mode, size=(shot.pixels.shape[1], shot.pixels.shape[0]))
    if not stamps:
        return None
    span = stamps[-1] - stamps[0]
    return replace(mode, rate_hz=(len(stamps) - 1) * NS_PER_S / span) if span > 0 else mode


def numbered_cameras(names: Iterable[str]) -> list[CameraFound]:
    """Cameras known by their names only, in the order the system numbers them (macOS, Windows)."""
    return [
        CameraFound(str(number), name, name, own=any(mark in name.lower() for mark in (OURS, *_FED_BY_US)))
        for number, name in enumerate(names)
    ]


def _linux_cameras(with_modes: bool) -> list[CameraFound]:
    from realtime.capture import v4l2

    found = []
    for path in glob.glob("/dev/video[0-9]*"):
        number = path.removeprefix("/dev/video")
        if not number.isdigit():
            continue
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            # Named all the same, so that the error of opening it can say how to mend this.
            name = _sys_name(number)
            found.append(CameraFound(number, name, name))
            continue
        except OSError:
            continue
        try:
            answer = v4l2.capability(descriptor)
            if v4l2.is_camera(answer):
                name = answer.card.decode("utf-8", "replace")
                loopback = answer.driver.decode("utf-8", "replace") == v4l2.LOOPBACK_DRIVER
                own = loopback and (OURS in name.lower() or _fed_by_masquerade(path))
                bus = answer.bus_info.decode("utf-8", "replace")
                modes = tuple(v4l2.list_modes(descriptor)) if with_modes else ()
                found.append(CameraFound(number, name, bus, modes, own))
        except OSError:
            pass
        finally:
            os.close(descriptor)
    return sorted(found, key=lambda camera: int(camera.address))


def _sys_name(number: str) -> str:
    try:
        return Path(f"/sys/class/video4linux/video{number}/name").read_text().strip()
    except OSError:
        return f"video{number}"


def _fed_by_masquerade(path: str) -> bool:
    """True when another masquerade of the same user holds the loopback device open.

    This process does not count: it has the device open itself, to ask its name, and a loopback that somebody else feeds
    (a phone, a DSLR, OBS) is a camera like any other.
    """
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        process = link.split("/")[2]
        try:
            if process == str(os.getpid()) or os.readlink(link) != path:
                continue
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile, or another user's
        if any(OURS.encode() in os.path.basename(word) for word in words[:3]):
            return True
    return False


def _mac_names(run: Callable[..., bytes] = subprocess.check_output) -> list[str]:
    """Names in OpenCV's order: it sorts the cameras by their unique id."""
    try:
        report = json.loads(run(["system_profiler", "SPCameraDataType", "-json"], timeout=10))
        cameras = report.get("SPCameraDataType", [])
        ordered = sorted(cameras, key=lambda camera: str(camera.get("spcamera_unique-id", "")))
        return [str(camera.get("_name", "camera")) for camera in ordered]
    except (OSError, ValueError, subprocess.SubprocessError):
        return _probed(cv2.CAP_AVFOUNDATION)


def _windows_names() -> list[str]:
    """Names in DirectShow's order, which is OpenCV's."""
    try:
        devices = av.enumerate_input_devices("dshow")
        names = [device.description for device in devices if "video" in device.media_types]
    except (av.error.FFmpegError, ValueError, AttributeError):
        names = []
    return names or _probed(cv2.CAP_DSHOW)


def _probed(backend: int) -> list[str]:
    """Where the system tells no names: the numbers that open, tried one by one."""
    names = []
    for number in range(8):
        capture = cv2.VideoCapture(number, backend)
        opened = capture.isOpened()
        capture.release()
        if not opened:
            break
        names.append(f"camera {number}")
    return names


_MJPG_FROM = 1280 * 720  # uncompressed, USB 2 carries smaller pictures at 30 a second, not this
_FAILURES = 5  # reads in a row: one alone is a hiccup of the driver


class OpenCvCamera:
    """An open camera of macOS or Windows, through OpenCV. Obeys `Camera`. Raises DeviceError when it does not open.

    A read takes as long as the driver takes: at most about one second on either system, also after the camera was
    unplugged.
    """

    def __init__(
        self,
        found: CameraFound,
        number: int,
        backend: int,
        request: CameraRequest,
        capture: Callable[[int, int], Any] = cv2.VideoCapture,
    ) -> None:
        self.found = found
        self._failed = 0
        self._capture: Any = capture(number, backend)
        if not self._capture.isOpened():
            self.close()
            raise DeviceError(
                f"camera {found.address} does not open: close other programs that use it, and allow this "
                "program the camera in the system's privacy settings"
            )
        size, rate = request.size or USUAL_SIZE, request.rate_hz or USUAL_RATE_HZ
        # The format first: drivers look up the size within it.
        if size[0] * size[1] >= _MJPG_FROM or rate > USUAL_RATE_HZ:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, rate)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    @property
    def mode(self) -> Mode:
        """What the driver says it sends; `?` where it does not tell the format."""
        capture = self._capture
        if capture is None:
            return Mode("?", (0, 0), 0.0)
        code = int(capture.get(cv2.CAP_PROP_FOURCC))
        letters = code.to_bytes(4, "little", signed=code < 0).decode("latin-1").strip("\0 ")
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rate = capture.get(cv2.CAP_PROP_FPS)
        return Mode(letters if letters.isalnum() else "?", size, rate if rate > 0 else USUAL_RATE_HZ)

    def read(self, seconds: float) -> RawFrame | None:
        """The next picture. OpenCV waits as long as it likes, so `seconds` is not looked at."""
        if self._capture is None:
            raise CameraGone("closed")
        try:
            came, pixels = self._capture.read()
        except cv2.error as error:
            raise CameraGone(str(error)) from error
        if not came or pixels is None:
            self._failed += 1
            if self._failed >= _FAILURES:
                raise CameraGone("no picture comes")
            return None
        self._failed = 0
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return RawFrame(np.ascontiguousarray(pixels[..., :3], dtype=np.uint8))

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
