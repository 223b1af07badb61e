"""Makes one file in a process of its own, and says on stdout how far it is, in lines of JSON.

The live loop keeps its process to itself: a file that crashes a decoder ends this one, and it can be stopped at any
moment. It steps aside for whatever else wants the processor.
"""

import json
import logging
import os
import sys
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av

from realtime.config import RunConfig, make_config
from realtime.errors import MasqueradeError
from realtime.pipeline.av_sync import STILL_HZ
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session
from realtime.text import printable

LEAST_URGENT = 19


class Notes(logging.Handler):
    """Passes the program's warnings on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it. Called by `logging`."""
        tell(note=printable(record.getMessage(), 300))


def tell(**what: Any) -> None:
    """One line for the parent, at once."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def expected_frames(config: RunConfig) -> int | None:
    """How many pictures the file will have, about; None where its header does not tell."""
    with suppress(OSError, av.error.FFmpegError, ValueError), av.open(config.sound or config.source) as opened:
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


def make(config: RunConfig) -> None:
    """Work the file off. Raises MasqueradeError."""
    parent = os.getppid()
    of = expected_frames(config)

    def say(_: str) -> None:
        if os.getppid() != parent:
            sys.exit(1)  # nobody is left to take the file
        tally = session.parts.tally
        tell(done=tally.captured, of=of, fps=tally.fps)

    session = Session(open_parts(config), say=say)
    session.run()


def main(order: str) -> int:
    """`order`: the options of the run as JSON. 0 where the file is made; else a line `error` was said."""
    with suppress(OSError, AttributeError):  # Windows has no such call
        os.nice(LEAST_URGENT)
    logging.getLogger("realtime").addHandler(Notes(logging.WARNING))
    try:
        make(make_config({}, json.loads(order)))
    except MasqueradeError as error:
        tell(error=str(error))
        return 1
    except Exception as error:
        tell(error=f"unexpected {type(error).__name__}: {printable(error, 200)}: please report it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
