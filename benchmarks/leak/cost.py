"""What the leak guard costs: the same frames with it and without it, in turns, by processor time."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from realtime.capture.recording import Recording
from realtime.clock import now_ns
from realtime.config import make_config
from realtime.frame import Frame
from realtime.imaging.resize import letterbox
from realtime.pipeline.engine import Engine
from realtime.pipeline.leak_guard import Checked, LeakGuard
from realtime.pipeline.parts import open_parts

SIZE = (1280, 720)
WARM_UP = 10


class CountedGuard:
    """A leak guard that adds up its processor time."""

    def __init__(self, guard: LeakGuard) -> None:
        self._guard, self.sessions = guard, guard.sessions
        self.spent_ns = 0

    def __call__(self, *arguments: Any, **named: Any) -> Checked:
        started = time.process_time_ns()
        try:
            return self._guard(*arguments, **named)
        finally:
            self.spent_ns += time.process_time_ns() - started


def cost(clip: Path, frames: int, model: str) -> dict[str, Any]:
    """Processor time of a frame's work at 720p with the guard and without it. Raises MasqueradeError."""
    config = make_config({}, {"model": model, "source": str(clip), "size": SIZE, "output": ("null",), "pace": "all"})
    with open_parts(config) as guarded, open_parts(config) as plain:
        assert guarded.guard is not None
        guard: Any = CountedGuard(guarded.guard)
        engines = [
            Engine(parts.tracker, parts.identities.active.effect, parts.settings.get, now_ns, guard=watched)
            for parts, watched in ((guarded, guard), (plain, None))
        ]
        spent: list[list[int]] = [[], []]
        shares = []
        for number, frame in enumerate(_frames(clip, WARM_UP + frames)):
            before = guard.spent_ns
            for which in (0, 1) if number % 2 else (1, 0):
                given = replace(frame, pixels=frame.pixels.copy())
                started = time.process_time_ns()
                engines[which](given)
                spent[which].append(time.process_time_ns() - started)
            shares.append(guard.spent_ns - before)
    with_guard, without, inside = (np.array(values[WARM_UP:]) / 1e6 for values in (*spent, shares))
    return {
        "frames": len(inside),
        "with_ms": round(float(with_guard.mean()), 2),
        "without_ms": round(float(without.mean()), 2),
        "guard_ms": round(float(inside.mean()), 2),
        "guard_percent": round(100 * float(inside.sum() / with_guard.sum()), 1),
        "fps_ratio": round(float(without.sum() / with_guard.sum()), 3),
    }


def _frames(clip: Path, most: int) -> Iterator[Frame]:
    with closing(Recording(clip)) as recording:
        while (frame := recording.read()) is not None and frame.seq < most:
            yield replace(frame, pixels=letterbox(frame.pixels, SIZE))
