"""A network camera or stream address (rtsp, http, udp …) as a live source."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import av
from av.video.frame import VideoFrame

from realtime.capture.source import Reconnecting
from realtime.capture.to_bgr import ToBgr, deinterlaced
from realtime.clock import Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.imaging.resize import letterbox

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtmp", "rtmps", "srt", "rtp")
OPEN_S = 8.0
SILENT_S = 3.0
"""A stream that sends nothing for so long is opened again. FFmpeg's waits cannot be ended from outside, so this also
bounds how long `unblock` takes on a dead line; five seconds would be too long."""

_STEADY = 10  # a connection that gave so many frames was a good one
_OPTIONS = {
    "flags": "low_delay",
    "analyzeduration": "1000000",  # microseconds: enough to see the pictures, a fifth of the default
    "rtsp_transport": "tcp",  # UDP loses packets on wireless lines, and shows it as smears
}


class Stream(Reconnecting["_Connection"]):
    """Frames of a stream as they arrive. Obeys `Source`; raises DeviceError when it does not open.

    A stream that ends or falls silent is opened again every RETRY_S, and `state` says so. `size`, where given, is what
    frames are letterboxed to; without it, the stream's first size is. Frames are stamped when they are decoded: network
    time is not counted as ours. Passwords in the address are never shown.
    """

    live = True

    def __init__(
        self,
        address: str,
        *,
        size: tuple[int, int] | None = None,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
        open_s: float = OPEN_S,
        silent_s: float = SILENT_S,
    ) -> None:
        super().__init__(wait)
        self._address, self._clock = address, clock
        self._timeouts = open_s, silent_s
        self.name = without_password(address)
        """The address, without a password."""
        self._seq = self._came = 0
        self._device = first = self._open()
        self.finite = first.finite
        self.size = size or first.size

    def _open(self) -> "_Connection":
        connection = _Connection(self._address, self.name, self._timeouts)
        self.rate_hz = connection.rate_hz
        # A shorter patience than at first: unblock must not wait for a server that is not there.
        self._timeouts = min(self._timeouts), self._timeouts[1]
        self._came = 0
        return connection

    def read(self) -> Frame | None:
        """The next frame as soon as it is there; reconnects by itself. None once unblocked."""
        while not self._stop.is_set():
            connection = self._connected()
            if connection is None:
                continue
            decoded = connection.read()
            if decoded is None:
                # One that broke off at once is not hammered.
                self._lose(f"the stream {self.name} is gone: waiting for it", retry_at_once=self._came >= _STEADY)
                continue
            self.state = "ok"
            self._came += 1
            self._seq += 1
            pixels = letterbox(connection.to_bgr(decoded), self.size)
            return Frame(pixels, self._seq - 1, self._clock())
        return None


class _Connection:
    """An open stream whose first frame has come. Raises DeviceError in plain words."""

    def __init__(self, address: str, name: str, timeouts: tuple[float, float]) -> None:
        where = f"the stream {name}"
        options = dict(_OPTIONS)
        if not address.lower().startswith("http"):
            options["fflags"] = "nobuffer"  # what was looked at on opening is old: not for web files
        self._container: av.container.InputContainer | None = None
        try:
            self._container = av.open(address, "r", options=options, timeout=timeouts, metadata_errors="replace")
            if not self._container.streams.video:
                raise DeviceError(f"{where} has no video: give another address")
            stream = self._container.streams.video[0]
            stream.thread_type = "SLICE"  # threads by frame would each hold a frame back
            rate = stream.average_rate or stream.guessed_rate
            self.rate_hz = float(rate) if rate and 1 <= rate <= 240 else 30.0
            # A length means a file behind a web server, not a camera.
            self.finite = (self._container.duration or 0) > 0 and self._container.size > 0
            self.to_bgr = ToBgr(stream, stream.codec_context)
            self._frames: Iterator[VideoFrame] = deinterlaced(self._decoded(self._container))
            first = next(self._frames, None)
            if first is None:
                raise DeviceError(f"{where} sends no picture: check the address, or whether the camera is on")
            self.size = self.to_bgr.size(first)
            self._first: VideoFrame | None = first
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.close()
            raise DeviceError(f"{where} does not open ({_why(error)}): check the address and the network") from error
        except BaseException:
            self.close()
            raise

    def _decoded(self, container: av.container.InputContainer) -> Iterator[VideoFrame]:
        for packet in container.demux(container.streams.video[0]):
            # A lost packet damages the pictures until the next key frame: those that decode are shown.
            with contextlib.suppress(av.error.InvalidDataError, av.error.PatchWelcomeError):
                yield from packet.decode()

    def read(self) -> VideoFrame | None:
        """The next frame; None where the stream ended or fell silent."""
        first, self._first = self._first, None
        if first is not None:
            return first
        with contextlib.suppress(av.error.FFmpegError, OSError):
            return next(self._frames, None)
        return None

    def close(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            container.close()
            self._frames = iter(())
            gc.collect()  # a closed container and its decoder hold each other until then


def without_password(address: str) -> str:
    """The address as it may be shown: user, password and query left out."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _why(error: Exception) -> str:
    if isinstance(error, (av.error.TimeoutError, av.error.ExitError)):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
