"""Children that break their word: each ends, in one line, and what it said that could not be true was not heard."""

import asyncio
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import one_line

from realtime.errors import MasqueradeError
from realtime.web.job_process import JobProcess, Progress

TELL = """
import json, os, select, signal, sys
def tell(**what): print(json.dumps(what), flush=True)
def wait(seconds): select.select([], [], [], seconds)
"""
LEAVES_A_CHILD = """
if os.fork() == 0:
    open(sys.argv[1], "w").write(str(os.getpid()))
    signal.pause()
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read(): os.sched_yield()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its children are ended by signals")


class Heard:
    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.notes: list[str] = []

    def follow(self, script: str, order: str = "{}", stalled_s: float = 60.0) -> None:
        """Run such a child. Raises what it ends with."""
        job = JobProcess(
            (sys.executable, "-c", TELL + script),
            on_progress=self.progress.append,
            on_note=self.notes.append,
            stalled_s=stalled_s,
        )
        asyncio.run(job.run(order))


def refused(script: str, order: str = "{}", stalled_s: float = 60.0) -> str:
    return one_line(lambda: Heard().follow(script, order, stalled_s), MasqueradeError)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("os.write(1, os.urandom(300_000)); sys.exit(7)", "code 7"),
        ("os.write(1, b'{' * 1_000_000); sys.exit(7)", "code 7"),  # brackets that never close, and no line's end
        ("print('[' * 60_000); sys.exit(7)", "code 7"),
        ("tell(done=[1], of={}, fps='x'); sys.exit(3)", "code 3"),
        ("os.close(1); os.kill(os.getpid(), signal.SIGKILL)", "for want of memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("tell(error='no picture in it'); sys.exit(1)", "no picture in it"),
        ("tell(error='no picture in it')", "no picture in it"),
        ("sys.stdout.write(json.dumps({'error': 'its last word'})); sys.stdout.flush(); os._exit(1)", "its last word"),
        ("tell(error=[1, 2]); sys.exit(4)", "code 4"),
        ("while True: print('x' * 4000)", "said much"),
    ],
)
def test_however_it_ends_it_is_one_line(script: str, words: str) -> None:
    assert words in refused(script)


@pytest.mark.parametrize(
    "script",
    [
        "signal.pause()",
        "os.close(1); signal.pause()",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()",
        "tell(done=5, of=10, fps=1.0)\nwhile True: tell(done=5, of=10, fps=1.0); wait(0.02)",
        "while True: tell(note='still here'); wait(0.02)",
    ],
)
def test_one_that_does_not_get_on_is_stopped(script: str) -> None:
    assert "did not get on for 0.7 s" in refused(script, stalled_s=0.7)


def test_one_that_gets_on_slowly_is_let_be() -> None:
    heard = Heard()
    heard.follow("for i in range(8): tell(done=i, of=None, fps=0); wait(0.2)", stalled_s=1.0)
    assert [progress.done for progress in heard.progress] == list(range(8))


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when somebody else's child has ended")
def test_what_it_left_behind_holds_nobody_up_and_is_ended_too(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    Heard().follow(LEAVES_A_CHILD + "tell(done=1, of=1, fps=1.0); os._exit(0)", str(told))
    assert _gone(int(told.read_text()))
    assert "did not get on" in refused(LEAVES_A_CHILD + "signal.pause()", str(tmp_path / "other"), stalled_s=1.0)
    assert _gone(int((tmp_path / "other").read_text()))


def _gone(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([process], [], [], 10)
    os.close(process)
    return bool(ended)


def test_what_cannot_be_true_is_not_heard() -> None:
    heard = Heard()
    heard.follow(
        "print('words of a library'); print('{}'); print('null'); print('[1]')\n"
        "for of in (-1, True, 'x', 1e400, 2.5): tell(done=1, of=of, fps=1.0)\n"
        "for done in (-1, True, 'x', None, 2.5, 1 << 80): tell(done=done, of=2, fps=1.0)\n"
        "for fps in (-1, True, 'x', None, float('nan'), float('inf')): tell(done=1, of=2, fps=fps)\n"
        "print('x' * 100_000 + json.dumps({'note': 'hidden'})); tell(note=3)\n"
        "tell(note='heard'); tell(done=2, of=3, fps=4)"
    )
    assert heard.progress == [Progress(2, 3, 4.0)]
    assert heard.notes == ["heard"]


def test_it_can_be_stopped_before_it_began() -> None:
    job = JobProcess((sys.executable, "-c", TELL + "signal.pause()"), on_progress=_nothing, on_note=_nothing)
    job.stop()
    assert "signal 9" in one_line(lambda: asyncio.run(job.run("{}")), MasqueradeError)


_nothing: Callable[[object], None] = lambda said: None  # noqa: E731
