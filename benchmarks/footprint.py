"""What a network costs in memory and in time to open, measured in a process of its own.

    python -m benchmarks.footprint FILE PROVIDER PRECISION THREADS

prints one line of JSON. In the measuring process itself memory that one session gave back would hide what the next
one takes; and a runtime that crashes takes only this process along.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.samples import mel_windows, picture
from realtime.clock import NS_PER_MS, now_ns
from realtime.errors import MasqueradeError
from realtime.inference.session import Array, TensorSpec

LIMIT_S = 300.0
RUNS = 3

Feed = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Way:
    """A provider and a precision to ask it for, as `open_session` takes them."""

    provider: str
    precision: str

    @property
    def title(self) -> str:
        """As tables and charts name it."""
        return f"{self.provider} {self.precision}"


def footprint(file: Path, way: Way, threads: int) -> dict[str, Any]:
    """`memory_mb` (resident memory gained by opening and running), `open_ms`, `ran_on`; or `error` instead."""
    command = [sys.executable, "-m", "benchmarks.footprint", str(file), way.provider, way.precision, str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"it did not open and run {RUNS} times within {LIMIT_S:g} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1][:200]
        return {"error": f"its process ended with code {done.returncode}: {last}"}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def measure(file: Path, way: Way, threads: int) -> dict[str, Any]:
    """The same, of this process. The runtime's library itself is counted where it is loaded for the first time."""
    from realtime.inference.ort import open_session

    data = file.read_bytes()
    before, started = resident_mb(), now_ns()
    try:
        session = open_session(data, provider=way.provider, precision=way.precision, threads=threads)
    except MasqueradeError as error:
        return {"error": str(error)}
    opened = (now_ns() - started) / NS_PER_MS
    feed = noise(session.inputs, np.random.default_rng(0))
    for _ in range(RUNS):
        session.run(feed)
    gc.collect()
    after = resident_mb()
    gained = None if before is None or after is None else round(after - before, 1)
    return {"memory_mb": gained, "open_ms": round(opened, 1), "ran_on": session.ran_on}


def resident_mb() -> float | None:
    """Megabytes that this process holds in memory; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.Process().memory_info().rss) / 1e6


def noise(inputs: Mapping[str, TensorSpec], generator: np.random.Generator) -> Feed:
    """A seeded feed of the right kind for any network of ours, by the names of its inputs; dynamic sizes become 1.

    Speed does not depend on what is fed; how far runtimes differ does a little, so pictures look like pictures and
    Jacobians have an inverse.
    """
    return {name: _value(name, spec, generator).astype(spec.dtype) for name, spec in inputs.items()}


def _value(name: str, spec: TensorSpec, generator: np.random.Generator) -> Array:
    shape = tuple(side or 1 for side in spec.shape)
    if "jacobian" in name:
        return np.broadcast_to(np.eye(2), shape) + generator.normal(0, 0.1, shape)
    if "keypoint" in name:
        return generator.uniform(-0.8, 0.8, shape)
    if "pose" in name:
        return generator.normal(0, 0.2, shape)
    if name == "lips":
        return generator.uniform(0, 0.3, shape)
    if "morph" in name:
        return np.full(shape, 0.75)
    if shape == (1, 1, 80, 16):
        return mel_windows(1, int(generator.integers(1 << 30)))[0]
    if len(shape) == 4 and shape[0] == 1 and shape[2] == shape[3] and shape[1] in (3, 6):
        whole = picture(generator, shape[2])
        masked = whole.copy()
        masked[:, :, shape[2] // 2 :] = 0
        return whole if shape[1] == 3 else np.concatenate([masked, whole], 1)
    if len(shape) == 4 and shape[0] == 1 and shape[1] == shape[2] and shape[3] == 3:
        return np.ascontiguousarray(picture(generator, shape[1]).transpose(0, 2, 3, 1))
    return generator.random(shape)


if __name__ == "__main__":
    asked = sys.argv[1:]
    print(json.dumps(measure(Path(asked[0]), Way(asked[1], asked[2]), int(asked[3]))))
