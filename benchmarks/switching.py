"""Avatars changed a thousand times at random moments: every picture must be the one asked for, and memory flat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from benchmarks.drive_source import Drive
from benchmarks.goals import Goal
from benchmarks.long_drive import Nowhere, WatchedLoop, no_other_model
from benchmarks.measured_loop import resident_mb
from benchmarks.watched_puppet import Canvas, WatchedPuppet
from benchmarks.watermark import SURE
from realtime.avatars import Avatar
from realtime.character import Character
from realtime.clock import now_ns
from realtime.engine import Engine, FaceFinder
from realtime.face import Face
from realtime.frame import Pixels
from realtime.guard import Guard, Outgoing
from realtime.pipeline import run_offline
from realtime.settings import Settings
from realtime.swap.regions import border_mask

AVATARS = 10

SWITCH_GOALS = (
    Goal("pictures of another avatar", ("wrong",), most=0.0),
    Goal("raw frames", ("raw",), most=0.0),
    Goal("memory gained, MB", ("memory_mb", "gained"), most=8.0),
)

SETTLED = 0.2
"""Of the run: memory counts from then on."""


@dataclass(slots=True, eq=False)
class Dice:
    """Settings whose avatar changes at random calls, so in the middle of whatever the loop does; by seed."""

    settings: Settings
    names: Sequence[str]
    chance: float = 0.3
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    switches: int = 0
    since_read: set[str] = field(default_factory=set)
    worn: str = ""

    def __call__(self) -> Settings:
        """The settings now."""
        if self.rng.random() < self.chance:
            others = [name for name in self.names if name != self.worn]
            self.worn = others[int(self.rng.integers(len(others)))]
            self.switches += 1
        self.since_read.add(self.worn)
        return self.settings.model_copy(update={"avatar": self.worn})


def mirrored(avatars: Sequence[Avatar], find: Callable[[Pixels], list[Face]], count: int = AVATARS) -> list[Avatar]:
    """The avatars, and as many of them mirrored as make `count`: other pictures, with faces found anew."""
    extra = []
    for avatar in avatars[: max(count - len(avatars), 0)]:
        pixels = np.ascontiguousarray(avatar.pixels[:, ::-1])
        alpha = None if avatar.alpha is None else np.ascontiguousarray(avatar.alpha[:, ::-1])
        faces = find(pixels)
        if faces:
            extra.append(replace(avatar, name=f"{avatar.name}-mirrored", pixels=pixels, alpha=alpha, face=faces[0]))
    return [*avatars, *extra]


class Lookout:
    """Tells which avatar a picture shows: by the pixels that nothing may move, to the bit, and by likeness."""

    def __init__(self, avatars: Sequence[Avatar], canvases: Sequence[Canvas]) -> None:
        self._names = [avatar.name for avatar in avatars]
        self._stills = [canvas.still for canvas in canvases]
        self._small = [_small(still) for still in self._stills]
        self._fixed = [canvas.share(border_mask(canvas.side)) == 0 for canvas in canvases]

    def __call__(self, picture: Pixels) -> str | None:
        """The avatar's name; None where it is no one's, or two at once."""
        small = _small(picture)
        nearest = int(np.argmin([np.abs(small - still).mean() for still in self._small]))
        fixed, still = self._fixed[nearest], self._stills[nearest]
        return self._names[nearest] if (picture[fixed] == still[fixed]).all() else None


def switch_around(
    source: Drive,
    finder: FaceFinder,
    character: Character,
    puppet: WatchedPuppet,
    avatars: Sequence[Avatar],
    settings: Settings,
    switches: int,
) -> dict[str, Any]:
    """Frames of the drive until the avatar was changed `switches` times; the figures and goals. Closes nothing."""
    # Without the badge, so that the still part can be compared to the bit.
    dice = Dice(settings.model_copy(update={"badge": "off"}), [avatar.name for avatar in avatars], worn=avatars[0].name)
    lookout: list[Lookout] = []
    wrong, raw, shown, guarded, memory = 0, 0, 0, 0, [*resident_mb()]

    def seen(out: Outgoing) -> None:
        nonlocal wrong, raw, shown, guarded
        raw += source.watermark.strength(out.pixels) >= SURE or out.kind == "raw"
        memory.extend(resident_mb())
        if out.guarded:
            guarded += 1
        else:
            if not lookout:
                casts = puppet.casts[: len(avatars)]
                lookout.append(
                    Lookout(avatars, [Canvas(a, c, source.size) for a, c in zip(avatars, casts, strict=True)])
                )
            shown += 1
            wrong += lookout[0](out.pixels) not in dice.since_read
        dice.since_read = {dice.worn}

    engine = Engine(finder, character, dice, now_ns)
    loop = WatchedLoop(
        source,
        engine,
        Guard(source.size, character.title, dice),
        [Nowhere()],
        dice,
        no_other_model,
        now_ns,
        source.rate_hz,
    )
    loop.seen = seen
    run_offline(loop, lambda: dice.switches >= switches)
    settled = memory[round(SETTLED * len(memory)) :]
    half = len(settled) // 2
    figures: dict[str, Any] = {
        "avatars": [avatar.name for avatar in avatars],
        "switches": dice.switches,
        "pictures": shown,
        "guarded": guarded,
        "wrong": wrong,
        "raw": raw,
        "encoded": len(puppet.casts),
        "memory_mb": {
            "at_start": round(memory[0], 1) if memory else None,
            "at_end": round(memory[-1], 1) if memory else None,
            "gained": round(max(settled[half:]) - max(settled[:half]), 1) if half else None,
        },
    }
    figures["goals"] = [
        {"what": g.what, "limit": g.limit, "value": g.value(figures), "met": g.met(g.value(figures))}
        for g in SWITCH_GOALS
    ]
    return figures


def _small(pixels: Pixels) -> Any:
    return cv2.resize(pixels, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
