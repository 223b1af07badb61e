"""Guards around every test, and the fakes that several files share."""

import logging
import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import Call

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(autouse=True)
def _guards(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test has a home of its own, no thread outlives its test, nothing logs an error, randomness repeats."""
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries under test may use the global generator)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # the machine is small, and threads change the last bits
    # pytest listens to every logger that does not propagate, and torch then writes down each step of an export.
    logging.getLogger("torch.__trace").propagate = True
    before = set(threading.enumerate())
    with caplog.at_level(logging.WARNING):
        yield
    left = [t for t in threading.enumerate() if t not in before]
    for thread in left:
        thread.join(60)
    assert not [t.name for t in left if t.is_alive()], "a thread outlived its test"
    assert not [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.fixture
def shared() -> Path:
    """The folder of recorded references; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the recorded references (../shared) are not here")
    return SHARED


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in this process; gives (exit code, stdout, stderr)."""
    from realtime.cli.app import POLITE, main

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *POLITE)}

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        for number, handler in before.items():
            signal.signal(number, handler)
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run
