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
from realtime.pipeline.render_process import Progress, render

TELL = """
import json, os, select, signal, sys
options = json.loads(sys.argv[1])
def tell(**what): print(json.dumps(what), flush=True)
"""
LEAVES_A_CHILD = """
if os.fork() == 0:
    open(options["pid"], "w").write(str(os.getpid()))
    signal.pause()
while not os.path.exists(options["pid"]) or not open(options["pid"]).read(): os.sched_yield()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its children are ended by signals")


class Heard:
    """What a child said; its clock stands still, but for what `step_s` adds at each progress."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.progress: list[Progress] = []
        self.notes: list[str] = []
        self.on_note: Callable[[str], object] = self.notes.append
        self._step_s, self._now_s = step_s, 0.0

    def _on_progress(self, progress: Progress) -> None:
        self.progress.append(progress)
        self._now_s += self._step_s

    async def render(self, script: str, stalled_s: float = 60.0, **options: str) -> None:
        await render(
            options,
            on_progress=self._on_progress,
            on_note=self.on_note,
            command=(sys.executable, "-c", TELL + script),
            stalled_s=stalled_s,
            clock=lambda: self._now_s,
        )

    def follow(self, script: str, stalled_s: float = 60.0, **options: str) -> None:
        """Run such a child. Raises what it ends with."""
        asyncio.run(self.render(script, stalled_s, **options))


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
        ("while True: print('x' * 4000)", "printed much"),
    ],
)
def test_however_it_ends_it_is_one_line(script: str, words: str) -> None:
    assert words in one_line(lambda: Heard().follow(script), MasqueradeError)


@pytest.mark.parametrize(
    "script",
    [
        "tell(done=5, of=10, fps=1.0); signal.pause()",
        "tell(done=5, of=10, fps=1.0); os.close(1); signal.pause()",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); tell(done=5, of=10, fps=1.0); signal.pause()",
        "while True: tell(done=5, of=10, fps=1.0)",
        "tell(done=5, of=10, fps=1.0)\nwhile True: tell(note='still here')",
    ],
)
def test_one_without_progress_is_stopped(script: str) -> None:
    said = one_line(lambda: Heard(step_s=0.9).follow(script, stalled_s=0.8), MasqueradeError)
    assert "no progress for 0.8 s" in said


def test_one_with_slow_progress_is_let_be() -> None:
    heard = Heard(step_s=0.9)
    heard.follow("for i in range(8): tell(done=i, of=None, fps=0)", stalled_s=1.0)
    assert [progress.done for progress in heard.progress] == list(range(8))


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when somebody else's child has ended")
def test_what_it_left_behind_holds_nobody_up_and_is_ended_too(tmp_path: Path) -> None:
    Heard().follow(LEAVES_A_CHILD + "tell(done=1, of=1, fps=1.0); os._exit(0)", pid=str(tmp_path / "pid"))
    assert _gone(tmp_path / "pid")
    stalls = LEAVES_A_CHILD + "tell(done=1, of=9, fps=1.0); signal.pause()"
    with pytest.raises(MasqueradeError, match="no progress"):
        Heard(step_s=2.0).follow(stalls, stalled_s=1.0, pid=str(tmp_path / "other"))
    assert _gone(tmp_path / "other")


def _gone(pid_file: Path) -> bool:
    try:
        process = os.pidfd_open(int(pid_file.read_text()))
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([process], [], [], 60)
    os.close(process)
    return bool(ended)


def test_what_cannot_be_true_is_not_heard() -> None:
    heard = Heard()
    heard.follow(
        "print('words of a library'); print('{}'); print('null'); print('[1]')\n"
        "for of in (-1, True, 'x', 1e400, 2.5): tell(done=1, of=of, fps=1.0)\n"
        "for done in (-1, True, 'x', None, 2.5, 1 << 80): tell(done=done, of=2, fps=1.0)\n"
        "for fps in (-1, True, 'x', None, float('nan'), float('inf')): tell(done=1, of=2, fps=fps)\n"
        "print('x' * 100_000); tell(note=3); tell(note='heard'); tell(done=2, of=3, fps=4)"
    )
    assert heard.progress == [Progress(2, 3, 4.0)]
    assert heard.notes == ["heard"]


def test_one_that_is_cancelled_is_killed() -> None:
    async def story() -> None:
        heard, told = Heard(), asyncio.Event()
        heard.on_note = lambda note: (heard.notes.append(note), told.set())
        rendering = asyncio.create_task(heard.render("tell(note=str(os.getpid())); signal.pause()"))
        await told.wait()
        rendering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rendering
        with pytest.raises(ProcessLookupError):
            os.kill(int(heard.notes[0]), 0)

    asyncio.run(story())
