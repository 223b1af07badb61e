"""Loads and runs a foreign network in a child process first, where nothing that it does can end this one.

A file that passes `onnx_file`'s check can still stop the process that runs it, e.g. by dividing the lowest whole
number by -1 (SIGFPE on x86), or take all memory or time. So before a user's file is stored it must have been loaded
and run twice by a child with limits. What depends on later inputs could still end a run.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

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
    try:
        ended = run_child("realtime.inference.trial", str(file), str(seconds), seconds=seconds)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{name} takes more than {seconds:g} s to load and run once: use another model") from error
    except OSError as error:
        raise ModelError(f"{name} cannot be tried out ({error.strerror or error}): close other programs") from error
    if ended.returncode == REFUSED:
        raise ModelError(ended.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
    if ended.returncode:
        raise ModelError(f"{name} crashes what runs it ({why_ended(ended)}): get it again, or use another model")


def run_child(module: str, *arguments: str, seconds: float | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run a module of ours in a child process to its end. Raises OSError, and TimeoutExpired after `seconds`."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=seconds,
    )


def why_ended(ended: "subprocess.CompletedProcess[bytes]") -> str:
    """Why a child failed, in a few words: its signal, or its last line."""
    lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
    if ended.returncode < 0:
        return f"signal {-ended.returncode}"
    return printable(lines[-1], 200) if lines else f"exit code {ended.returncode}"


def main(file: str, seconds: str) -> int:
    """The child: limits itself, then loads and runs the file."""
    from realtime.inference.ort import memory_bytes, open_session

    _limit(memory_bytes() // 2, int(float(seconds)) + 1)
    try:
        session = open_session(Path(file), provider="cpu", precision="fp32")  # runs it once on zeros
        with contextlib.suppress(ModelError):  # a network may refuse sizes and numbers that nobody meant
            session.run({name: np.full_like(zeros, 0.5) for name, zeros in blank_feed(session.inputs).items()})
    except ModelError as error:
        print(error)
        return REFUSED
    return 0


def _limit(memory: int, seconds: int) -> None:
    """Bounds this process's address space and processor time, where the system can, and keeps it from core dumps."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":  # elsewhere the address space tells little
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory
    for which, wanted in limits.items():
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
