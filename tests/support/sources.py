"""Scripted cameras, files and servers, and clocks that tests turn by hand: what sources are tried with."""

import socket
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from written_video import numbered_pictures

from realtime.capture.webcam import CameraFound, CameraGone, CameraRequest, Mode, RawFrame, Webcam
from realtime.clock import NS_PER_S
from realtime.errors import DeviceError
from realtime.frame import Frame

MS = 1_000_000
FOUND = CameraFound("0", "HD Webcam", "usb-1")


class Gone:
    """In a script: the device does not answer."""


class Silent:
    """In a script: no picture within the wait."""


class ScriptedCamera:
    """Plays a script of levels (0..255), None (a damaged picture), Gone or Silent."""

    def __init__(self, bench: "Bench", script: Iterable[object], size: tuple[int, int], found: CameraFound) -> None:
        self.bench, self.script, self.size = bench, iter(script), size
        self.found = found
        self.mode = Mode("MJPG", size, 30.0)
        self.closed = 0

    def read(self, seconds: float) -> RawFrame | None:
        step = next(self.script, Gone)
        if step is Gone:
            raise CameraGone("unplugged")
        if step is Silent:
            self.bench.now += round(seconds * NS_PER_S)
            return None
        self.bench.now += self.bench.period_ns
        if step is None:
            return RawFrame(None)
        width, height = self.size
        stamp = self.bench.now - self.bench.age_ns if self.bench.age_ns is not None else None
        assert isinstance(step, int)
        return RawFrame(np.full((height, width, 3), step, np.uint8), stamp)

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A clock and the cameras that are there, one after the other; an error in the list is raised."""

    def __init__(self) -> None:
        self.now = NS_PER_S
        self.period_ns = 40 * MS
        self.age_ns: int | None = None
        self.plan: Iterator[object] = iter(())
        self.wishes: list[CameraRequest] = []
        self.cameras: list[ScriptedCamera] = []
        self.sources: list[Webcam] = []

    def camera(
        self, script: Iterable[object], size: tuple[int, int] = (64, 48), found: CameraFound = FOUND
    ) -> ScriptedCamera:
        self.cameras.append(ScriptedCamera(self, script, size, found))
        return self.cameras[-1]

    def source(self, *plan: ScriptedCamera | DeviceError, **options: object) -> Webcam:
        self.plan = iter(plan)
        source = Webcam(
            "0",
            open_camera=self.open,
            clock=lambda: self.now,
            wait=self.wait,
            **options,  # type: ignore[arg-type]
        )
        self.sources.append(source)
        return source

    def open(self, wish: CameraRequest) -> ScriptedCamera:
        self.wishes.append(wish)
        step = next(self.plan, DeviceError("camera 0 is not there: plug it in again"))
        if isinstance(step, DeviceError):
            raise step
        assert isinstance(step, ScriptedCamera)
        return step

    def wait(self, seconds: float) -> bool:
        self.now += round(seconds * NS_PER_S)
        return False


def take(source: Webcam, count: int) -> list[Frame]:
    frames = [source.read() for _ in range(count)]
    assert None not in frames
    return [frame for frame in frames if frame is not None]


class ScriptedFile:
    """A seekable source with given times."""

    live, state, name, size = False, "ok", "scripted", (2, 2)

    def __init__(self, times_s: Sequence[float], rate_hz: float, duration_s: float | None) -> None:
        self.times_s, self.rate_hz, self.duration_s = times_s, rate_hz, duration_s
        self.at = self.seq = self.closed = 0
        self.unblocked = False

    def read(self) -> Frame | None:
        if self.at == len(self.times_s) or self.unblocked:
            return None
        frame = Frame(np.zeros((2, 2, 3), np.uint8), self.seq, -1, self.times_s[self.at])
        self.at, self.seq = self.at + 1, self.seq + 1
        return frame

    def rewind(self) -> None:
        self.at = 0

    def unblock(self) -> None:
        self.unblocked = True

    def close(self) -> None:
        self.closed += 1


BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"


class JpegServer:
    """Serves scripted connections: each gets so many numbered JPEGs, then is closed (or kept silent)."""

    def __init__(self, connections: list[tuple[int, tuple[int, int]]], silent_at_end: bool = False) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(60)
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/video"
        # Encoded beforehand, so that a busy machine sends without a pause.
        self.connections = [
            [cv2.imencode(".jpg", picture)[1].tobytes() for picture in numbered_pictures(*one)] for one in connections
        ]
        self.silent_at_end = silent_at_end
        self.open: list[socket.socket] = []

    def serve(self) -> None:
        try:
            for pictures in self.connections:
                line, _ = self.socket.accept()
                self.open.append(line)
                line.recv(4096)
                line.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
                for picture in pictures:
                    line.sendall(BOUNDARY + picture + b"\r\n")
                if not self.silent_at_end:
                    line.close()
        except OSError:
            pass  # the test is over, or the reader has gone

    def stop(self) -> None:
        for each in (*self.open, self.socket):
            each.close()
