"""What the people do: keys of directions of limbs over time, in the person's own trunk's axes (see `person`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

Floats = npt.NDArray[np.floating[Any]]

LIMBS = {
    f"{side}{limb}": tuple(f"{bone}.{side.upper()}" for bone in bones)
    for limb, bones in {
        "arm": ("upperarm01", "lowerarm01", "wrist"),
        "leg": ("upperleg01", "lowerleg01", "foot"),
    }.items()
    for side in "lr"
}
_SCALARS = ("yaw", "lean", "shake", "nod", "tilt", "x", "down", "away")
VARIES = 0.09  # of a direction: nobody does the same as somebody else

Direction = tuple[float, float, float]
Key = dict[str, Any]
"""What differs from standing still: a limb's two directions, or one of the scalars."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """`limbs`: two unit directions each. Angles are radians: `yaw` of the whole person, `lean` of the trunk, `head`
    (shake, nod, tilt). `shift` (3,) metres."""

    limbs: Mapping[str, tuple[Floats, Floats]]
    yaw: float
    lean: float
    head: tuple[float, float, float]
    shift: Floats


def _both(upper: Direction, lower: Direction, limb: str = "arm") -> dict[str, Any]:
    """The same on both sides; given for the left."""

    def mirrored(d: Direction) -> Direction:
        return (-d[0], d[1], d[2])

    return {f"l{limb}": (upper, lower), f"r{limb}": (mirrored(upper), mirrored(lower))}


_STANDS: Key = _both((0.16, 1, -0.02), (0.08, 1, -0.15)) | _both((0.05, 1, 0), (0.02, 1, 0.03), "leg")
_SITS: Key = _both((0.28, 0.9, -0.25), (-0.1, 0.2, -0.8))


def _swung(low: Key, high: Key, times: int) -> list[Key]:
    """To and fro."""
    return [low, high] * times + [low]


def _arc(turn: float) -> Direction:
    return (float(np.sin(turn)), float(np.cos(turn)), -0.08)


def _jump(turn: float, spread: float) -> Key:
    leg = (float(np.sin(spread)), float(np.cos(spread)), 0.0)
    return _both(_arc(turn), _arc(turn)) | _both(leg, leg, "leg")


_JACK = [_jump(0.15, 0.05), _jump(0.9, 0.12), _jump(1.7, 0.22), _jump(2.5, 0.3), _jump(2.95, 0.33)]
_WAVES: list[Key] = [{"rarm": ((-1, 0.15, -0.2), (x, -1, -0.15))} for x in (0.2, -0.9)]
_AKIMBO = _both((0.75, 0.75, 0.15), (-0.75, 0.6, -0.25))
_CROSSED = {"larm": ((0.25, 0.9, -0.45), (-1, -0.12, -0.45)), "rarm": ((-0.25, 0.9, -0.42), (1, -0.02, -0.3))}
_HIDDEN = _both((0.35, 1, 0.45), (-0.8, 0.5, 0.45))
_LOW = _both((0.35, 0.45, -0.8), (0.0, 1, 0.45), "leg") | _both((0.3, 0.05, -1), (0.3, 0.05, -1)) | {"down": 0.26}
_OUT = {"larm": ((1, 0.2, 0), (0.6, -1, -0.2))}

ACTS: Mapping[str, tuple[str, Sequence[Key]]] = {
    "wave": ("whole", [{}, *_swung(_WAVES[0], _WAVES[1], 2), {}]),
    "jacks": ("whole", [*_JACK, *_JACK[-2::-1]]),
    "point": ("whole", [{}, {"rarm": ((-0.5, 0.1, -0.8), (-0.3, 0.02, -0.9))}, {"larm": ((0.9, -0.2, -0.3),) * 2}, {}]),
    "crossed": ("whole", [{}, _CROSSED, _CROSSED, {}]),
    "hips": ("whole", [{}, _AKIMBO, _AKIMBO | {"lean": 0.3}, _AKIMBO | {"lean": -0.3}, {}]),
    "kick": (
        "whole",
        [
            {},
            {"lleg": ((0.81, 0.58, -0.1), (0.84, 0.54, 0.05)), "lean": 0.12} | _both((1, 0.35, -0.1), (1, 0.35, -0.1)),
            {},
            {"rleg": ((-0.75, 0.55, -0.2), (0.35, 1, 0.2)), "lean": -0.12} | _both((1, 0.35, -0.1), (1, 0.35, -0.1)),
            {},
        ],
    ),
    "squat": ("whole", [{}, _LOW, {}]),
    "turn": ("whole", [{}, _OUT | {"yaw": 1.1}, _OUT, _OUT | {"yaw": -1.1}, {}]),
    "spin": ("whole", [_both((0.9, 0.5, 0), (0.6, 1, -0.2)) | {"yaw": 2 * np.pi * k / 8} for k in range(9)]),
    "behind": ("whole", [{}, _HIDDEN, _HIDDEN | {"lean": 0.1}, _HIDDEN, {}]),
    "still": ("whole", [{}, {}]),
    "approaching": ("whole", [{}, {"away": -2.6}, {"away": -2.6}, {"away": -2.6}, {}, {}]),
    "desk": (
        "desk",
        [
            _SITS,
            _SITS | {"larm": ((0.28, 0.9, -0.25), (0.45, -1, -0.35)), "shake": 0.35},
            _SITS | {"rarm": ((-0.3, 0.9, -0.22), (-0.45, -1, -0.4)), "nod": 0.12},
            _SITS | {"larm": ((0.28, 0.9, -0.25), (0.1, -1, -0.5)), "shake": -0.35},
            _SITS,
        ],
    ),
    "leaning": ("desk", [_SITS | {"lean": s, "tilt": -0.6 * s, "x": 0.5 * s} for s in (0.0, 0.35, 0.0, -0.35, 0.0)]),
    "leaving": ("desk", [_SITS, _SITS, _SITS | {"x": 0.5, "lean": 0.15}, _SITS | {"x": 1.4, "lean": 0.2}]),
    "still_desk": ("desk", [_SITS | {"larm": ((0.28, 0.9, -0.25), (0.4, -1, -0.35))}] * 2),
}
"""By name: the view, `whole` or `desk`, and the keys, at equal times."""


def perform(act: str, frames: int, rng: np.random.Generator) -> list[Moment]:
    """An act in so many frames, as somebody of their own does it."""
    keys = [_numbers({**_STANDS, **key}) for key in ACTS[act][1]]
    known: dict[bytes, Floats] = {}
    for number, key in enumerate(keys):  # the same key is done the same way each time
        if key.tobytes() not in known:
            varied = key.copy()
            varied[: -len(_SCALARS)] += rng.normal(0, VARIES, len(key) - len(_SCALARS))
            if act != "spin":
                varied[-len(_SCALARS) :] *= rng.uniform(0.85, 1.15)
            known[key.tobytes()] = varied
        keys[number] = known[key.tobytes()]
    path = PchipInterpolator(np.linspace(0, 1, len(keys)), np.array(keys))
    return [_moment(row) for row in path(np.linspace(0, 1, frames))]


def _numbers(key: Key) -> Floats:
    limbs = [np.array(d, float) / np.linalg.norm(d) for limb in LIMBS for d in key[limb]]
    return np.concatenate([*limbs, [float(key.get(name, 0.0)) for name in _SCALARS]])


def _moment(numbers: Floats) -> Moment:
    rows = numbers[: -len(_SCALARS)].reshape(len(LIMBS), 2, 3)
    rows = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    yaw, lean, shake, nod, tilt, x, down, away = numbers[-len(_SCALARS) :].tolist()
    limbs = {limb: (row[0], row[1]) for limb, row in zip(LIMBS, rows, strict=True)}
    return Moment(limbs, yaw, lean, (shake, nod, tilt), np.array([x, down, away]))
