"""How well our own tracker reads the rendered actions: the ceiling of anything trained on them.

Each action is swept from 0 to 1 on a frontal face in two lights, other ones than the person was calibrated in. A good
identity reads low where the action is 0 and high where it is 1; what the tracker cannot see here, no network can learn
from these pictures. Over several people, the spread tells how alike the same weight reads: with fixed gains, and with
each one's own calibration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trained_models.recipes.people.actions import PAIRED, both_sides
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.calibrate import Calibration, uncalibrated
from trained_models.recipes.people.lights import Light
from trained_models.recipes.people.person import Casting, calibration, tracker
from trained_models.recipes.people.readings import READ, reader
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.room import background
from trained_models.recipes.people.topology import topology

SIZE = 256
LIGHTS = (5, 12)
AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SWEPT: dict[str, dict[str, float]] = {
    "jawOpen": {},
    "eyeBlink": {},
    "eyeSquint": {},
    "eyeWide": {},
    "browInnerUp": {"browOuterUp": 0.8},
    "browDown": {},
    "mouthSmile": {"cheekSquint": 0.4},
    "mouthFrown": {},
    "mouthPucker": {},
    "mouthFunnel": {"jawOpen": 0.2},
    "mouthStretch": {},
    "mouthPress": {},
    "mouthUpperUp": {},
    "mouthRollLower": {},
    "mouthLeft": {},
}
"""The action read, and what usually comes with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One action's readings, 0..1, at each of `AMOUNTS`."""

    action: str
    readings: tuple[float, ...]


def _sweep(renderer: Renderer, moves: Calibration) -> list[Row]:
    """The table of the person that `renderer` holds. A face that is not found reads as NaN."""
    topo, room = topology(), background(3, SIZE, SIZE)

    def drawing(light: Light) -> Callable[[Floats], Any]:
        return lambda actions: renderer.picture(Moment(actions, view_deg=16.5, light=light), room).pixels

    readers = [reader(drawing(Light(seed)), tracker()) for seed in LIGHTS]

    def read(actions: Floats) -> Floats:
        return np.asarray(np.mean([one(actions) for one in readers], 0))

    rows = []
    for action, along in SWEPT.items():
        name = action + "Left" if action in PAIRED else action
        weights = topo.vector(both_sides({action: 1.0, **along}))
        at = [read(moves.drive(weights * amount)) for amount in AMOUNTS]
        rows.append(Row(action, tuple(float(r[READ.index(name)]) for r in at)))
    return rows


def ceiling(who: Casting) -> tuple[list[Row], list[Row]]:
    """The tables of one person: with everybody's gains, and calibrated."""
    renderer = Renderer(SIZE, SIZE, oversampling=1)
    who.load_into(renderer)
    return _sweep(renderer, uncalibrated(topology().actions)), _sweep(renderer, calibration(renderer))


def table(rows: list[Row]) -> str:
    """The rows as text."""
    head = f"{'driven':16}" + "".join(f"{amount:7.2f}" for amount in AMOUNTS)
    return "\n".join([head, *(f"{row.action:16}" + "".join(f"{x:7.2f}" for x in row.readings) for row in rows)])


def spread(people: list[list[Row]]) -> str:
    """Mean ± standard deviation over people (lowest), as text."""
    head = f"{'driven':16}" + "".join(f"{amount:>18.2f}" for amount in AMOUNTS)
    lines = [head]
    for rows in zip(*people, strict=True):
        at = np.array([row.readings for row in rows])
        cells = zip(np.nanmean(at, 0), np.nanstd(at, 0), np.nanmin(at, 0), strict=True)
        lines.append(f"{rows[0].action:16}" + "".join(f"   {m:.2f} ± {s:.2f} ({low:.2f})" for m, s, low in cells))
    return "\n".join(lines)
