"""A camera on macOS and Windows, through OpenCV."""

from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np

from realtime.capture.camera import USUAL_RATE_HZ, USUAL_SIZE, CameraFound, CameraGone, CameraRequest, Mode, RawFrame
from realtime.errors import DeviceError

_MJPG_FROM = 1280 * 720  # uncompressed, USB 2 carries smaller pictures at 30 a second, not this
_FAILURES = 5  # reads in a row: one alone is a hiccup of the driver


class Capture(Protocol):
    """The part of cv2.VideoCapture we use."""

    def isOpened(self) -> bool: ...
    def set(self, prop: int, value: float, /) -> bool: ...
    def get(self, prop: int, /) -> float: ...
    def read(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


def video_capture(number: int, backend: int) -> Capture:
    """OpenCV's own."""
    return cv2.VideoCapture(number, backend)


class OpenCvCamera:
    """An open camera. Obeys `Camera`. Raises DeviceError when it does not open.

    A read takes as long as the driver takes: at most about one second on either system, also
    after the camera was unplugged.
    """

    def __init__(
        self,
        found: CameraFound,
        number: int,
        backend: int,
        wish: CameraRequest,
        capture: Callable[[int, int], Capture] = video_capture,
    ) -> None:
        self._found = found
        self._failed = 0
        self._capture: Capture | None = capture(number, backend)
        if not self._capture.isOpened():
            self.close()
            raise DeviceError(
                f"camera {found.address} does not open: close other programs that use it, and allow this "
                "program the camera in the system's privacy settings"
            )
        size, rate = wish.size or USUAL_SIZE, wish.rate_hz or USUAL_RATE_HZ
        # The format first: drivers look up the size within it.
        if size[0] * size[1] >= _MJPG_FROM or rate > USUAL_RATE_HZ:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, rate)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    @property
    def found(self) -> CameraFound:
        """Which camera this is."""
        return self._found

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
        """Let go of the device. May be called twice."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
