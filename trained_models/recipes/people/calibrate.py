"""How far each of a person's actions must go for the tracker to read on them what it reads on everybody.

Each person is drawn without hair, each action is swept, and the sweep is turned round: which amplitude gives the wanted
reading? What a face at rest reads is taken back as well. What the tracker cannot see keeps its fixed gain (README.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.metrics.acting import BLENDSHAPES
from trained_models.recipes.people.assets import Floats

PAIRED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown"),
    *("mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer"),
)
"""Actions with a left and a right half."""

GAINS = {
    "browDown": 2.3,
    "browInnerUp": 2.2,
    "browOuterUp": 2.0,
    "eyeSquint": 1.6,
    "eyeWide": 1.3,
    "jawOpen": 1.2,
    "mouthFrown": 1.6,
    "mouthFunnel": 1.5,
    "mouthPress": 1.2,
    "mouthSmile": 1.2,
    "mouthStretch": 1.1,
    "mouthUpperUp": 1.1,
    "noseSneer": 1.2,
}
"""What 1.0 of an action is multiplied with, so that MediaPipe reads its whole range. Found with `ceiling`."""

EXPRESSIONS: dict[str, dict[str, float]] = {
    "smile": {"mouthSmile": 0.9, "cheekSquint": 0.6, "eyeSquint": 0.25},
    "laugh": {"mouthSmile": 1.0, "cheekSquint": 0.7, "eyeSquint": 0.4, "jawOpen": 0.45, "mouthUpperUp": 0.4},
    "surprise": {"browInnerUp": 0.95, "browOuterUp": 0.9, "eyeWide": 0.9, "jawOpen": 0.5},
    "brows": {"browInnerUp": 0.9, "browOuterUp": 0.8},
    "anger": {"browDown": 0.95, "noseSneer": 0.6, "eyeSquint": 0.5, "mouthPress": 0.4, "mouthFrown": 0.4},
    "sad": {"browInnerUp": 0.8, "mouthFrown": 0.8, "mouthShrugLower": 0.5, "eyeSquint": 0.2},
    "disgust": {"noseSneer": 0.9, "mouthUpperUp": 0.6, "browDown": 0.5, "eyeSquint": 0.4},
    "fear": {"browInnerUp": 0.8, "browOuterUp": 0.4, "eyeWide": 0.8, "mouthStretch": 0.6, "jawOpen": 0.2},
    "kiss": {"mouthPucker": 0.9, "eyeSquint": 0.2},
    "doubt": {"mouthPress": 0.5, "mouthDimple": 0.5, "browDown": 0.3},
}


def side_names(action: str) -> tuple[str, ...]:
    """The topology's names for an action: itself, or its left and right half."""
    return (action + "Left", action + "Right") if action in PAIRED else (action,)


def gains(names: list[str]) -> Floats:
    """(52,) gain of each action, in the order of `names`."""
    by_name = {half: gain for action, gain in GAINS.items() for half in side_names(action)}
    return np.array([by_name.get(name, 1.0) for name in names], np.float32)


def both_sides(actions: dict[str, float]) -> dict[str, float]:
    """Weights by the topology's names, from weights where a pair has one name."""
    return {half: weight for action, weight in actions.items() for half in side_names(action)}


Read = Callable[[Floats], npt.NDArray[np.float32]]
"""(52,) actions in the topology's order → (52,) readings in the order of `BLENDSHAPES`, 0..1."""

LEVELS = np.array([0.2, 0.4, 0.65, 1.0])  # shares of `Wanted.most` at which a sweep is read
LEAST_SHARE = 0.25  # of the usual gain: an action is never weaker
UNSEEN = 0.04  # A reading this near to the one at rest says nothing about the amplitude


@dataclass(frozen=True, slots=True)
class Wanted:
    """What half and full weight shall read, `most` (an amplitude that no face needs to pass) and what moves along."""

    half: float
    full: float
    most: float
    along: tuple[tuple[str, float], ...] = ()


WANTED = {
    "jawOpen": Wanted(0.42, 0.80, 1.5),
    "eyeSquint": Wanted(0.44, 0.60, 2.2),
    "eyeWide": Wanted(0.07, 0.15, 2.2),
    "browInnerUp": Wanted(0.45, 0.85, 3.0, (("browOuterUp", 0.5),)),
    "browOuterUp": Wanted(0.45, 0.70, 2.6),
    "browDown": Wanted(0.20, 0.50, 2.3),
    "mouthSmile": Wanted(0.60, 0.93, 1.7),
    "mouthFrown": Wanted(0.08, 0.24, 2.2),
    "mouthPucker": Wanted(0.45, 0.93, 2.0),
    "mouthFunnel": Wanted(0.18, 0.45, 2.1),
    "mouthUpperUp": Wanted(0.25, 0.62, 2.0),
    "mouthStretch": Wanted(0.08, 0.25, 2.4),
    "mouthLeft": Wanted(0.15, 0.50, 2.4),
    "mouthRight": Wanted(0.15, 0.50, 2.4),
    "mouthShrugLower": Wanted(0.15, 0.40, 1.7),
}
"""What nearly every face reaches (measured on random people) without tearing."""

TOGETHER = (
    *(("browInnerUp", "mouthFunnel"), ("browOuterUp", "mouthShrugLower"), ("browDown", "mouthLeft")),
    *(("eyeWide", "mouthRight"), ("eyeSquint", "mouthStretch")),
    *(("jawOpen",), ("mouthSmile",), ("mouthFrown",), ("mouthPucker",), ("mouthUpperUp",)),
)
"""Actions swept in the same pictures: brows and eyes do not disturb the reading of the mouth much."""

REST = {"browInnerUp": 0.10, "browOuterUp": 0.15, "browDown": 0.08, "eyeSquint": 0.30, "mouthPucker": 0.10}
"""The most that a face at rest may read."""
REST_STEPS = np.array([0.25, 0.5, 0.75, 1.0])  # shares of `LEAST` that are tried
LEAST = {"browInnerUp": -0.9, "browOuterUp": -0.9, "browDown": -0.9, "eyeSquint": -0.7, "mouthPucker": -0.35}


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """One person's way to move. `rest` (52,) is always added; `half`, `full` (52,): amplitudes of weights 0.5 and 1."""

    rest: Floats
    half: Floats
    full: Floats

    def drive(self, weights: Floats) -> Floats:
        """(..., 52) amplitudes for weights 0..1; beyond 1 the curve goes straight on."""
        below = np.minimum(weights, 0.5) * 2 * self.half
        above = np.maximum(weights - 0.5, 0) * 2 * (self.full - self.half)
        return np.asarray(self.rest + below + above, np.float32)


def uncalibrated(names: list[str]) -> Calibration:
    """The same fixed gains for everybody."""
    fixed = gains(names)
    return Calibration(np.zeros_like(fixed), fixed / 2, fixed)


def amplitude(levels: Floats, readings: Floats, goal: float) -> float | None:
    """Where a sweep first reads `goal`; its highest place if it stays below; None if it reads nothing at all. `levels`,
    `readings` (n,), the first at rest."""
    if readings.max() < readings[0] + UNSEEN:
        return None
    peak = int(np.argmax(readings))
    rising = np.maximum.accumulate(readings[: peak + 1])
    if goal >= rising[-1]:
        return float(levels[peak])
    above = int(np.argmax(rising >= goal))
    if above == 0:
        return 0.0
    low, high = rising[above - 1], rising[above]
    share = (goal - low) / max(high - low, 1e-6)
    return float(levels[above - 1] + share * (levels[above] - levels[above - 1]))


def calibrate(names: list[str], read: Read) -> Calibration:
    """Measure one person. `names`: the topology's actions; `read` draws and reads that person's bare face."""
    place = {name: names.index(name) for name in names}
    start = uncalibrated(names)
    rest, half, full = start.rest.copy(), start.half.copy(), start.full.copy()
    _settle(rest, place, read)
    at_rest = read(rest)
    for group in TOGETHER:
        rows = [at_rest]
        for share in LEVELS:
            moved = rest.copy()
            for action in group:
                for name, part in ((action, 1.0), *WANTED[action].along):
                    moved[[place[half_name] for half_name in side_names(name)]] += share * WANTED[action].most * part
            rows.append(read(moved))
        for action in group:
            _turn_round(action, rows, place, start.full, half, full)
    return Calibration(rest, half, full)


def _turn_round(
    action: str, rows: list[Floats], place: dict[str, int], usual: Floats, half: Floats, full: Floats
) -> None:
    """From readings at rest and at `LEVELS` to amplitudes, written to `half` and `full`."""
    wanted = WANTED[action]
    levels = np.r_[0.0, LEVELS * wanted.most]
    for name in side_names(action):
        seen = np.array([row[BLENDSHAPES.index(name)] for row in rows])
        if not np.isfinite(seen).all():
            continue
        at_half, at_full = (amplitude(levels, seen, goal) for goal in (wanted.half, wanted.full))
        if at_half is None or at_full is None:
            continue
        index = place[name]
        full[index] = np.clip(at_full, LEAST_SHARE * usual[index], wanted.most)
        # The toe of the curve reads nothing, but a face must not jump: at least a quarter of the way at half.
        half[index] = np.clip(at_half, 0.25 * full[index], 0.75 * full[index])


def _settle(rest: Floats, place: dict[str, int], read: Read) -> None:
    """Take back what a resting face reads too high, action by action, in place."""
    for action, most in REST.items():
        halves = side_names(action)
        seen = [BLENDSHAPES.index(name) for name in halves]
        if not read(rest)[seen].mean() > most:
            continue
        index = [place[name] for name in halves]
        for share in REST_STEPS:
            rest[index] = share * LEAST[action]
            if read(rest)[seen].mean() <= most:
                break
