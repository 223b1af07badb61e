"""A camera as a source: survives unplugging, says what it really delivers and what is wrong with it."""

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from realtime.capture.camera import Camera, CameraGone, CameraRequest, Mode, Opener, RawFrame
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import letterbox
from realtime.threads import Event

POLL_S = 0.1
"""How long one wait for the driver lasts: `unblock` takes effect within it."""
RETRY_S = 0.5
"""How often a lost camera is looked for: back well within 2 s of its return."""
SILENT_S = 2.0
"""A camera that sends nothing for so long is closed and opened again."""
FIRST_S = 8.0
"""How long a camera may take to send its first picture; slow USB cameras take up to five seconds."""
WARM_UP_S = 0.5
"""How long the rate is measured before the first frame is handed out; it is refined all the time."""
MANY = 30
"""So many black or damaged pictures in a row are worth a word."""

_WINDOW_S = 3.0
_PLAUSIBLE_NS = NS_PER_S  # a driver's stamp older than this, or in the future, is not on our clock
_BLACK = 4.0  # mean level; a covered lens gives noise around 1 to 3


class Webcam:
    """Frames of a camera, newest first. Obeys `Source`; open when constructed, after a short warm-up.

    `size` and `fps` are wishes: a `size` that the camera does not give is a DeviceError, since the
    user asked for it; without it, whatever comes is taken. `captured_ns` is the driver's own
    timestamp where it has a plausible one. `skipped` counts pictures that came damaged. A camera that
    was unplugged is looked for every RETRY_S by bus and name, whatever number it comes back with;
    should it come back with another size, its pictures are letterboxed to the first.
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
        self.skipped = self.losses = 0
        self._open_camera, self._clock = open_camera, clock
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._stamps: deque[int] = deque()
        self._seq = self._dark = self._damaged = 0
        self._last_ns = -1
        self._state = "ok"
        self._size = (0, 0)
        self._camera: Camera | None = None
        self._wish = CameraRequest(address, size, fps)
        try:
            self._camera = self._open()
            self._first = self._warmed_up(warm_up_s)
        except BaseException:
            self.close()
            raise

    def _open(self) -> Camera:
        camera = self._open_camera(self._wish)
        found = camera.found
        self._wish = replace(self._wish, known=found)
        self._mode = camera.mode
        self._label = f"camera {found.address}"
        self._name = f"{found.name} ({self._label})"
        self._seen_ns = self._clock()
        self._sent = False
        return camera

    def _warmed_up(self, seconds: float) -> tuple[Pixels, int] | None:
        """The first pictures, thrown away but for the last, to learn the true size and rate."""
        assert self._camera is not None
        started, last = self._clock(), None
        while not self._stop.is_set():
            limit_s = seconds if last else FIRST_S
            if self._clock() - started >= limit_s * NS_PER_S:
                break
            try:
                shot = self._camera.read(POLL_S)
            except CameraGone as error:
                raise DeviceError(f"{self._label} stopped while it was opened: plug it in again") from error
            if shot is None or shot.pixels is None:
                continue
            if last is None:
                started = self._clock()
                self._check_size(shot.pixels)
            last = shot.pixels, self._stamped(shot)
        if last is None and not self._stop.is_set():
            raise DeviceError(
                f"{self._label} sends no picture within {FIRST_S:g} s: unplug it and plug it in again, "
                "or choose another camera (masquerade devices)"
            )
        self._sent = last is not None
        return last

    def _check_size(self, pixels: Pixels) -> None:
        self._size = pixels.shape[1], pixels.shape[0]
        asked = self._wish.size
        if asked is not None and asked != self._size:
            gave = f"{self._size[0]}x{self._size[1]}"
            raise DeviceError(
                f"{self._label} gave {gave}, asked for {asked[0]}x{asked[1]}: "
                f"pass --size {gave} or choose another camera (masquerade devices)"
            )

    @property
    def name(self) -> str:
        """The camera's name and address."""
        return self._name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        return self._size

    @property
    def rate_hz(self) -> float:
        """Frames a second as they really came in the last seconds; the driver's claim before that."""
        span = self._stamps[-1] - self._stamps[0] if self._stamps else 0
        if span < 0.25 * NS_PER_S or len(self._stamps) < 4:
            return self._mode.rate_hz
        return (len(self._stamps) - 1) * NS_PER_S / span

    @property
    def format(self) -> str:
        """What is really delivered: `1280x720 MJPG 30.0 fps`."""
        return str(Mode(self._mode.fourcc, self._size, self.rate_hz))

    @property
    def state(self) -> str:
        """`ok`, or what is wrong with the camera in one line."""
        return self._state

    def read(self) -> Frame | None:
        """The next picture; waits for a lost camera to come back. None once unblocked."""
        if self._first is not None and not self._stop.is_set():
            (pixels, stamp), self._first = self._first, None
            return self._frame(pixels, stamp)
        while not self._stop.is_set():
            if self._camera is None:
                self._look_for_it()
                continue
            try:
                shot = self._camera.read(POLL_S)
            except CameraGone:
                self._lost(f"{self._label} is gone: waiting for it")
                continue
            now = self._clock()
            if shot is None:
                if now - self._seen_ns > SILENT_S * NS_PER_S:
                    self._lost(f"{self._label} sends nothing: waiting for it")
                continue
            self._seen_ns = now
            if shot.pixels is None:
                self.skipped += 1
                self._damaged += 1
                if self._damaged >= MANY:
                    self._state = f"{self._label} sends damaged pictures: try another cable or port"
                continue
            self._damaged, self._sent = 0, True
            self._judge(shot.pixels)
            return self._frame(letterbox(shot.pixels, self._size), self._stamped(shot))
        return None

    def _frame(self, pixels: Pixels, stamp_ns: int) -> Frame:
        frame = Frame(pixels, self._seq, stamp_ns)
        self._seq += 1
        return frame

    def _stamped(self, shot: RawFrame) -> int:
        """The moment of the picture, never going back, kept for the rate."""
        now, said = self._clock(), shot.stamp_ns
        stamp = said if said is not None and 0 <= now - said <= _PLAUSIBLE_NS else now
        self._last_ns = max(stamp, self._last_ns + 1)
        self._stamps.append(self._last_ns)
        while self._stamps[-1] - self._stamps[0] > _WINDOW_S * NS_PER_S:
            self._stamps.popleft()
        return self._last_ns

    def _judge(self, pixels: Pixels) -> None:
        """Say so when the pictures stay black. Every 16th pixel is enough to tell."""
        self._dark = self._dark + 1 if pixels[::16, ::16].mean() < _BLACK else 0
        if self._dark >= MANY:
            self._state = f"{self._label} gives black pictures: cover or privacy switch?"
        else:
            self._state = "ok"

    def _lost(self, state: str) -> None:
        self.losses += 1
        self._state = state
        self._retry_at_once = self._sent
        self._stamps.clear()
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _look_for_it(self) -> None:
        if not self._retry_at_once and self._wait(RETRY_S):
            return
        self._retry_at_once = False
        with contextlib.suppress(DeviceError):  # not yet
            self._camera = self._open()

    def unblock(self) -> None:
        """Make `read` return None within POLL_S. From any thread."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the camera. May be called twice; not while another thread is in `read`."""
        self._stop.set()
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
