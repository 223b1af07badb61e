"""Times several ways to do one thing in turns, so that their ratio holds on a machine whose speed wavers.

Each round runs every contestant once, in a new order; a ratio is taken within a round and its median over the
rounds is given. Beside the wall clock stands the time that the process's threads really computed: on a shared
machine it wavers less, and it tells what a way costs the other parts of the loop.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.metrics import Reals, rounded
from benchmarks.timings import percentile, spread
from realtime.clock import NS_PER_MS, NS_PER_S, Clock, now_ns

SETTLE_S = 0.003
"""Between two calls: threads of the last one that still spin would slow the next one."""

FEWEST = 5
"""Rounds that are made whatever the time limit says."""

FOR_P99 = 100
"""With fewer runs the 99th percentile is the slowest one by another name."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Milliseconds of every run in order: on the wall clock, and of processor time of all threads."""

    wall: Reals
    cpu: Reals

    def figures(self) -> dict[str, Any]:
        """`wall_ms` and `cpu_ms`, each with percentiles, the smallest and the mean."""
        figures: dict[str, Any] = {"runs": len(self.wall)}
        for name, values in (("wall_ms", self.wall), ("cpu_ms", self.cpu)):
            figures[name] = {"min": rounded(values.min(), 2), **spread(values, (50, 95, 99))}
            if len(values) < FOR_P99:
                figures[name]["p99"] = None
        return figures


def take_turns(
    contestants: Mapping[str, Callable[[], object]],
    runs: int,
    *,
    warm_up: int = 2,
    seconds: float = float("inf"),
    clock: Clock = now_ns,
    cpu_clock: Clock = time.process_time_ns,
    settle: Callable[[], None] = lambda: time.sleep(SETTLE_S),
) -> dict[str, Times]:
    """Up to `runs` rounds, stopped after `seconds` (but not before `FEWEST`). Warm-up runs are not counted."""
    for run in contestants.values():
        for _ in range(warm_up):
            run()
    order = list(contestants)
    shuffle = random.Random(0).shuffle
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in order}
    began = clock()
    for round_number in range(runs):
        if round_number >= FEWEST and clock() - began > seconds * NS_PER_S:
            break
        shuffle(order)
        for name in order:
            settle()
            spent, started = cpu_clock(), clock()
            contestants[name]()
            wall = clock() - started
            taken[name].append((wall / NS_PER_MS, (cpu_clock() - spent) / NS_PER_MS))
    return {name: Times(*np.array(taken[name]).T) for name in contestants}


def speedup(slow: Times, fast: Times) -> dict[str, float | None]:
    """How many times faster `fast` is: within rounds (their median), by the best run of each, by processor time."""
    return {
        "in_rounds": rounded(percentile(slow.wall / np.maximum(fast.wall, 1e-6), 50), 2),
        "of_best": rounded(slow.wall.min() / max(fast.wall.min(), 1e-6), 2),
        "in_cpu_time": rounded(percentile(slow.cpu / np.maximum(fast.cpu, 1e-6), 50), 2),
    }
