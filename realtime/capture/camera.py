"""What the webcam source asks of a camera driver: one protocol, one file a platform.

`v4l2.py` speaks to Linux, `opencv_camera.py` to macOS and Windows; tests bring their own.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from realtime.frame import Pixels

USUAL_SIZE = (1280, 720)
USUAL_RATE_HZ = 30.0
FLUENT_HZ = 24.0
"""Below this a face no longer moves fluently: a smaller picture at more frames a second is better."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One format of a camera: FourCC, (width, height) and frames a second."""

    fourcc: str
    size: tuple[int, int]
    rate_hz: float

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]} {self.fourcc} {self.rate_hz:.1f} fps"


@dataclass(frozen=True, slots=True)
class CameraFound:
    """A camera on this machine.

    `address` is what `--source` takes (`0`), `identity` what stays when the camera is plugged into the
    same socket again (the bus). `own` marks a virtual camera that masquerade itself feeds. `beside`
    holds the identities of the other cameras that were there when this one was chosen.
    """

    address: str
    name: str
    identity: str
    modes: tuple[Mode, ...] = ()
    own: bool = False
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """Which camera, and how: None leaves it to us. `known` is set when that very camera is to come back."""

    address: str
    size: tuple[int, int] | None = None
    rate_hz: float | None = None
    known: CameraFound | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """What one exposure gave: the picture, None where it came damaged.

    `stamp_ns` is the driver's own time on the one clock, None where it gives none.
    """

    pixels: Pixels | None
    stamp_ns: int | None = None


class CameraGone(Exception):
    """The device does not answer any more (unplugged, switched off). Never leaves `capture`."""


class Camera(Protocol):
    """An open camera that is sending. Only its pictures' thread calls it."""

    @property
    def found(self) -> CameraFound: ...

    @property
    def mode(self) -> Mode:
        """What the driver says it sends."""
        ...

    def read(self, seconds: float) -> RawFrame | None:
        """The newest picture, waiting about so long; None if none came. Raises CameraGone."""
        ...

    def close(self) -> None: ...


Opener = Callable[[CameraRequest], Camera]
"""Finds and opens a camera. Raises DeviceError with what to do."""

# How dear a format is: milliseconds to decode a 720p picture, about; unknown formats are not offered.
COST = {"BGR3": 0, "RGB3": 1, "NV12": 1, "YU12": 1, "YV12": 1, "YUYV": 1, "UYVY": 1}
COST |= {"GREY": 2, "MJPG": 3, "JPEG": 3}


def choose(modes: Iterable[Mode], size: tuple[int, int] | None, rate_hz: float | None) -> Mode | None:
    """The mode nearest to the wish: the size first if it was asked for, then the rate, then cheapness.

    So MJPG is taken just where uncompressed pictures of that size and rate do not fit the cable.
    Without a wish it is about 1280x720 at 30, but rather smaller than slower than FLUENT_HZ.
    None if there is nothing to choose from.
    """
    want_rate = rate_hz or USUAL_RATE_HZ
    want_area = math.prod(size or USUAL_SIZE)
    least = min(want_rate, FLUENT_HZ) if rate_hz is None else want_rate * 0.95

    def key(mode: Mode) -> tuple[bool, bool, float, float, int]:
        too_slow = mode.rate_hz < least
        other_size = size is not None and mode.size != size
        off = abs(math.log(math.prod(mode.size) / want_area))
        return other_size, too_slow, round(off, 3), abs(mode.rate_hz - want_rate), COST[mode.fourcc]

    usable = [mode for mode in modes if mode.fourcc in COST and math.prod(mode.size) > 0]
    return min(usable, key=key, default=None)
