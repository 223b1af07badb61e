"""What this machine's processor has, as far as inference needs to know."""

import os
from pathlib import Path


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads counted once."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pairs = set()
    physical = ""
    for line in _cpuinfo().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "physical id":
            physical = value.strip()
        elif key.strip() == "core id":
            pairs.add((physical, value.strip()))
    return max(1, min(usable, len(pairs) or usable))


def default_threads() -> int:
    """Threads for inference: one core is left to capture, blending and output.

    Measured (docs/studies/thread-counts) on the two cores of an AMD EPYC under a load of 9 to 13 (what a
    video call and a browser do to a laptop): landmarks, blendshapes and Ada in a row took 24.6 ms of processor time
    with one thread and 28.0 with two; on the wall clock two were 1.04 times as fast in the middle of 80 rounds
    (landmarks and blendshapes alone 0.92, Ada alone 1.12). With both cores idle two were 1.28 times as fast, 15.5 for
    19.8 ms, for 1.21 times the work. A second thread gains next to nothing where the cores are wanted by others, and
    one is fast enough for 30 frames a second where they are not.
    """
    return max(1, physical_cores() - 1)


def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags as Linux names them; empty elsewhere."""
    for line in _cpuinfo().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
