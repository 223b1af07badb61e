"""Minutes of a driver who turns away, covers their face, leaves and comes back: what leaves the program meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.distortion import TOLERANCE, canonical_head, fit_residual
from benchmarks.drive_source import Drive, Script
from benchmarks.goals import Goal
from benchmarks.pair_album import Album
from benchmarks.watched_puppet import WatchedPuppet
from benchmarks.watermark import SURE
from realtime.avatars import Avatar
from realtime.avatars.choose import Find
from realtime.character import Character
from realtime.clock import now_ns
from realtime.engine import Engine, FaceFinder, Result
from realtime.errors import ModelError
from realtime.frame import Frame, Pixels
from realtime.guard import Guard, Outgoing
from realtime.pipeline import Loop, run_offline
from realtime.settings import Settings

BACK = 0.95
"""The strength of motion at which a driver who came back is followed again."""

CALM_AFTER_S = 1.5
"""A driver away for so long must have left a still picture behind."""

STAYS_S = 1.2
"""A driver must be readable for so long to be waited for."""

CARDS = ("card", "blur", "raw")
"""Kinds of pictures that show no avatar."""

DRIVE_GOALS = (
    Goal("raw frames", ("raw", "frames"), most=0.0),
    Goal("distorted pictures", ("distortion", "frames"), most=0.0),
    Goal("pictures without a face", ("faceless", "frames"), most=0.0),
    Goal("longest recovery, seconds", ("recovery", "longest_s"), most=1.0),
    Goal("restless pictures of nobody", ("restless", "frames"), most=0.0),
)


class WatchedLoop(Loop):
    """A `Loop` that tells `seen` what it is about to hand over: (kind, pixels without the badge)."""

    seen: Callable[[Outgoing], None]

    def show(self, out: Outgoing, result: Result | None) -> None:
        """The loop's, told first."""
        self.seen(out)
        super().show(out, result)


class Nowhere:
    """A sink that keeps the last picture. Obeys `Sink`."""

    name = "nowhere"

    def __init__(self) -> None:
        self.last: Pixels | None = None

    def show(self, frame: Frame) -> None:
        """Keep it."""
        self.last = frame.pixels

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True, eq=False)
class Log:
    """Every picture that left, in order: its `kind`, the `strength` of motion in it, the watermark found (`traces`),
    the fit of its face to a head beyond that of the avatar's own picture (`beyond`; NaN where no face was read), and
    by how much it differs from the one before (`change`, the largest level)."""

    avatars: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    strength: list[float] = field(default_factory=list)
    traces: list[float] = field(default_factory=list)
    beyond: list[float] = field(default_factory=list)
    change: list[int] = field(default_factory=list)


def drive(
    source: Drive,
    finder: FaceFinder,
    character: Character,
    puppet: WatchedPuppet,
    avatars: Sequence[Avatar],
    settings: Settings,
    find: Find,
    album: Album | None = None,
) -> Log:
    """The whole drive through the loop and its guard, another avatar with every round of the clip. Closes nothing.

    `find` reads each picture by itself: a tracker would have to get used to every new avatar.
    """
    log, sink, head = Log(), Nowhere(), canonical_head()
    at_rest = {a.name: fit_residual(a.face, head) for a in avatars if a.face is not None}
    before: Pixels | None = None

    def now() -> Settings:
        rounds = len(log.kinds) // len(source)
        worn = avatars[rounds % len(avatars)].name
        return settings.model_copy(update={"avatar": worn})

    def seen(out: Outgoing) -> None:
        nonlocal before
        pixels, worn = out.pixels, now().avatar or ""
        log.avatars.append(worn)
        log.strength.append(puppet.how.strength if puppet.how is not None else 0.0)
        log.traces.append(source.watermark.strength(pixels))
        face = None if out.kind in CARDS else next(iter(find(pixels)), None)
        log.beyond.append(float("nan") if face is None else fit_residual(face, head) - at_rest.get(worn, 0.0))
        changed = np.abs(pixels.astype(np.int16) - before).max() if before is not None else 0
        log.change.append(int(changed))
        log.kinds.append(out.kind)
        before = pixels.copy()
        puppet.forget()
        if album is not None and source.shown is not None:
            album.add(len(log.kinds) - 1, source.shown, pixels, -99.0 if out.kind in CARDS else log.beyond[-1])

    engine = Engine(finder, character, now, now_ns)
    guard = Guard(source.size, character.title, now)
    loop = WatchedLoop(source, engine, guard, [sink], now, no_other_model, now_ns, source.rate_hz)
    loop.seen = seen
    run_offline(loop, lambda: False)
    return log


def judge_drive(log: Log, script: Script, rate_hz: float) -> dict[str, Any]:
    """The drive's figures and goals."""
    count = len(log.kinds)
    rounds = -(-count // len(script.readable))
    readable, away = (np.tile(row, rounds)[:count] for row in (script.readable, script.away))
    shown = np.array([kind not in CARDS for kind in log.kinds])
    strength, beyond = np.array(log.strength), np.array(log.beyond)
    traces, change = np.array(log.traces), np.array(log.change)
    worst = beyond[shown & ~np.isnan(beyond)]
    waits = recoveries(readable, strength >= BACK, rate_hz)
    gone = long_since(away, rate_hz)
    same = np.array([n > 0 and log.avatars[n] == log.avatars[n - 1] for n in range(count)])
    figures: dict[str, Any] = {
        "frames": count,
        "seconds": round(count / rate_hz, 1),
        "rate_hz": round(rate_hz, 3),
        "kinds": {kind: log.kinds.count(kind) for kind in sorted(set(log.kinds))},
        "driver": {"person_seed": script.person, "readable": int(readable.sum()), "away": int(away.sum())},
        "raw": {
            "frames": int((traces >= SURE).sum()) + log.kinds.count("raw"),
            "strongest_trace": round(float(traces.max()), 2),
            "sure_from": SURE,
        },
        "distortion": {
            "frames": int((worst > TOLERANCE).sum()),
            "worst_beyond_rest": round(float(worst.max()), 2) if worst.size else None,
            "p99_beyond_rest": round(float(np.percentile(worst, 99)), 2) if worst.size else None,
            "tolerance": TOLERANCE,
        },
        "faceless": {"frames": int((shown & np.isnan(beyond)).sum())},
        "recovery": {
            "times": len(waits),
            "longest_s": round(max(waits), 2) if waits else None,
            "mean_s": round(float(np.mean(waits)), 2) if waits else None,
        },
        "restless": {"frames": int((gone & same & (change > 0)).sum()), "away_for_long": int(gone.sum())},
    }
    figures["goals"] = [
        {"what": g.what, "limit": g.limit, "value": g.value(figures), "met": g.met(g.value(figures))}
        for g in DRIVE_GOALS
    ]
    return figures


def recoveries(readable: Any, followed: Any, rate_hz: float) -> list[float]:
    """Seconds from each moment the driver could be read again until the avatar followed; (n,) booleans in.

    Moments that last less than STAYS_S do not count unless the avatar follows in them. The drive's first one is the
    search for a neutral pose, and counts too.
    """
    found: list[float] = []
    starts = [n for n in range(len(readable)) if readable[n] and (n == 0 or not readable[n - 1])]
    for start in starts:
        end = next((n for n in range(start, len(readable)) if not readable[n]), len(readable))
        at = next((n for n in range(start, end) if followed[n]), None)
        if at is not None:
            found.append((at - start) / rate_hz)
        elif (end - start) / rate_hz >= STAYS_S:
            found.append((end - start) / rate_hz)
    return found


def long_since(away: Any, rate_hz: float) -> Any:
    """(n,) booleans: the frames in which the driver has been away for CALM_AFTER_S and more."""
    run, out = 0, np.zeros(len(away), bool)
    for n, gone in enumerate(away):
        run = run + 1 if gone else 0
        out[n] = run > CALM_AFTER_S * rate_hz
    return out


def no_other_model(name: str) -> Character:
    """What a loop opens when settings name another model: here none do. Raises ModelError."""
    raise ModelError(f"model {name} was not asked for in this drive")
