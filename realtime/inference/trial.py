"""Loads and runs a foreign network in a child process first, where nothing that it does can end this one.

A file that passes `onnx_file`'s check can still stop the process that runs it, e.g. by dividing the lowest whole
number by -1 (SIGFPE on x86), or take all memory or time. So before a user's file is stored it must have been loaded
and run twice by a child with limits. What depends on later inputs could still end a run.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np

from realtime.errors import ModelError
from realtime.inference.session import blank_feed
from realtime.text import printable

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300
REFUSED = 3
"""The child's exit code where it says in its last line why the file is refused."""


def try_model(file: Path, *, seconds: float = SECONDS) -> None:
    """Load an ONNX file on the CPU and run it on zeros and on halves, in a child process.

    Raises ModelError where the file is refused, or crashes its process, or takes more than `seconds` or memory.
    """
    name = printable(file.name, 80)
    crashed, do = f"{name} crashes what runs it", "get it again, or use another model"
    try:
        run_child("realtime.inference.trial", str(file), crashed=crashed, do=do, seconds=seconds)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{name} takes more than {seconds:g} s to load and run once: use another model") from error
    except OSError as error:
        raise ModelError(f"{name} cannot be tried out ({error.strerror or error}): close other programs") from error


def run_child(module: str, *arguments: str, crashed: str, do: str, seconds: float | None = None) -> None:
    """Run a module of ours, which ends with `child_exit`, in a child process to its end.

    Raises ModelError: the one that the child printed; where it ended in another way, one of `crashed`, how, and `do`.
    Raises OSError where it cannot be started, TimeoutExpired after `seconds`.
    """
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, "-P", "-X", "utf8", "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=seconds,
    )
    if ended.returncode == REFUSED:
        raise ModelError(ended.stdout.strip().splitlines()[-1])
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        how = f"signal {-ended.returncode}" if ended.returncode < 0 else printable(lines[-1], 200)
        raise ModelError(f"{crashed} ({how}): {do}")


def child_exit(act: Callable[[], object]) -> NoReturn:
    """The end of a child: does what it is for, and leaves a ModelError as its last line."""
    try:
        act()
    except ModelError as error:
        print(error)
        sys.exit(REFUSED)
    sys.exit()


def main(file: str) -> None:
    """The child: limits itself, then loads and runs the file. Raises ModelError."""
    from realtime.inference.ort import memory_bytes, open_session

    limit_memory(memory_bytes())
    session = open_session(Path(file), provider="cpu", precision="fp32")  # runs it once on zeros
    with contextlib.suppress(ModelError):  # a network may refuse sizes and numbers that nobody meant
        session.run({name: np.full_like(zeros, 0.5) for name, zeros in blank_feed(session.inputs).items()})


def limit_memory(memory: int) -> None:
    """Keep this process from more memory and from core dumps, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":  # elsewhere the address space tells little
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory
    for which, wanted in limits.items():
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    child_exit(lambda: main(*sys.argv[1:]))
