"""The virtual camera: what a video call picks as its webcam."""

import contextlib
import ctypes
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from realtime.errors import ConfigError, DeviceError, MasqueradeError, pip_install
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import even, pad_to_even
from realtime.output.disclosure import CAMERA_LABEL
from realtime.output.sink import Sink

log = logging.getLogger(__name__)

OBS_PLACES = (
    "/Applications/OBS.app",
    "C:/Program Files/obs-studio/data/obs-plugins/win-dshow/obs-virtualcam-module64.dll",
    "C:/Program Files (x86)/obs-studio/data/obs-plugins/win-dshow/obs-virtualcam-module64.dll",
)
"""Where OBS, which brings the virtual camera of macOS and Windows, is installed."""

LOOPBACKS = Path("/sys/devices/virtual/video4linux")


class CameraDriver(Protocol):
    """What we need of pyvirtualcam.Camera."""

    @property
    def device(self) -> str: ...

    def send(self, frame: Any, /) -> None: ...

    def close(self) -> None: ...


OpenDriver = Callable[[tuple[int, int], float, str | None], CameraDriver]
"""(size, rate in Hz, device or None) -> an open driver; raises whatever the driver raises."""


@dataclass(frozen=True, slots=True)
class Loopback:
    """A v4l2loopback device: its path and the name that programs show."""

    path: str
    label: str

    @property
    def says_ai(self) -> bool:
        return says_ai(self.label)


def says_ai(label: str) -> bool:
    """True for a camera name with the word AI in it."""
    return re.search(r"\bAI\b", label) is not None


def find_loopbacks(root: Path = LOOPBACKS) -> list[Loopback]:
    """The virtual video devices of this Linux, ours ("masquerade" in the name) first."""
    found = []
    for entry in root.glob("video*"):
        number = entry.name.removeprefix("video")
        if number.isdigit():
            try:
                label = (entry / "name").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            found.append((int(number), Loopback(f"/dev/video{number}", label)))
    found.sort(key=lambda item: ("masquerade" not in item[1].label.lower(), not item[1].says_ai, item[0]))
    return [loopback for _, loopback in found]


def abilities(descriptor: int) -> int:
    """What an open v4l2loopback device says it is just now: 1 a camera, 2 an output, 3 both, 0 neither.

    Raises OSError where the device is none.
    """
    from realtime.capture import v4l2  # the ioctls are Linux's alone

    answer = v4l2.capability(descriptor)
    if answer.driver.decode("utf-8", "replace") != v4l2.LOOPBACK_DRIVER:
        raise OSError(f"{answer.driver!r} is not v4l2loopback")
    return int(answer.device_caps if answer.capabilities & v4l2.HAS_NODE_CAPS else answer.capabilities) & 3


def revive(device: str, ask: Callable[[int], int] = abilities) -> bool:
    """Make a loopback that is neither camera nor output a virtual camera again; True where it was so.

    With exclusive_caps, v4l2loopback 0.12 (Debian 12, Ubuntu 22.04) stays so once a program that sends with write(), as
    pyvirtualcam does, has closed it: it notices the end only of those that have asked for streaming. So ask for it, and
    close. A device that somebody feeds is a camera: it is let be.
    """
    from realtime.capture import v4l2  # the ioctls are Linux's alone

    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if ask(descriptor) != 0:
            return False
        with contextlib.suppress(OSError):  # refused for want of a format, which does not matter here
            v4l2.ioctl(descriptor, v4l2.STREAMON, ctypes.c_int(v4l2.OUTPUT))
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def find_virtual_camera(platform: str = sys.platform) -> str | None:
    """The virtual camera a run would take, for people to read; None where there is none.

    On Linux a device is looked for; elsewhere only whether the driver is installed is known.
    """
    if importlib.util.find_spec("pyvirtualcam") is None:
        return None
    if platform.startswith("linux"):
        found = find_loopbacks()
        return f"{found[0].path} ({found[0].label})" if found else None
    return "OBS Virtual Camera" if any(Path(place).exists() for place in OBS_PLACES) else None


def how_to_get_one(platform: str = sys.platform) -> str:
    """What the user does to have a virtual camera on this system, in one line."""
    if platform.startswith("linux"):
        return (
            "install v4l2loopback (Debian, Ubuntu: sudo apt install v4l2loopback-dkms; Fedora: RPM Fusion's "
            "akmod-v4l2loopback), then: sudo modprobe v4l2loopback devices=1 exclusive_caps=1 max_buffers=8 "
            f'card_label="{CAMERA_LABEL}"'
        )
    if platform == "darwin":
        return (
            "install OBS 30 or newer (brew install --cask obs; needs macOS 13), open it, press Start Virtual "
            "Camera, allow the extension in System Settings, press Stop, quit OBS"
        )
    return "install OBS 26 or newer (winget install OBSProject.OBSStudio); its virtual camera comes with it"


def open_pyvirtualcam(size: tuple[int, int], rate_hz: float, device: str | None) -> CameraDriver:
    """pyvirtualcam's camera, taking BGR. Raises ConfigError where the extra is not installed."""
    try:
        import pyvirtualcam  # an extra (GPL-2.0), and its import loads drivers: only when asked for
    except ImportError as error:
        raise ConfigError(f"output camera needs pyvirtualcam: {pip_install('camera')} (GPL-2.0)") from error
    width, height = size
    driver: CameraDriver = pyvirtualcam.Camera(width, height, rate_hz, fmt=pyvirtualcam.PixelFormat.BGR, device=device)
    return driver


class VirtualCamera:
    """A webcam that other programs can choose.

    `size` is (width, height) of the frames to come; the device gets the next even size. Opening tries `device`, or on
    Linux every loopback device, ours first. `state` is `ok`, or one line for the user (the device's name does not say
    AI). Raises ConfigError without the extra, DeviceError where no device can be had, each with what to do.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        rate_hz: float,
        device: str | None = None,
        open_driver: OpenDriver = open_pyvirtualcam,
        loopbacks: Callable[[], Sequence[Loopback]] = find_loopbacks,
        platform: str = sys.platform,
    ) -> None:
        self.size = even(size)
        self._platform = platform
        known = list(loopbacks()) if platform.startswith("linux") else []
        if known or device is not None or not platform.startswith("linux"):
            candidates = [device] if device is not None or not known else [loop.path for loop in known]
        else:
            raise DeviceError(f"no virtual camera: {how_to_get_one(platform)}")
        self._driver: CameraDriver | None = self._open(candidates, rate_hz, open_driver)
        self.device = self._driver.device
        self.name = f"camera {self.device}"
        self.label = next((loop.label for loop in known if loop.path == self.device), self.device)
        self.state = "ok" if says_ai(self.label) else self._unlabelled()
        if self.state != "ok":
            log.warning(self.state)

    def _open(self, candidates: Sequence[str | None], rate_hz: float, open_driver: OpenDriver) -> CameraDriver:
        reasons: list[str] = []
        first: Exception | None = None
        for device in candidates:
            try:
                if device is not None and self._platform.startswith("linux"):
                    revive(device)
                return open_driver(self.size, rate_hz, device)
            except ConfigError:
                raise
            except Exception as error:  # the driver's own errors have no common type
                first = first or error
                reasons.append(self._explain(device, error))
        raise DeviceError("; ".join(reasons)) from first

    def _explain(self, device: str | None, error: Exception) -> str:
        said = " ".join(str(error).split())
        lower = said.lower()
        name = device or "virtual camera"
        if "in use" in lower or "busy" in lower:
            return (
                f"{name} is in use: close the program that writes to it, or give another: --output camera:/dev/videoN"
            )
        if "permission" in lower or isinstance(error, PermissionError):
            return f"{name} may not be opened: sudo usermod -aG video $USER, then log in again"
        if device is not None and "does not exist" in lower:
            advice = how_to_get_one(self._platform)
            return f"{name} does not exist: give another (masquerade devices), or {advice}"
        if "is not a v" in lower or "could not be queried" in lower:
            return f"{name} is not a virtual camera: give one (masquerade devices lists them)"
        return f"{name} cannot be opened ({said}): {how_to_get_one(self._platform)}"

    def _unlabelled(self) -> str:
        if self._platform.startswith("linux"):
            return (
                f"camera {self.device} is called {self.label!r}, which does not say AI: sudo modprobe "
                "-r v4l2loopback, then sudo modprobe v4l2loopback devices=1 exclusive_caps=1 max_buffers=8 "
                f'card_label="{CAMERA_LABEL}"'
            )
        return f"the camera is called {self.label!r}, which does not say AI: the badge in the picture does"

    def show(self, frame: Frame) -> None:
        """Send one picture. Raises DeviceError when the device is gone."""
        if self._driver is None:
            raise DeviceError(f"virtual camera {self.device} is closed: start again")
        pixels: Pixels = pad_to_even(frame.pixels)
        try:
            self._driver.send(pixels)
        except Exception as error:  # the driver's own errors have no common type
            said = " ".join(str(error).split())
            raise DeviceError(
                f"virtual camera {self.device} took no picture ({said}): is the device still there? "
                "(masquerade devices)"
            ) from error

    def close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()


OFF = "camera off"


class CameraSwitch:
    """A sink that is a virtual camera while it is switched on.

    `open_camera` opens one and raises MasqueradeError; `camera` is one that is open already. Everything is opened and
    closed by the thread that shows pictures, so `switch` may be called from any. A camera that fails is switched off,
    with a warning, and `lost` gets the error; it can be switched on again.
    """

    def __init__(
        self, open_camera: Callable[[], Sink], camera: Sink | None, lost: Callable[[DeviceError], None]
    ) -> None:
        self._open, self._camera, self._lost = open_camera, camera, lost
        self._wanted = camera is not None
        self.why: str | None = None

    @property
    def name(self) -> str:
        camera = self._camera
        return camera.name if camera is not None else OFF

    @property
    def on(self) -> bool:
        return self._camera is not None

    def switch(self, on: bool) -> None:
        """On or off from the next picture on. `why` then says what stood in the way, None if nothing did."""
        self.why, self._wanted = None, on

    def show(self, frame: Frame) -> None:
        if self._wanted != (self._camera is not None):
            self._change()
        if self._camera is None:
            return
        try:
            self._camera.show(frame)
        except DeviceError as error:
            log.warning("%s; the virtual camera is switched off, everything else goes on", error)
            self.why, self._wanted = str(error), False
            self._lost(error)
            self._change()

    def _change(self) -> None:
        if self._camera is not None:
            camera, self._camera = self._camera, None
            camera.close()
            return
        try:
            self._camera = self._open()
        except MasqueradeError as error:
            log.warning("%s", error)
            self.why, self._wanted = str(error), False

    def close(self) -> None:
        camera, self._camera = self._camera, None
        self._wanted = False
        if camera is not None:
            camera.close()
