"""What a network costs in memory and in time to open, measured in a process of its own.

    python -m benchmarks.footprint FILE PROVIDER PRECISION THREADS

prints one line of JSON. In the measuring process itself memory that one session gave back would hide what the next
one takes; and a runtime that crashes takes only this process along.
"""

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.network_feeds import noise
from benchmarks.runtimes import Way
from realtime.clock import NS_PER_MS, now_ns
from realtime.errors import MasqueradeError

LIMIT_S = 300.0
RUNS = 3


def footprint(file: Path, way: Way, threads: int) -> dict[str, Any]:
    """`memory_mb` (resident memory gained by opening and running), `open_ms`, `ran_on`; or `error` instead."""
    command = [sys.executable, "-m", "benchmarks.footprint", str(file), way.provider, way.precision, str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"it did not open and run {RUNS} times within {LIMIT_S:g} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1][:200]
        return {"error": f"its process ended with code {done.returncode}: {said}"}
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def measure(file: Path, way: Way, threads: int) -> dict[str, Any]:
    """The same, of this process. The runtime's library itself is counted where it is loaded for the first time."""
    from realtime.inference.ort import open_session

    data = file.read_bytes()
    before, started = _resident_mb(), now_ns()
    try:
        session = open_session(data, provider=way.provider, precision=way.precision, threads=threads)
    except MasqueradeError as error:
        return {"error": str(error)}
    opened = (now_ns() - started) / NS_PER_MS
    feed = noise(session.inputs, np.random.default_rng(0))
    for _ in range(RUNS):
        session.run(feed)
    gc.collect()
    after = _resident_mb()
    gained = None if before is None or after is None else round(after - before, 1)
    return {"memory_mb": gained, "open_ms": round(opened, 1), "ran_on": session.ran_on}


def _resident_mb() -> float | None:
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.Process().memory_info().rss) / 1e6


if __name__ == "__main__":
    asked = sys.argv[1:]
    print(json.dumps(measure(Path(asked[0]), Way(asked[1], asked[2]), int(asked[3]))))
