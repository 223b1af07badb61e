"""Keeps what was changed, a moment after the last of several changes: a slider moves sixty times a second."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

SOON_S = 1.0


class Keeping:
    """`keep` writes, and may take a while; `touch` says that something changed. Runs on `loop`, but for `touch`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keep: Callable[[], object]) -> None:
        self._loop, self._keep = loop, keep
        self._waiting: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[object] | None = None

    def touch(self) -> None:
        """Something changed. Any thread."""
        with suppress(RuntimeError):  # the loop ended this very moment
            self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._loop.call_later(SOON_S, self._write)

    def _write(self) -> None:
        self._waiting = None
        self._writing = self._loop.create_task(asyncio.to_thread(self._keep))

    async def close(self) -> None:
        """Keep now what waits to be kept."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._write()
        if self._writing is not None:
            await self._writing
