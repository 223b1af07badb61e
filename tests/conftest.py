"""Guards around every test, and the fakes that several files share."""

import logging
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(autouse=True)
def _guards(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No thread outlives its test, nothing logs an error, randomness repeats."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries under test may use the global generator)
    # pytest listens to every logger that does not propagate, and torch then writes down each step of an export.
    logging.getLogger("torch.__trace").propagate = True
    before = set(threading.enumerate())
    with caplog.at_level(logging.WARNING):
        yield
    left = [t for t in threading.enumerate() if t not in before]
    for thread in left:
        thread.join(2.0)
    assert not [t.name for t in left if t.is_alive()], "a thread outlived its test"
    assert not [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.fixture
def shared() -> Path:
    """The folder of recorded references; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the recorded references (../shared) are not here")
    return SHARED
