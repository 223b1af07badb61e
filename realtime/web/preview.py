"""What open pages see and hear: the newest picture, as fast as each can draw it, and the voice in step with it."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
from aiohttp import WSMsgType, web

from realtime.audio.delay_line import DelayLine
from realtime.clock import NS_PER_MS, NS_PER_S, Clock
from realtime.frame import Floats, Frame, Pixels
from realtime.web.auth import HEADERS, WEBSOCKET, Refused
from realtime.web.controls import Controls

JPEG_QUALITY = 80
LARGEST = (1280, 720)
"""Larger pictures are scaled down for the page: it is there to look at, not to keep."""

IN_FLIGHT = 2
"""Pictures sent to a page and not yet drawn by it. One on its way while one is drawn; more would only
age in the socket's buffers."""

STATUS_EVERY_S = 0.5
MOST_VIEWERS = 8
MOST_LISTENERS = 4

BUSY_HZ, BUSY_SHARE, BUSY_FOR_S = 10.0, 0.1, 10.0
"""While a run drops more than that share of its frames, and for so long after, a page gets pictures at this rate. A
picture costs the browser and us about 14 ms of a processor (720p, measured): at 10 a second 7 % of two."""

PIECE_S = 0.020
SLOWEST_S = 1.0
"""No page may say that it holds back more sound."""


class Viewer:
    """An open page, the times of the pictures on their way to it, and room for more."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.fresh = asyncio.Event()
        self.free = asyncio.Semaphore(IN_FLIGHT)
        self.sent: deque[int] = deque()

    async def hear(self, clock: Clock, delays_ns: deque[int]) -> None:
        """Take the page's notes that it drew a picture, until it leaves."""
        async for message in self.socket:
            if message.type is not WSMsgType.TEXT or message.data != "drawn" or not self.sent:
                break  # our page never sends anything else
            delays_ns.append(clock() - self.sent.popleft())
            self.free.release()


class Preview:
    """Serves frames and a status over WebSockets. Everything but `offer` runs on the page's loop.

    `status` gives what the page shows beside the picture, None where it shows nothing; `largest` is the (width, height)
    that no picture exceeds. `delays_ns` holds, for the last pictures, the time from `offer` to drawn by the page.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        status: Callable[[], dict[str, Any]] | None = None,
        largest: tuple[int, int] = LARGEST,
    ) -> None:
        self._loop, self._clock, self._status, self._largest = loop, clock, status, largest
        self._counted, self._busy_until_ns = (0, 0), 0
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
        return self._newest[0] if self._newest is not None else None

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def note_load(self, report: Mapping[str, Any]) -> None:
        """Learn from a run's report whether it is short of time; with the page as its only output it may be."""
        frames = report.get("frames", {})
        counted = frames.get("captured", 0), frames.get("dropped", 0)
        captured, dropped = counted[0] - self._counted[0], counted[1] - self._counted[1]
        if all(name == "page" for name in report.get("outputs", ())):
            self._busy_until_ns = 0
        elif dropped > BUSY_SHARE * captured >= 0:
            self._busy_until_ns = self._clock() + round(BUSY_FOR_S * NS_PER_S)
        self._counted = counted

    @property
    def busy(self) -> bool:
        """True while pages get fewer pictures, so that a call gets its own in time."""
        return self._clock() < self._busy_until_ns

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.fresh.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Open a page's WebSocket and serve it until it leaves. Raises Refused."""
        if self.viewers >= MOST_VIEWERS:
            raise Refused(503, f"{MOST_VIEWERS} pages are open already: close one")
        socket = await open_socket(request, 1024)
        await self.serve(socket)
        return socket

    async def serve(self, socket: web.WebSocketResponse) -> None:
        viewer = Viewer(socket)
        if self._newest is not None:
            viewer.fresh.set()
        self._viewers.add(viewer)
        tasks = [asyncio.create_task(self._send_frames(viewer))]
        if self._status is not None:
            tasks.append(asyncio.create_task(self._send_status(viewer, self._status)))
        try:
            await viewer.hear(self._clock, self.delays_ns)
        finally:
            self._viewers.discard(viewer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_frames(self, viewer: Viewer) -> None:
        while True:
            await viewer.free.acquire()
            await viewer.fresh.wait()
            viewer.fresh.clear()
            if self._newest is None:
                viewer.free.release()
                continue
            frame, shown_ns = self._newest
            if self._jpeg is None or self._jpeg[0] != shown_ns:  # once for all pages; 2 ms, without the GIL
                self._jpeg = (shown_ns, encode_jpeg(frame.pixels, self._largest))
            viewer.sent.append(shown_ns)
            await viewer.socket.send_bytes(self._jpeg[1])
            if self.busy:
                await asyncio.sleep(1 / BUSY_HZ)
                viewer.fresh.clear()  # the next one is the newest; what came meanwhile has aged

    async def _send_status(self, viewer: Viewer, status: Callable[[], dict[str, Any]]) -> None:
        while True:
            await viewer.socket.send_str(json.dumps({**status(), "page_delay_ms": self.delay_ms()}))
            await asyncio.sleep(STATUS_EVERY_S)

    def delay_ms(self) -> float | None:
        """The median time from hand-over to drawn, of the last pictures; None before any."""
        ordered = sorted(self.delays_ns)
        return round(ordered[len(ordered) // 2] / NS_PER_MS, 1) if ordered else None

    async def close(self) -> None:
        for viewer in list(self._viewers):
            await viewer.socket.close(code=1001, message=b"masquerade has ended")


class VoicePreview:
    """Plays the live voice to pages that ask for it, as late as the picture they draw. Runs on the page's loop.

    A listener gets 16-bit samples, mono at `HEARD_HZ`, as they are due; and says once, as a number of seconds,
    how long it holds them before they are heard. `drawn_ms`: how long a page takes to draw a picture. While `panic` is
    set all is silent, like the picture.
    """

    def __init__(self, controls: Callable[[], Controls], drawn_ms: Callable[[], float | None], clock: Clock) -> None:
        self._controls, self._drawn_ms, self._clock = controls, drawn_ms, clock
        self._listeners: set[web.WebSocketResponse] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Open a listener's WebSocket and serve it until it leaves. Raises Refused."""
        voice = self._controls().overhear()
        if voice is None:
            raise Refused(404, "this run has no live voice: start it with --sound")
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refused(503, f"{MOST_LISTENERS} pages listen already: close one")
        socket = await open_socket(request, 64)
        self._listeners.add(socket)
        speaks: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                held_s = _seconds(message.data) if message.type is WSMsgType.TEXT else None
                if held_s is None or speaks is not None:
                    break  # our page never sends anything else
                speaks = asyncio.create_task(self._speak(socket, voice, held_s))
        finally:
            self._listeners.discard(socket)
            if speaks is not None:
                speaks.cancel()
                await asyncio.gather(speaks, return_exceptions=True)
        return socket

    async def _speak(self, socket: web.WebSocketResponse, voice: DelayLine, held_s: float) -> None:
        due_ns = self._clock()
        while True:
            late_s = (self._drawn_ms() or 0.0) / 1e3
            samples = voice(self._clock(), round((held_s + PIECE_S - late_s) * NS_PER_S))
            if len(samples):
                await socket.send_bytes(packed(samples, silent=self._controls().get_settings().panic))
            due_ns = max(due_ns + round(PIECE_S * NS_PER_S), self._clock())
            await asyncio.sleep((due_ns - self._clock()) / NS_PER_S)

    async def close(self) -> None:
        for socket in list(self._listeners):
            with suppress(ConnectionError):
                await socket.close(code=1001, message=b"masquerade has ended")


PREVIEW = web.AppKey("preview", Preview)


async def open_socket(request: web.Request, max_bytes: int) -> web.WebSocketResponse:
    """A WebSocket that takes messages of at most `max_bytes`. Not compressed: JPEGs don't shrink further."""
    socket = web.WebSocketResponse(
        protocols=(WEBSOCKET,), compress=False, max_msg_size=max_bytes, heartbeat=10.0, timeout=1.0
    )
    socket.headers.update(HEADERS)
    await socket.prepare(request)
    return socket


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


def packed(samples: Floats, *, silent: bool) -> bytes:
    """16 bits each, little-endian; zeros where `silent`."""
    if silent:
        return bytes(2 * len(samples))
    return np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def _seconds(text: str) -> float | None:
    """A number of seconds that a page may hold sound back; None for anything else."""
    try:
        held_s = float(text)
    except ValueError:
        return None
    return held_s if 0.0 <= held_s <= SLOWEST_S else None
