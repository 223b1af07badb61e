"""Pictures to open pages: the newest one, to each as fast as it can draw."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cv2
from aiohttp import WSMsgType, web

from realtime.clock import NS_PER_MS, Clock
from realtime.frame import Frame, Pixels

JPEG_QUALITY = 80
LARGEST = (1280, 720)
"""Larger pictures are scaled down for the page: it is there to look at, not to keep."""

IN_FLIGHT = 2
"""Pictures sent to a page and not yet drawn by it. One on its way while one is drawn; more would only
age in the socket's buffers."""

STATUS_EVERY_S = 0.5


class Viewer:
    """One open page."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.fresh = asyncio.Event()
        self.free = asyncio.Semaphore(IN_FLIGHT)
        self.sent: deque[int] = deque()

    async def hear(self, clock: Clock, delays_ns: deque[int]) -> None:
        """Take the page's notes that it drew a picture, until it leaves."""
        async for message in self.socket:
            if message.type is not WSMsgType.TEXT or message.data != "drawn" or not self.sent:
                break  # nothing else is ever said by our page
            delays_ns.append(clock() - self.sent.popleft())
            self.free.release()


class Live:
    """Serves frames and the report over WebSockets. Everything but `offer` runs on the panel's loop.

    `status` gives what the page shows beside the picture, None where it shows nothing; `largest` is the (width, height)
    that no picture exceeds; `most_hz` how often a page gets one, None for as often as it can. `delays_ns` holds, for
    the last pictures, the time from the hand-over to the moment the page had drawn it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        status: Callable[[], dict[str, Any]] | None = None,
        largest: tuple[int, int] = LARGEST,
        most_hz: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._loop, self._clock, self._status, self._largest = loop, clock, status, largest
        self._most_hz = most_hz
        self._viewers: set[Viewer] = set()
        self._newest: tuple[Frame, int] | None = None
        self._jpeg: tuple[int, bytes] | None = None
        self.delays_ns: deque[int] = deque(maxlen=300)

    def offer(self, frame: Frame) -> None:
        """A new picture. Any thread; costs next to nothing while nobody looks."""
        self._newest = (frame, self._clock())
        if self._viewers:
            with suppress(RuntimeError):  # the loop ended this very moment
                self._loop.call_soon_threadsafe(self._wake)

    @property
    def newest(self) -> Frame | None:
        """The last picture offered; None before any."""
        return self._newest[0] if self._newest is not None else None

    @property
    def viewers(self) -> int:
        """How many pages look."""
        return len(self._viewers)

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.fresh.set()

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Serve one page until it leaves."""
        viewer = Viewer(socket)
        if self._newest is not None:
            viewer.fresh.set()
        self._viewers.add(viewer)
        talk = [asyncio.create_task(self._send_frames(viewer))]
        if self._status is not None:
            talk.append(asyncio.create_task(self._send_status(viewer, self._status)))
        try:
            await viewer.hear(self._clock, self.delays_ns)
        finally:
            self._viewers.discard(viewer)
            for task in talk:
                task.cancel()
            await asyncio.gather(*talk, return_exceptions=True)

    async def _send_frames(self, viewer: Viewer) -> None:
        while True:
            await viewer.free.acquire()
            await viewer.fresh.wait()
            viewer.fresh.clear()
            if self._newest is None:
                viewer.free.release()
                continue
            frame, shown_ns = self._newest
            jpeg = self._encode(frame, shown_ns)
            viewer.sent.append(shown_ns)
            await viewer.socket.send_bytes(jpeg)
            if (most_hz := self._most_hz()) is not None:
                await asyncio.sleep(1 / most_hz)
                viewer.fresh.clear()  # the next one is the newest; what came meanwhile has aged

    def _encode(self, frame: Frame, shown_ns: int) -> bytes:
        """Once for all pages. On the panel's thread: 2 ms, with the interpreter's lock released."""
        if self._jpeg is None or self._jpeg[0] != shown_ns:
            self._jpeg = (shown_ns, encode_jpeg(frame.pixels, self._largest))
        return self._jpeg[1]

    async def _send_status(self, viewer: Viewer, status: Callable[[], dict[str, Any]]) -> None:
        while True:
            await viewer.socket.send_str(json.dumps({**status(), "page_delay_ms": self.delay_ms()}))
            await asyncio.sleep(STATUS_EVERY_S)

    def delay_ms(self) -> float | None:
        """The median time from hand-over to drawn, of the last pictures; None before any."""
        ordered = sorted(self.delays_ns)
        return round(ordered[len(ordered) // 2] / NS_PER_MS, 1) if ordered else None

    async def close(self) -> None:
        """Say good-bye to every page."""
        for viewer in list(self._viewers):
            await viewer.socket.close(code=1001, message=b"masquerade has ended")


def encode_jpeg(pixels: Pixels, largest: tuple[int, int] = LARGEST) -> bytes:
    """The picture as JPEG, scaled down to `largest`, (width, height), where it is larger."""
    height, width = pixels.shape[:2]
    scale = min(largest[0] / width, largest[1] / height)
    if scale < 1:
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    ok, buffer = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok
    return buffer.tobytes()
