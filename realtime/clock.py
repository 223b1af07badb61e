"""The one clock: everything that needs time takes a `Clock` as an argument."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds from an arbitrary start, never going back."""

now_ns: Clock = time.perf_counter_ns

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
