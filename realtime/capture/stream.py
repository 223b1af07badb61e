"""A network camera or stream address (rtsp, http, udp …) as a live source."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import av
from av.video.frame import VideoFrame

from realtime.capture.recording import ToBgr
from realtime.clock import Clock, now_ns
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.imaging.resize import letterbox
from realtime.threads import Event

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtmp", "rtmps", "srt", "rtp")
OPEN_S = 8.0
SILENT_S = 3.0
"""A stream that sends nothing for so long is opened again. FFmpeg's waits cannot be ended from
outside, so this also bounds how long `unblock` takes on a dead line; five seconds would be too long."""
RETRY_S = 0.5

_STEADY = 10  # a connection that gave so many frames was a good one
_OPTIONS = {
    "flags": "low_delay",
    "analyzeduration": "1000000",  # microseconds: enough to see the pictures, a fifth of the default
    "rtsp_transport": "tcp",  # UDP loses packets on wireless lines, and shows it as smears
}


class Stream:
    """Frames of a stream as they arrive. Obeys `Source`; raises DeviceError when it does not open.

    A stream that ends or falls silent is opened again every RETRY_S, and `state` says so. `size`,
    where given, is what frames are letterboxed to; without it, the stream's first size is. Frames are
    stamped when they are decoded: network time is not counted as ours. Passwords in the address are
    never shown.
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
        self.losses = 0
        self._address, self._clock = address, clock
        self._timeouts = open_s, silent_s
        self._name = without_password(address)
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._seq = self._came = 0
        self._state = "ok"
        self._container: av.container.InputContainer | None = None
        try:
            self._first: VideoFrame | None = self._open()
        except BaseException:
            self.close()
            raise
        self._size = size or self._to_bgr.size(self._first)

    def _open(self) -> VideoFrame:
        """Connect and decode the first frame. Raises DeviceError in plain words."""
        where = f"the stream {self._name}"
        try:
            options = dict(_OPTIONS)
            if not self._address.lower().startswith("http"):
                options["fflags"] = "nobuffer"  # what was looked at on opening is old: not for web files
            self._container = av.open(
                self._address, "r", options=options, timeout=self._timeouts, metadata_errors="replace"
            )
            if not self._container.streams.video:
                raise DeviceError(f"{where} has no video: give another address")
            stream = self._container.streams.video[0]
            stream.thread_type = "SLICE"  # threads by frame would each hold a frame back
            rate = stream.average_rate or stream.guessed_rate
            self._rate_hz = float(rate) if rate and 1 <= rate <= 240 else 30.0
            # A length means a file behind a web server, not a camera.
            self.finite = (self._container.duration or 0) > 0 and self._container.size > 0
            self._to_bgr = ToBgr(stream.sample_aspect_ratio)
            self._frames = self._decoded()
            first = next(self._frames, None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._disconnect()
            raise DeviceError(f"{where} does not open ({_why(error)}): check the address and the network") from error
        except BaseException:
            self._disconnect()
            raise
        if first is None:
            self._disconnect()
            raise DeviceError(f"{where} sends no picture: check the address, or whether the camera is on")
        return first

    def _decoded(self) -> Iterator[VideoFrame]:
        assert self._container is not None
        stream = self._container.streams.video[0]
        for packet in self._container.demux(stream):
            # A lost packet damages the pictures until the next key frame: those that decode are shown.
            with contextlib.suppress(av.error.InvalidDataError, av.error.PatchWelcomeError):
                yield from packet.decode()

    @property
    def name(self) -> str:
        """The address, without a password."""
        return self._name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self._size

    @property
    def rate_hz(self) -> float:
        """Frames a second as the stream says, 30 where it says nothing sensible."""
        return self._rate_hz

    @property
    def state(self) -> str:
        """`ok`, or that the stream is gone."""
        return self._state

    def read(self) -> Frame | None:
        """The next frame as soon as it is there; reconnects by itself. None once unblocked."""
        while not self._stop.is_set():
            decoded, self._first = self._first, None
            if decoded is None:
                decoded = self._next() if self._container is not None else self._reconnected()
            if decoded is None:
                continue
            self._state = "ok"
            self._came += 1
            pixels = letterbox(self._to_bgr(decoded), self._size)
            frame = Frame(pixels, self._seq, self._clock())
            self._seq += 1
            return frame
        return None

    def _next(self) -> VideoFrame | None:
        frame = None
        with contextlib.suppress(av.error.FFmpegError, OSError):
            frame = next(self._frames, None)
        if frame is None:
            self.losses += 1
            self._state = f"the stream {self._name} is gone: waiting for it"
            self._disconnect()
        return frame

    def _reconnected(self) -> VideoFrame | None:
        if self._came < _STEADY and self._wait(RETRY_S):
            return None  # it broke off at once last time: do not hammer the server
        # A shorter patience than at first: unblock must not wait for a server that is not there.
        self._timeouts = min(self._timeouts), self._timeouts[1]
        self._came = 0
        try:
            return self._open()
        except DeviceError:
            return None

    def _disconnect(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            container.close()
            gc.collect()  # a closed container and its decoder hold each other until then

    def unblock(self) -> None:
        """Make `read` return None: at once while frames come, else within SILENT_S. From any thread."""
        self._stop.set()

    def close(self) -> None:
        """Disconnect. May be called twice; not while another thread is in `read`."""
        self._stop.set()
        self._disconnect()


def without_password(address: str) -> str:
    """The address as it may be shown: user, password and query left out."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _why(error: Exception) -> str:
    if isinstance(error, (av.error.TimeoutError, av.error.ExitError)):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
