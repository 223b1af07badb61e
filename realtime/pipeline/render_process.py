"""Renders one file in a process of its own, of the lowest priority: a file that crashes a decoder ends only the child.

The child prints lines of JSON: `done`, `of`, `fps`; `note`, a line for the user; `error`, why it gave up.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from pydantic import BaseModel, Field, ValidationError

from realtime.capture.media_file import media_url
from realtime.config import RunConfig, make_config
from realtime.errors import MasqueradeError
from realtime.pipeline.av_sync import STILL_HZ
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session
from realtime.text import printable

ROOT = Path(__file__).resolve().parents[2]
CHILD = (sys.executable, "-P", "-m", "realtime.pipeline.render_process")

STALLED_S = 600.0
"""A child without progress for so long is stopped: the slowest picture takes seconds, and loading ten, which are some
minutes where the live loop leaves it a fiftieth of a processor."""

LOOK_S = 1.0
LAST_WORDS_S = 2.0
"""How long a killed child is waited for: a process it left behind may hold its pipe open for ever."""

LINE_BYTES, MOST_BYTES = 64 * 1024, 32 << 20
"""Of output: a job of a day prints a tenth of that."""

_MOST = 1 << 40
_OWN_GROUP: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
"""So that it can be killed with all that it started. No session of its own: Linux would share the processor between
sessions, and give it as much as the live loop, whatever its priority."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Pictures done, of how many (None: unknown), and how many a second."""

    done: int
    of: int | None
    fps: float


class _Line(BaseModel, strict=True, frozen=True):
    """A line of a child's output, which is untrusted: what could not be true is no line of ours."""

    done: int | None = Field(None, ge=0, lt=_MOST)
    of: int | None = Field(None, ge=0, lt=_MOST)
    fps: float | None = Field(None, ge=0, lt=_MOST)
    note: str | None = None
    error: str | None = None


async def render(
    options: dict[str, Any],
    *,
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
    command: Sequence[str] = CHILD,
    stalled_s: float = STALLED_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run `command` with a run's options as JSON, to its end; cancel the task to kill it.

    It is stopped when it makes no progress for `stalled_s`. Raises MasqueradeError, in one line, unless it succeeds.
    """
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = await asyncio.create_subprocess_exec(
        *command,
        json.dumps(options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": paths},
        limit=LINE_BYTES,
        **_OWN_GROUP,
    )
    try:
        error = await _follow(process, on_progress, on_note, stalled_s, clock)
        code = process.returncode
    finally:
        _kill(process)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), LAST_WORDS_S)
    if code != 0 or error is not None:
        raise MasqueradeError(error or _ending(code))


async def _follow(
    process: asyncio.subprocess.Process,
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
    stalled_s: float,
    clock: Callable[[], float],
) -> str | None:
    """Read its output until it ends; gives the error it stated. Raises MasqueradeError where it must be stopped."""
    assert process.stdout is not None
    error, done, heard, moved_s = None, -1, 0, clock()
    while True:
        left_s = moved_s + stalled_s - clock()
        if left_s <= 0:
            span = f"{stalled_s / 60:g} minutes" if stalled_s >= 60 else f"{stalled_s:g} s"
            raise MasqueradeError(f"it made no progress for {span} and was stopped: try it again, or another file")
        if heard > MOST_BYTES:
            raise MasqueradeError("it printed much and did little, and was stopped: please report it")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), min(left_s, LOOK_S))
        except ValueError:  # longer than any line of ours
            heard += LINE_BYTES
            continue
        except TimeoutError:
            if process.returncode is not None:  # a process it left behind holds the pipe
                return error
            continue
        if not line:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), left_s)
            if process.returncode is not None:
                return error
            continue
        heard += len(line)
        try:
            said = _Line.model_validate_json(line)
        except ValidationError:  # libraries print, too
            continue
        if said.done is not None and said.fps is not None:
            if said.done > done:
                done, moved_s = said.done, clock()
            on_progress(Progress(said.done, said.of, said.fps))
        if said.note is not None:
            on_note(said.note)
        error = said.error or error


def _kill(process: asyncio.subprocess.Process) -> None:
    """It and all that it started: it holds nothing that would have to be closed."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        process.kill()


def _ending(code: int | None) -> str:
    if sys.platform != "win32" and code is not None and -code == signal.SIGKILL:
        return "the system ended it (signal 9), most likely for want of memory: close other programs, or cut the file"
    what = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
    return f"it ended unexpectedly ({what}): try a smaller file"


# In the child.


class _Notes(logging.Handler):
    """Passes the program's warnings on to the parent."""

    def emit(self, record: logging.LogRecord) -> None:
        _send(note=printable(record.getMessage(), 300))


def _send(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def expected_frames(config: RunConfig) -> int | None:
    """How many pictures the file will have, about; None where its header does not say."""
    with (
        suppress(OSError, av.error.FFmpegError, ValueError),
        av.open(media_url(config.sound or config.source)) as opened,
    ):
        stream = next(iter(opened.streams.audio if config.sound else opened.streams.video), None)
        if stream is None:
            return None
        if not config.sound and stream.frames:
            return int(stream.frames)
        rate = STILL_HZ if config.sound else stream.average_rate
        seconds = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        if seconds is None and opened.duration:
            seconds = Fraction(opened.duration, av.time_base)
        if seconds and rate:
            return max(1, round(float(seconds) * float(rate)))
    return None


def _run(config: RunConfig) -> None:
    parent, of = os.getppid(), expected_frames(config)

    def say(_: str) -> None:
        if os.getppid() != parent:
            sys.exit(1)  # nobody is left to take the file
        tally = session.parts.tally
        _send(done=tally.captured, of=of, fps=tally.fps)

    session = Session(open_parts(config), say=say)
    session.run()


def main(options: str) -> int:
    """Render with a run's options, JSON. 0 where the file is made; else a line `error` was printed."""
    with suppress(OSError, AttributeError):  # Windows has no such call
        os.nice(19)
    logging.getLogger("realtime").addHandler(_Notes(logging.WARNING))
    try:
        _run(make_config({}, json.loads(options)))
    except MasqueradeError as error:
        _send(error=str(error))
        return 1
    except Exception as error:
        _send(error=f"unexpected {type(error).__name__}: {printable(error, 200)}: please report it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
