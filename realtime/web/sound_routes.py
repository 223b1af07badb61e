"""The voice on the page: what is said, as late as the picture that a page has drawn, to whoever asks to hear it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from aiohttp import WSMsgType, web

from realtime.audio.delay_line import DelayLine
from realtime.clock import NS_PER_S, Clock
from realtime.frame import Floats
from realtime.settings import Settings
from realtime.web.answers import Refused
from realtime.web.auth import HEADERS

PIECE_S = 0.020
MOST_LISTENERS = 4
SLOWEST_S = 1.0
"""No page may say that it holds back more."""

Overhear = Callable[[], DelayLine | None]
"""A voice of one's own to listen to, delayed like the pictures; None in a run without a live voice."""


class SoundRoutes:
    """Runs on the panel's loop.

    A listener gets 16-bit samples, mono at `sound.HEARD_HZ`, as they are due; and says once, as a number of seconds,
    how long it holds them before they are heard. `drawn_ms`: how long a page takes to draw a picture. While `panic` is
    set all is silent, like the picture: what is not to be seen is not to come out of a loudspeaker either.
    """

    def __init__(
        self,
        overhear: Callable[[], Overhear],
        get: Callable[[], Settings],
        drawn_ms: Callable[[], float | None],
        clock: Clock,
    ) -> None:
        self._overhear, self._get, self._drawn_ms, self._clock = overhear, get, drawn_ms, clock
        self._listeners: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """What this part answers."""
        return [web.get("/ws/sound", self._listen)]

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        voice = self._overhear()()
        if voice is None:
            raise Refused(404, "this run has no live voice: start it with --sound")
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refused(503, f"{MOST_LISTENERS} pages listen already: close one")
        socket = web.WebSocketResponse(compress=False, max_msg_size=64, heartbeat=10.0, timeout=1.0)
        socket.headers.update(HEADERS)
        await socket.prepare(request)
        self._listeners.add(socket)
        speaks: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                held_s = _seconds(message.data) if message.type is WSMsgType.TEXT else None
                if held_s is None or speaks is not None:
                    break  # nothing else is ever said by our page
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
                await socket.send_bytes(packed(samples, silent=self._get().panic))
            due_ns = max(due_ns + round(PIECE_S * NS_PER_S), self._clock())
            await asyncio.sleep((due_ns - self._clock()) / NS_PER_S)

    async def close(self) -> None:
        """Say good-bye to every listener."""
        for socket in list(self._listeners):
            with suppress(ConnectionError):
                await socket.close(code=1001, message=b"masquerade has ended")


def packed(samples: Floats, *, silent: bool) -> bytes:
    """16 bits each, little-endian; zeros where `silent`."""
    if silent:
        return bytes(2 * len(samples))
    return np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def _seconds(said: str) -> float | None:
    """A number of seconds that a page may hold sound back; None for anything else."""
    try:
        held_s = float(said)
    except ValueError:
        return None
    return held_s if 0.0 <= held_s <= SLOWEST_S else None
