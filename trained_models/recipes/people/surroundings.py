"""Random light: a room as spherical harmonics, and up to three lamps."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.geometry import even_directions
from trained_models.recipes.people.paint import linear, noise

DIRECTIONS = even_directions(512)
LAMP_PLACES = even_directions(64)
# Cosine lobe per order, over pi (Ramamoorthi and Hanrahan 2001).
COSINE = np.array([1] + [0.6667] * 3 + [0.25] * 5)


def harmonics(directions: Any) -> Any:
    """(..., 9) real spherical harmonics up to the second order of unit vectors (..., 3)."""
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    first = [np.full_like(x, 0.282095), 0.488603 * y, 0.488603 * z, 0.488603 * x]
    second = [1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z]
    return np.stack([*first, *second, 0.546274 * (x * x - y * y)], -1)


def tint(kelvin: float) -> Any:
    """(3,) rough colour of a light temperature, about 1."""
    k = np.clip(kelvin, 2500, 9500)
    if k < 6600:
        return np.array([1.0, 0.55 + 0.45 * k / 6600, min(1, 0.25 + 0.75 * (k - 1500) / 5100)])
    return np.array([(6600 / k) ** 0.35, (6600 / k) ** 0.15, 1.0])


def _unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


class Light:
    """What shines in one picture. `room` (512, 3): radiance over `DIRECTIONS`. `lamps` (3, 3): directions towards the
    lamps; `lamp_colours` (3, 3). The first lamp casts shadows whose edges are `softness` wide."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        above, below = tint(rng.uniform(4200, 8500)), tint(rng.uniform(3000, 6500))
        up = DIRECTIONS[:, 1:2]
        room = (0.5 + 0.5 * up) * above * rng.uniform(0.3, 0.8)
        room = room + (0.5 - 0.5 * up) * below * rng.uniform(0.15, 0.4)
        for _ in range(rng.integers(1, 4)):  # windows
            towards = _unit(LAMP_PLACES[rng.integers(64)] * [1, 0.7, 1] + [0, 0.15, 0])
            bright = tint(rng.uniform(3000, 8500)) * rng.uniform(0.2, 1.4)
            room = room + bright * np.clip((DIRECTIONS @ towards - rng.uniform(0.3, 0.8)) / 0.25, 0, 1)[:, None]
        self.room = room
        self._hang_lamps(rng)
        self._balance(rng)
        self.softness = rng.uniform(0.004, 0.02)

    @classmethod
    def of(cls, room: Any, lamps: Sequence[tuple[Any, Any]] = (), softness: float = 0.01) -> "Light":
        """A light that is given: `room` (512, 3) or (3,), and up to three lamps' (direction, colour)."""
        light = cls.__new__(cls)
        light.room = np.broadcast_to(np.asarray(room, np.float64), (len(DIRECTIONS), 3))
        hung = (*lamps, *[((0, 0, 1), (0, 0, 0))] * 3)[:3]
        light.lamps = np.stack([_unit(np.array(towards, np.float64)) for towards, _ in hung]).astype(np.float32)
        light.lamp_colours = np.array([colour for _, colour in hung], np.float32)
        light.softness = softness
        return light

    def _hang_lamps(self, rng: np.random.Generator) -> None:
        """A key light mostly from the front, a rim light opposite, a fill."""
        turn = np.radians(rng.choice([rng.normal(0, 35), rng.normal(0, 35), rng.uniform(-85, 85)]))
        rise = np.radians(rng.uniform(5, 60))
        key = np.array([np.sin(turn) * np.cos(rise), np.sin(rise), np.cos(turn) * np.cos(rise)])
        opposite = turn + np.pi + rng.normal(0, 0.7)
        rim = _unit(np.array([np.sin(opposite) * 0.9, 0.35, np.cos(opposite) * 0.9]))
        aside = -np.sign(turn + 1e-3) * rng.uniform(0.4, 1.3)
        fill = _unit(np.array([np.sin(aside), 0.1, np.cos(aside)]))
        self.lamps: Floats = np.stack([key, rim, fill]).astype(np.float32)
        colours = [
            tint(rng.uniform(3200, 7500)) * rng.uniform(0.35, 1.5),
            tint(rng.uniform(3500, 9000)) * rng.uniform(0, 0.7) * (rng.random() < 0.6),
            tint(rng.uniform(3000, 8000)) * rng.uniform(0, 0.35),
        ]
        self.lamp_colours: Floats = np.stack(colours).astype(np.float32)

    def _balance(self, rng: np.random.Generator) -> None:
        """Scale room and lamps so that a face is neither black nor burnt out."""
        face = np.array([[0, 0.1, 1.0], [0.5, 0.2, 0.85], [-0.5, 0.2, 0.85]])
        face /= np.linalg.norm(face, axis=1, keepdims=True)
        wanted = rng.uniform(0.16, 0.5)
        onto_face = harmonics(face) * COSINE
        self.room = self.room * (wanted / max((onto_face @ self.harmonics()).mean(), 0.05))
        from_room = (onto_face @ self.harmonics()).mean(0)
        from_lamps: Any = sum(np.clip(face @ self.lamps[i], 0, 1).mean() * self.lamp_colours[i] for i in range(3))
        total = rng.uniform(0.75, 1.15)
        gain = np.clip((total - from_room.mean()) / max(from_lamps.mean(), 0.05), 0.1, 4.5)
        self.lamp_colours = (self.lamp_colours * gain).astype(np.float32)

    def harmonics(self, turned: Floats | None = None) -> Any:
        """(9, 3) coefficients of the room, as seen by a head `turned` (3, 3)."""
        seen = DIRECTIONS if turned is None else DIRECTIONS @ turned
        return (4 * np.pi / len(DIRECTIONS)) * (harmonics(seen).T @ self.room)


def background(seed: int, width: int, height: int) -> Floats:
    """(height, width, 3) linear RGB."""
    rng = np.random.default_rng(seed)
    # Six colours that nothing uses: the draws keep every seed's room as it was in published data.
    for _ in range(6):
        rng.integers(40, 225, 3)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y /= height
    x /= width
    angle = rng.uniform(0, 6.28)
    slope = np.cos(angle) * x + np.sin(angle) * y
    slope = (slope - slope.min()) / (np.ptp(slope) + 1e-6)
    wall = linear(np.clip(rng.normal(185, 35) + rng.normal(0, 12, 3), 40, 245))
    out = wall * (0.55 + 0.6 * slope[..., None])
    if rng.integers(0, 4) > 0:
        for _ in range(rng.integers(2, 12)):
            left, top = rng.uniform(-0.1, 1), rng.uniform(-0.1, 1)
            wide, tall = rng.uniform(0.04, 0.4), rng.uniform(0.04, 0.5)
            colour = linear(np.clip(rng.normal(120, 55) + rng.normal(0, 22, 3), 5, 250))
            lit = rng.random() < 0.15
            colour = colour * (rng.uniform(1.0, 2.2) if lit else 1)
            rows = slice(int(max(0, top * height)), int(max(0, (top + tall) * height)))
            columns = slice(int(max(0, left * width)), int(max(0, (left + wide) * width)))
            out[rows, columns] = colour * rng.uniform(0.7, 1.1)
    out = out * (1 + 0.12 * noise(rng, (height, width), max(height // 3, 4), 3)[..., None])
    blur = rng.choice([0.006, 0.015, 0.03, 0.06]) * height
    soft = cv2.GaussianBlur(out.astype(np.float32), (0, 0), max(blur, 0.6))
    return np.asarray(np.clip(soft, 0.005, 2.0))
