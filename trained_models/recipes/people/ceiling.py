"""How well our own tracker reads the rendered actions: the ceiling of anything trained on them.

Each action is swept from 0 to 1 (times its gain) on a frontal face in two lights. A good identity reads low where the
action is 0 and high where it is 1; what the tracker cannot see here, no network can learn from these pictures.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime.detect import Tracker
from trained_models.recipes.people.actions import PAIRED, both_sides, gains
from trained_models.recipes.people.lights import Light
from trained_models.recipes.people.person import Casting
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

READ = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight"),
    *("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
"""MediaPipe's order of blendshapes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One action's readings, 0..1, at each of `AMOUNTS`."""

    action: str
    readings: tuple[float, ...]


def ceiling(who: Casting) -> list[Row]:
    """The table of one person. A face that is not found reads as NaN."""
    renderer, topo, tracker = Renderer(SIZE, SIZE), topology(), Tracker(provider="cpu")
    who.load_into(renderer)
    room, gain = background(3, SIZE, SIZE), gains(topo.actions)

    def read(weights: dict[str, float]) -> Any:
        found = []
        for light in LIGHTS:
            moment = Moment(topo.vector(both_sides(weights)) * gain, view_deg=16.5, light=Light(light))
            pixels = renderer.picture(moment, room).pixels[..., ::-1]
            faces = tracker.find(np.ascontiguousarray(pixels))
            found.append(faces[0].blendshapes if faces else np.full(len(READ), np.nan))
        return np.mean(found, 0)

    rows = []
    for action, along in SWEPT.items():
        name = action + "Left" if action in PAIRED else action
        at = [read({a: w * amount for a, w in {action: 1.0, **along}.items()}) for amount in AMOUNTS]
        rows.append(Row(action, tuple(float(r[READ.index(name)]) for r in at)))
    tracker.close()
    return rows


def table(rows: list[Row]) -> str:
    """The rows as text."""
    head = f"{'driven':16}" + "".join(f"{amount:7.2f}" for amount in AMOUNTS)
    return "\n".join([head, *(f"{row.action:16}" + "".join(f"{x:7.2f}" for x in row.readings) for row in rows)])
