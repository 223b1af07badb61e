"""A finished file being made beside the live loop: the page's own job, over and over for a while."""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from realtime.config import RunConfig
from realtime.errors import DeviceError, MasqueradeError
from realtime.panel.job_process import CHILD, JobProcess, Progress

T = TypeVar("T")


class Made:
    """What came of it: how many pictures a second the job made, over all the time that it was looked at."""

    def __init__(self) -> None:
        self.frames, self.begun = 0, asyncio.Event()
        self._last = 0

    def note(self, progress: Progress) -> None:
        """As a job says it."""
        self.frames += max(progress.done - self._last, 0)
        self._last = progress.done
        if progress.done:
            self.begun.set()

    def again(self) -> None:
        """Another job begins to count."""
        self._last = 0


async def beside_a_job(
    config: RunConfig, measure: Callable[[], Awaitable[T]], child: Sequence[str] = CHILD, begin_s: float = 120.0
) -> tuple[T, int]:
    """What `measure` finds while a job with the run's options works, and how many pictures it made meanwhile.

    It begins when the job's first pictures are made: to load takes seconds. Raises DeviceError where no job began.
    """
    options = config.model_dump(include={"provider", "precision", "detector", "faces", "model", "avatar"})
    made = Made()
    with tempfile.TemporaryDirectory() as folder:
        output = [str(Path(folder) / "made.mp4")]
        order = json.dumps({**options, "source": config.source, "output": output, "pace": "all"})
        process: JobProcess | None = None

        async def work() -> None:
            nonlocal process
            while True:
                made.again()
                process = JobProcess(child, on_progress=made.note, on_note=lambda line: None)
                await process.run(order)

        works = asyncio.create_task(work())
        try:
            begins = asyncio.create_task(made.begun.wait())
            await asyncio.wait({works, begins}, timeout=begin_s, return_when=asyncio.FIRST_COMPLETED)
            begins.cancel()
            if not made.begun.is_set():
                raise DeviceError("no file could be made beside the run: try it on the page, which says why")
            before = made.frames
            found = await measure()
            return found, made.frames - before
        finally:
            if process is not None:
                process.stop()
            works.cancel()
            with suppress(asyncio.CancelledError, MasqueradeError):
                await works
