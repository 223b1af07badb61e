"""Compiles a network in a process of its own, so that a compiler that crashes or is interrupted ends alone.

TensorRT's reader is written for files that are in order: of 100 damaged ones one crashed it (TensorRT-RTX 1.7,
2026). ONNX Runtime's refuses such files with an error, so it is asked first: it loads the network and runs it once
on the CPU. What still gets through can end only the child, never the live loop. Compiling takes up to minutes, so
that a process costs nothing that counts; and it can be stopped at any moment.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from realtime.errors import ModelError
from realtime.inference.providers import MODULES
from realtime.inference.tensorrt_build import Built, compile_network
from realtime.inference.tensorrt_module import load_module

ROOT = Path(__file__).resolve().parents[2]
MODEL, TIMINGS, ENGINE, LEARNT, REFUSAL = "model.onnx", "timings", "engine", "learnt", "refusal"
CHILD = (sys.executable, "-P", "-m", "realtime.inference.compile_apart")


class Compiler(Protocol):
    """Something that compiles a checked ONNX file for a provider: see `compile_network` for what it takes."""

    def __call__(
        self, provider: str, data: bytes, name: str, *, on_this_gpu: bool, tf32: bool, batch: int, timings: bytes
    ) -> Built: ...


def compile_apart(
    provider: str,
    data: bytes,
    name: str,
    *,
    on_this_gpu: bool,
    tf32: bool,
    batch: int,
    timings: bytes,
    child: Sequence[str] = CHILD,
) -> Built:
    """As `compile_network`, in a child process. Raises ModelError also where that one crashed or the disk is full."""
    from realtime.inference.ort import open_session  # which may call this module's users

    open_session(data, provider="cpu").close()
    how = json.dumps({"name": name, "on_this_gpu": on_this_gpu, "tf32": tf32, "batch": batch})
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    try:
        with tempfile.TemporaryDirectory(prefix="masquerade-") as folder:
            place = Path(folder)
            (place / MODEL).write_bytes(data)
            (place / TIMINGS).write_bytes(timings)
            ended = subprocess.run(
                [*child, provider, folder, how],
                env={**os.environ, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            if ended.returncode == 0:
                return Built((place / ENGINE).read_bytes(), (place / LEARNT).read_bytes())
            if (place / REFUSAL).exists():
                raise ModelError((place / REFUSAL).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{name} cannot be compiled ({error.strerror or error}): free some space in {tempfile.gettempdir()}"
        ) from error
    title = MODULES[provider][1]
    lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
    reason = f"signal {-ended.returncode}" if ended.returncode < 0 else lines[-1][:200] if lines else "no reason given"
    raise ModelError(f"{title} crashed while compiling {name} ({reason}): use another provider")


def main(provider: str, folder: str, how: str) -> int:
    """The child: compiles what lies in the folder and leaves the engine there, or the line that refuses it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # else Ctrl-C waits for the compiler
    place = Path(folder)
    options = json.loads(how)
    try:
        built = compile_network(
            load_module(provider), (place / MODEL).read_bytes(), timings=(place / TIMINGS).read_bytes(), **options
        )
    except ModelError as error:
        (place / REFUSAL).write_text(str(error), encoding="utf-8")
        return 1
    (place / LEARNT).write_bytes(built.timings)
    (place / ENGINE).write_bytes(built.engine)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
