"""One file being made in a process of its own: its word is heard, none of it is trusted, and it always ends."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realtime.errors import MasqueradeError

ROOT = Path(__file__).resolve().parents[2]
CHILD = (sys.executable, "-P", "-m", "realtime.web.job_child")

STALLED_S = 600.0
"""One that does not get on for so long never will: the slowest picture takes seconds, and loading ten, which are some
minutes where the live loop leaves it a fiftieth of a processor."""

LAST_WORDS_S = 2.0
"""So long what it said is read after its end: somebody it left behind may hold the pipe open for ever."""

_OWN_GROUP: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
"""So that it can be ended with all that it started. No session of its own: Linux would share the processor between
sessions, and give it as much as the live loop, however little urgent it says it is."""

LOOK_S = 1.0
LINE_BYTES, MOST_SAID_BYTES = 64 * 1024, 32 << 20
"""A job of a day says a tenth of that."""

_MOST = 1 << 40


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: pictures done, of how many (None: nobody knows), and how many a second."""

    done: int
    of: int | None
    fps: float


class JobProcess:
    """Runs `command` with one more argument, to its end. Runs on the panel's loop; use once.

    The process says lines of JSON on stdout: `done`, `of`, `fps`; `note`, a line for the user; `error`, why it gave up.
    Anything else is a library's own words. `stalled_s`: how long it may say nothing new before it is stopped.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
        stalled_s: float = STALLED_S,
    ) -> None:
        self._command, self._on_progress, self._on_note = command, on_progress, on_note
        self._stalled_s = stalled_s
        self._transport: asyncio.SubprocessTransport | None = None
        self._stopped = False
        self._refused: str | None = None
        self._done = -1
        self._moved_s = 0.0

    def stop(self) -> None:
        """End it now, whatever it does, with all that it started. May be called at any time."""
        self._stopped = True
        if self._transport is not None:
            _kill(self._transport)

    async def run(self, order: str) -> None:
        """Start it and wait for its end. Raises MasqueradeError, in one line, unless it ended as it should."""
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        transport, ears = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Ears(self._hear),
            *self._command,
            order,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            **_OWN_GROUP,
        )
        self._transport = transport
        if self._stopped:  # while it was being made
            _kill(transport)
        try:
            await self._until_it_ends(ears)
            await _within(LAST_WORDS_S, ears.deaf)
        finally:
            _kill(transport)
            await _within(LAST_WORDS_S, ears.ended)
            transport.close()
        if (code := transport.get_returncode()) != 0 or self._refused is not None:
            raise MasqueradeError(self._refused or _ending(code))

    async def _until_it_ends(self, ears: "_Ears") -> None:
        now_s = asyncio.get_running_loop().time
        self._moved_s = now_s()
        while not ears.ended.is_set():
            if ears.heard_bytes > MOST_SAID_BYTES:
                raise MasqueradeError("it said much and did little, and was stopped: please report it")
            left_s = self._moved_s + self._stalled_s - now_s()
            if left_s <= 0:
                raise MasqueradeError(
                    f"it did not get on for {_span(self._stalled_s)} and was stopped: try it again, or another file"
                )
            await _within(min(left_s, LOOK_S), ears.ended)

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(said, dict):
            return
        if (progress := _progress(said)) is not None:
            if progress.done > self._done:
                self._done, self._moved_s = progress.done, asyncio.get_running_loop().time()
            self._on_progress(progress)
        if isinstance(note := said.get("note"), str):
            self._on_note(note)
        if isinstance(error := said.get("error"), str) and error:
            self._refused = error


class _Ears(asyncio.SubprocessProtocol):
    """Cuts what is heard into lines; one that is longer than any of ours is thrown away in pieces."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.ended, self.deaf = asyncio.Event(), asyncio.Event()
        self.heard_bytes = 0
        self._hear = hear
        self._rest, self._too_long = b"", False

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.heard_bytes += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._too_long:
                self._hear(line)
            self._too_long = False
        if len(self._rest) > LINE_BYTES:
            self._rest, self._too_long = b"", True

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if not self._too_long:
            self._hear(self._rest)
        self.deaf.set()

    def process_exited(self) -> None:
        self.ended.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _progress(said: dict[str, Any]) -> Progress | None:
    """None for anything that could not be true."""
    done: Any = said.get("done")
    of: Any = said.get("of")
    fps: Any = said.get("fps")
    if not _is_number(done, int) or not _is_number(fps, int | float) or not (of is None or _is_number(of, int)):
        return None
    return Progress(done, of, float(fps))


def _is_number(said: Any, kind: Any) -> bool:
    return isinstance(said, kind) and not isinstance(said, bool) and 0 <= said < _MOST  # nor is nan less than anything


def _kill(transport: asyncio.SubprocessTransport) -> None:
    """It, and all that it started: it holds nothing that would have to be closed."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(transport.get_pid(), signal.SIGKILL)
    with suppress(ProcessLookupError):
        transport.kill()


def _ending(code: int | None) -> str:
    if sys.platform != "win32" and code is not None and -code == signal.SIGKILL:
        return "the system ended it (signal 9), most likely for want of memory: close other programs, or cut the file"
    what = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
    return f"it ended unexpectedly ({what}): try a smaller file"


def _span(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
