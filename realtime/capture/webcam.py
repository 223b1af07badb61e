"""A camera as a source, and what it asks of a camera driver: one protocol, one driver a platform.

The drivers are in `v4l2.py` (Linux) and `devices.py` (macOS and Windows); tests bring their own.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from realtime.capture.source import Reconnecting
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import letterbox

USUAL_SIZE = (1280, 720)
USUAL_RATE_HZ = 30.0
FLUENT_HZ = 24.0  # below this a face no longer moves fluently: a smaller picture at more frames a second is better


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

    `address` is what `--source` takes (`0`), `identity` what stays when the camera is plugged into the same socket
    again (the bus). `own` marks a virtual camera that masquerade itself feeds. `beside` holds the identities of the
    other cameras that were there when this one was chosen.
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

    def read(self, seconds: float) -> RawFrame | None:
        """The newest picture, waiting about so long; None if none came. Raises CameraGone."""

    def close(self) -> None: ...


Opener = Callable[[CameraRequest], Camera]  # finds and opens a camera. Raises DeviceError with what to do.

# What a format costs: milliseconds to decode a 720p picture, about; unknown formats are not offered.
COST = {"BGR3": 0, "RGB3": 1, "NV12": 1, "YU12": 1, "YV12": 1, "YUYV": 1, "UYVY": 1}
COST |= {"GREY": 2, "MJPG": 3, "JPEG": 3}


def choose(modes: Iterable[Mode], size: tuple[int, int] | None, rate_hz: float | None) -> Mode | None:
    """The mode nearest to the wish: the size first if it was asked for, then the rate, then cheapness.

    So MJPG is taken just where uncompressed pictures of that size and rate do not fit the cable. Without a wish it is
    about 1280x720 at 30, but rather smaller than slower than FLUENT_HZ. None if there is nothing to choose from.
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


POLL_S = 0.1  # how long one wait for the driver lasts: `unblock` takes effect within it
SILENT_S = 2.0  # a camera that sends nothing for so long is closed and opened again
FIRST_S = 8.0  # how long a camera may take to send its first picture; slow USB cameras take up to five seconds
WARM_UP_S = 0.5  # how long the rate is measured before the first frame is handed out; it is refined all the time
MANY = 30  # so many black or damaged pictures in a row are worth a word
_WINDOW_S = 3.0
_PLAUSIBLE_NS = NS_PER_S  # a driver's stamp older than this, or in the future, is not on our clock
_BLACK = 4.0  # mean level; a covered lens gives noise around 1 to 3


class Webcam(Reconnecting[Camera]):
    """Frames of a camera, newest first. Obeys `Source`; open when constructed, after a short warm-up.

    `size` and `fps` are wishes: a `size` that the camera does not give is a DeviceError, since the user asked for it;
    without it, whatever comes is taken. `captured_ns` is the driver's own timestamp where it has a plausible one.
    `skipped` counts pictures that came damaged. A camera that was unplugged is looked for by bus and name, whatever
    number it comes back with; should it come back with another size, its pictures are letterboxed to the first.
    """

    live = True

    def __init__(
        self,
        address: str,
        *,
        open_camera: Opener,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
        warm_up_s: float = WARM_UP_S,
    ) -> None:
        super().__init__(wait)
        self.skipped = 0
        self._open_camera, self._clock = open_camera, clock
        self._stamps: deque[int] = deque()
        self._seq = self._dark = self._damaged = 0
        self._last_ns = -1
        self.size = (0, 0)
        self._request = CameraRequest(address, size, fps)
        self._device = self._open()
        try:
            self._first = self._warmed_up(self._device, warm_up_s)
        except BaseException:
            self.close()
            raise

    def _open(self) -> Camera:
        camera = self._open_camera(self._request)
        found = camera.found
        self._request = replace(self._request, known=found)
        self._mode = camera.mode
        self._label = f"camera {found.address}"
        self.name = f"{found.name} ({self._label})"
        self._came_ns = self._clock()
        self._sent = False
        return camera

    def _warmed_up(self, camera: Camera, seconds: float) -> tuple[Pixels, int] | None:
        """The first pictures, thrown away but for the last, to learn the true size and rate."""
        started, last = self._clock(), None
        while not self._stop.is_set():
            limit_s = seconds if last else FIRST_S
            if self._clock() - started >= limit_s * NS_PER_S:
                break
            try:
                raw = camera.read(POLL_S)
            except CameraGone as error:
                raise DeviceError(f"{self._label} stopped while it was opened: plug it in again") from error
            if raw is None or raw.pixels is None:
                continue
            if last is None:
                started = self._clock()
                self._check_size(raw.pixels)
            last = raw.pixels, self._stamped(raw)
        if last is None and not self._stop.is_set():
            raise DeviceError(
                f"{self._label} sends no picture within {FIRST_S:g} s: unplug it and plug it in again, "
                "or choose another camera (masquerade devices)"
            )
        self._sent = last is not None
        return last

    def _check_size(self, pixels: Pixels) -> None:
        self.size = pixels.shape[1], pixels.shape[0]
        asked = self._request.size
        if asked is not None and asked != self.size:
            gave = f"{self.size[0]}x{self.size[1]}"
            raise DeviceError(
                f"{self._label} gave {gave}, asked for {asked[0]}x{asked[1]}: "
                f"pass --size {gave} or choose another camera (masquerade devices)"
            )

    @property
    def rate_hz(self) -> float:
        """Frames a second as they really came in the last seconds; the driver's claim before that."""
        span = self._stamps[-1] - self._stamps[0] if self._stamps else 0
        if span < 0.25 * NS_PER_S or len(self._stamps) < 4:
            return self._mode.rate_hz
        return (len(self._stamps) - 1) * NS_PER_S / span

    def read(self) -> Frame | None:
        """The next picture; waits for a lost camera to come back. None once unblocked."""
        if self._first is not None and not self._stop.is_set():
            (pixels, stamp), self._first = self._first, None
            return self._frame(pixels, stamp)
        while not self._stop.is_set():
            camera = self._connected()
            if camera is None:
                continue
            try:
                raw = camera.read(POLL_S)
            except CameraGone:
                self._lost("is gone")
                continue
            now = self._clock()
            if raw is None:
                if now - self._came_ns > SILENT_S * NS_PER_S:
                    self._lost("sends nothing")
                continue
            self._came_ns = now
            if raw.pixels is None:
                self.skipped += 1
                self._damaged += 1
                if self._damaged >= MANY:
                    self.state = f"{self._label} sends damaged pictures: try another cable or port"
                continue
            self._damaged, self._sent = 0, True
            self.state = self._judge(raw.pixels)
            return self._frame(letterbox(raw.pixels, self.size), self._stamped(raw))
        return None

    def _lost(self, how: str) -> None:
        self._stamps.clear()
        # One that had sent something may be back at once; one that opens but never sends is not tried in a rush.
        self._lose(f"{self._label} {how}: waiting for it", retry_at_once=self._sent)

    def _frame(self, pixels: Pixels, stamp_ns: int) -> Frame:
        frame = Frame(pixels, self._seq, stamp_ns)
        self._seq += 1
        return frame

    def _stamped(self, raw: RawFrame) -> int:
        """The moment of the picture, never going back, kept for the rate."""
        now, given = self._clock(), raw.stamp_ns
        stamp = given if given is not None and 0 <= now - given <= _PLAUSIBLE_NS else now
        self._last_ns = max(stamp, self._last_ns + 1)
        self._stamps.append(self._last_ns)
        while self._stamps[-1] - self._stamps[0] > _WINDOW_S * NS_PER_S:
            self._stamps.popleft()
        return self._last_ns

    def _judge(self, pixels: Pixels) -> str:
        """The state: pictures that stay black are worth a word. Every 16th pixel is enough to tell."""
        self._dark = self._dark + 1 if pixels[::16, ::16].mean() < _BLACK else 0
        if self._dark >= MANY:
            return f"{self._label} gives black pictures: cover or privacy switch?"
        return "ok"
