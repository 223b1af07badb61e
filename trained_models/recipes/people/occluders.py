"""Things that come before a face: a hand, a cup, a microphone. Solid, lit, and cut out of the face's mask."""

from typing import Any

import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.geometry import rotation
from trained_models.recipes.people.paint import linear
from trained_models.recipes.people.skin import tone
from trained_models.recipes.people.worn import Worn, joined_solid, tube

FINGERS = ((-0.30, 0.62), (-0.10, 0.72), (0.10, 0.68), (0.29, 0.54))
"""Where each finger begins across the palm, and its length, dm."""


def _profile(heights: Floats, radii: Floats) -> tuple[Floats, Floats, Any]:
    """A round body along y."""
    path = np.stack([0 * heights, heights, 0 * heights], 1)
    return tube(path, radii, sides=20)


def cup(rng: np.random.Generator) -> Worn:
    """A mug, open side up, its middle at the origin."""
    tall, wide = rng.uniform(0.75, 1.1), rng.uniform(0.34, 0.46)
    y = np.array([-0.5, -0.5, -0.46, 0.5, 0.5, 0.46, -0.40]) * tall
    body = _profile(y, wide * np.array([0.02, 0.9, 0.95, 1.0, 0.96, 0.93, 0.85]))
    turn = np.linspace(-1.4, 1.4, 12)
    handle = np.stack([wide + 0.24 * np.cos(turn), 0.3 * np.sin(turn), 0 * turn], 1)
    return joined_solid([body, tube(handle, 0.05)], linear(rng.uniform(20, 240, 3)), float(rng.uniform(0.2, 0.9)))


def microphone(rng: np.random.Generator) -> Worn:
    """A round head on a stick."""
    rise = np.linspace(-1, 1, 11)
    size = rng.uniform(0.22, 0.34)
    head = _profile(rise * size, size * np.sqrt(np.maximum(1 - rise**2, 0.01)))
    stick = _profile(np.linspace(-2.2, -size * 0.8, 5), np.linspace(0.11, 0.15, 5))
    return joined_solid([head, stick], linear(rng.choice([(28, 28, 30), (60, 60, 66), (120, 122, 125)])), 0.5)


def hand(rng: np.random.Generator, melanin: float) -> Worn:
    """A slightly bent hand with its palm towards the face, fingers up, the wrist below."""
    colour = tone(melanin) * rng.uniform(0.85, 1.05)
    curl = rng.uniform(0.1, 0.9)
    parts = [tube(np.array([[0, -1.6, 0.1], [0, -0.7, 0.03], [0, -0.4, 0.0]], float), np.array([0.24, 0.22, 0.2]))]
    spread = rng.uniform(0.0, 0.25)
    for x, length in FINGERS:
        t = np.linspace(0, 1, 7)
        bend = curl * 0.45 * t**2
        finger = np.stack([x * (1 + spread * t), -0.1 + length * 1.15 * t * (1 - 0.25 * curl * t), -bend], 1)
        parts.append(tube(finger, 0.085 * np.array([1, 1, 0.97, 0.95, 0.9, 0.8, 0.3])))
    thumb = np.array([[-0.30, -0.45, 0], [-0.52, -0.25, -0.03], [-0.66, 0.0, -0.08], [-0.70, 0.18, -0.12]])
    parts.append(tube(thumb, np.array([0.11, 0.10, 0.09, 0.04])))
    for x in (-0.26, -0.09, 0.09, 0.25):
        palm = np.array([[x * 0.8, -0.62, 0.02], [x, -0.35, 0.0], [x, -0.05, 0.0]])
        parts.append(tube(palm, np.array([0.13, 0.14, 0.11])))
    return joined_solid(parts, colour, 0.12)


class Occluder:
    """Something held before a face, by seed; `kind` says what."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 51])
        self.kind = str(rng.choice(["hand", "cup", "microphone"]))
        if self.kind == "hand":
            self.thing = hand(rng, float(rng.uniform(0, 1)))
        else:
            self.thing = cup(rng) if self.kind == "cup" else microphone(rng)
        self._turn = rotation(rng.normal(0, 14), rng.normal(0, 14), rng.normal(0, 30 if self.kind == "hand" else 10))
        aside, high = (0.4, -0.25) if self.kind == "hand" else (0.25, -0.75)
        self._near = np.array([rng.normal(0, aside), rng.normal(high, 0.35), rng.uniform(1.8, 2.3)])
        self._away = self._near + np.array([rng.normal(0, 0.8), -3.4, 0.4])

    def at(self, face: Floats, near: float) -> Worn:
        """The thing with the middle of the head at `face` (3,) dm; `near`: 0 out of the picture, 1 before the face."""
        place = face + self._away + (self._near - self._away) * near
        thing = self.thing
        return Worn(
            (thing.places @ self._turn.T + place).astype(np.float32),
            (thing.normals @ self._turn.T).astype(np.float32),
            thing.paint,
            thing.edge,
            thing.triangles,
        )
