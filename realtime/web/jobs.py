"""Files being made: one at a time, in the order they were asked for, each in a process of its own."""

import asyncio
import itertools
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from realtime.errors import MasqueradeError
from realtime.text import printable
from realtime.web.answers import Refused
from realtime.web.job_process import CHILD, STALLED_S, JobProcess, Progress
from realtime.web.results import Results

log = logging.getLogger(__name__)

MOST_WAITING = 20
MOST_ENDED = 20
ENOUGH_FRAMES = 10
"""With fewer the first ones, which are slow, would say how long the rest takes."""

UNFINISHED = "made.mp4"
"""What a job writes, in its own folder; only a whole file ever leaves it."""

State = Literal["waiting", "running", "done", "failed"]


@dataclass(slots=True, eq=False)
class Job:
    """One file to make: what it is called, whom it shows, and how far it is.

    `folder` is the job's own and goes with it; `source` lies in it. `options` are those of the run.
    """

    title: str
    who: str
    stem: str
    folder: Path
    source: Path
    options: Mapping[str, Any]
    number: int = 0
    state: State = "waiting"
    done: int = 0
    of: int | None = None
    fps: float = 0.0
    said: str | None = None
    result: str | None = None

    def report(self) -> dict[str, Any]:
        """As the page shows it. `left_s` is None until it can be told."""
        share = min(self.done / self.of, 1.0) if self.of else None
        told = self.of and self.fps > 0 and self.done >= ENOUGH_FRAMES
        left_s = max(self.of - self.done, 0) / self.fps if self.of and told else None
        return {
            "number": self.number,
            "title": self.title,
            "who": self.who,
            "state": self.state,
            "share": None if share is None else round(share, 3),
            "left_s": None if left_s is None else round(left_s),
            "said": self.said,
            "result": self.result,
        }


class Jobs:
    """The queue. Runs on the panel's loop; `close` leaves no process and nothing unfinished behind.

    `child` is the command that gets a run's options as JSON; one that does not get on for `stalled_s` is stopped.
    """

    def __init__(
        self, results: Results | None = None, child: Sequence[str] = CHILD, stalled_s: float = STALLED_S
    ) -> None:
        self.results = results or Results()
        self._child, self._stalled_s = child, stalled_s
        self._numbers = itertools.count(1)
        self._jobs: list[Job] = []
        self._working: asyncio.Task[None] | None = None
        self._process: JobProcess | None = None

    def report(self) -> list[dict[str, Any]]:
        """All jobs, in their order."""
        return [job.report() for job in self._jobs]

    def check_room(self) -> None:
        """Raises Refused where too many wait."""
        if sum(job.state in ("waiting", "running") for job in self._jobs) >= MOST_WAITING:
            raise Refused(429, f"{MOST_WAITING} files wait already: let one be finished first")

    def add(self, job: Job) -> int:
        """Take a job into the queue; gives its number."""
        job.number = next(self._numbers)
        self._jobs.append(job)
        ended = [job for job in self._jobs if job.state in ("done", "failed")]
        for old in ended[:-MOST_ENDED]:
            self._jobs.remove(old)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return job.number

    def drop(self, number: int) -> None:
        """Cancel a job, or take an ended one off the list. Raises Refused where there is none of that number."""
        job = next((job for job in self._jobs if job.number == number), None)
        if job is None:
            raise Refused(404, "there is no such job")
        self._jobs.remove(job)
        if job.state == "running":
            self._stop()
        elif job.state == "waiting":
            shutil.rmtree(job.folder, ignore_errors=True)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    async def _work(self) -> None:
        while (job := next((job for job in self._jobs if job.state == "waiting"), None)) is not None:
            job.state = "running"
            try:
                await self._make(job)
                job.result = await asyncio.to_thread(self._keep, job)
                job.state = "done"
            except (MasqueradeError, OSError) as error:
                named = str(error).replace(str(job.source), job.title).replace(str(job.folder), "")
                job.state, job.said = "failed", printable(named, 400)
            except Exception as error:  # whatever it is: the next file is made, and this one does not run for ever
                log.exception("a file could not be made")
                job.state, job.said = "failed", f"unexpected {type(error).__name__}: please report it"
            finally:
                await asyncio.to_thread(shutil.rmtree, job.folder, True)

    async def _make(self, job: Job) -> None:
        """Run the child to its end. Raises MasqueradeError with its last word."""

        def progress(now: Progress) -> None:
            job.done, job.of, job.fps = now.done, now.of, now.fps

        def note(line: str) -> None:
            job.said = printable(line, 400)

        order = json.dumps({**job.options, "output": [str(job.folder / UNFINISHED)], "pace": "all"})
        self._process = JobProcess(self._child, on_progress=progress, on_note=note, stalled_s=self._stalled_s)
        try:
            await self._process.run(order)
        finally:
            self._process = None
        if not (job.folder / UNFINISHED).is_file():
            raise MasqueradeError("it said it was done, but there is no file: try it again")

    def _keep(self, job: Job) -> str | None:
        if job not in self._jobs:  # cancelled the moment it was done
            return None
        return self.results.keep(job.folder / UNFINISHED, job.stem)

    async def close(self) -> None:
        """Cancel everything, and wait until it is gone."""
        for job in self._jobs[:]:
            self.drop(job.number)
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
