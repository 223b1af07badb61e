"""What somebody does before a camera for some seconds: speaks, listens, feels, blinks, glances and sways; by seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.calibrate import EXPRESSIONS, both_sides
from trained_models.recipes.people.speech import mouth_curves


def sway(rng: np.random.Generator, frames: int, spread: float, fastest: int) -> Doubles:
    """A smooth random curve of deviation `spread` that ends where it begins: `fastest` sines, slow ones strongest."""
    turn = np.arange(frames) / frames * 2 * np.pi
    total: Any = sum(rng.normal() / k**0.7 * np.sin(k * turn + rng.uniform(0, 6.28)) for k in range(1, fastest + 1))
    return np.asarray(spread * total / (np.std(total) or 1.0))  # a single frame has no deviation


def hump(times: Doubles, start: float, end: float, rise: float = 0.22) -> Doubles:
    """0, then 1 between `start` and `end`, then 0; seconds, with soft flanks, the second a third slower."""

    def soft(x: Doubles) -> Doubles:
        x = np.clip(x, 0, 1)
        return x**2 * (3 - 2 * x)

    return soft((times - start) / rise) * soft((end - times) / (rise * 1.3))


def blink(track: Floats, names: list[str], times: Doubles, at: tuple[float, ...]) -> None:
    """Blinks in place: lids close in 90 ms, stay a moment and open in twice that."""
    closed = np.zeros(len(times))
    for moment in at:
        x = times - moment
        closed = np.maximum(closed, np.clip(np.where(x < 0, 1 + x / 0.09, 1.15 - x / 0.17), 0, 1))
    for side in ("Left", "Right"):
        lid = names.index("eyeBlink" + side)
        track[:, lid] = np.maximum(track[:, lid], closed)
        for other in ("eyeSquint", "eyeWide"):
            track[:, names.index(other + side)] *= 1 - closed


def glances(rng: np.random.Generator, frames: int, fps: float, until: int) -> tuple[Doubles, Doubles]:
    """Gaze yaw and pitch in degrees: fixations of 0.6 to 1.8 s; straight ahead after frame `until`."""
    yaw, pitch = np.zeros(frames), np.zeros(frames)
    at = 0
    while at < until:
        stay = int(rng.uniform(0.6, 1.8) * fps)
        yaw[at : at + stay], pitch[at : at + stay] = rng.normal(0, 3.5), rng.normal(-1, 2)
        at += stay
    return yaw, pitch


def loudness(samples: npt.NDArray[np.int16], rate_hz: int, frames: int, fps: float) -> Doubles:
    """(frames,) 0..1: root mean square a frame, smoothed over seven."""
    level = [
        np.sqrt(np.mean(samples[int(i / fps * rate_hz) : int((i + 1) / fps * rate_hz)].astype(float) ** 2) + 1)
        for i in range(frames)
    ]
    out = np.array(level) / max(level)
    return np.convolve(out, np.ones(7) / 7, "same")


def put(track: Floats, names: list[str], amount: Any, **weights: float) -> None:
    """Add actions to a (..., 52) track in place, `amount` (...) of each weight; pairs by one name."""
    for action, weight in weights.items():
        for name in [action] if action in names else [action + "Left", action + "Right"]:
            track[..., names.index(name)] += amount * weight


CONSONANTS = ("PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR")
VOWELS = ("aa", "E", "I", "O", "U")
SOUND_OF = {"PP": "p", "FF": "f", "TH": "T", "DD": "d", "kk": "k", "CH": "S", "SS": "s", "nn": "n", "RR": "r"} | {
    **{"aa": "a", "E": "E", "I": "i", "O": "o", "U": "u"}
}
SYLLABLE_S = (0.14, 0.28)
BLINK_EVERY_S = 3.5  # on the mean (Bentivoglio et al. 1997: 17 a minute at rest, more in talk)
LOOK_S = (0.3, 2.2)


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """n frames: `actions` (n, 52) weights 0..1, `rot` (n, 3) pitch, yaw, roll and `gaze` (n, 2) yaw, pitch, degrees."""

    actions: Floats
    rot: Floats
    gaze: Floats


def babble(rng: np.random.Generator, duration_s: float) -> list[tuple[float, str]]:
    """Sounds with their starts: phrases of syllables between silences, like speech without words."""
    at, sounds = rng.uniform(0, 0.8), [(0.0, "_")]
    while at < duration_s - 0.3:
        for _ in range(rng.integers(3, 14)):
            length = rng.uniform(*SYLLABLE_S)
            onset = length * rng.uniform(0.25, 0.45)
            sounds += [(at, SOUND_OF[rng.choice(CONSONANTS)]), (at + onset, SOUND_OF[rng.choice(VOWELS)])]
            at += length
            if at > duration_s - 0.3:
                break
        sounds.append((min(at, duration_s - 0.15), "_"))
        at += rng.choice([rng.uniform(0.15, 0.6), rng.uniform(0.8, 2.5)])
    return sounds


def improvise(seed: int, frames: int, fps: float, names: list[str]) -> Performance:
    """A performance; the same numbers for the same arguments. `names`: the topology's actions."""
    rng = np.random.default_rng([seed, 71])
    duration, times = frames / fps, np.arange(frames) / fps
    liveliness = rng.uniform(0.7, 1.35)
    actions = mouth_curves(babble(rng, duration), duration, fps, names)[:frames] * liveliness
    _feel(rng, actions, names, times, duration)
    blink(actions, names, times, _blink_times(rng, duration))
    wide = rng.uniform(0.6, 1.6)
    pitch, yaw, roll = (sway(rng, frames, s * wide, k) for s, k in ((4.0, 6), (9.0, 5), (2.8, 4)))
    for _ in range(int(duration / 4)):  # now and then somebody looks away
        start = rng.uniform(0, duration)
        away = hump(times, start, start + rng.uniform(0.5, 2.0), 0.3)
        yaw = yaw + away * rng.normal(0, 18)
        pitch = pitch + away * rng.normal(0, 8)
    rot = np.clip(np.stack([pitch, yaw, roll], 1), [-28, -48, -22], [28, 48, 22])
    gaze = _saccades(rng, frames, fps)
    # Eyes stay with the screen while the head moves.
    gaze += np.stack([-0.7 * rot[:, 1], 0.55 * rot[:, 0]], 1)
    gaze = np.clip(gaze, [-25, -16], [25, 16])
    return Performance(np.clip(actions, 0, 1.05).astype(np.float32), rot.astype(np.float32), gaze.astype(np.float32))


def _feel(rng: np.random.Generator, actions: Floats, names: list[str], times: Doubles, duration: float) -> None:
    """Expressions that come and go, and brows that stress what is said; in place."""
    at = rng.uniform(0, 1.0)
    while at < duration:
        length = rng.uniform(0.5, 2.4)
        felt = both_sides(EXPRESSIONS[rng.choice(list(EXPRESSIONS))])
        amount = hump(times, at, at + length, rng.uniform(0.15, 0.4)) * rng.uniform(0.25, 1.0)
        lean = np.clip(1 + rng.normal(0, 0.12, 2), 0.5, 1.3)  # no smile is quite even
        for name, weight in felt.items():
            side = lean[0] if name.endswith("Left") else lean[1] if name.endswith("Right") else 1.0
            actions[:, names.index(name)] += amount * weight * side * rng.uniform(0.7, 1.1)
        if rng.random() < 0.25:
            extra = rng.choice(["jawLeft", "jawRight", "mouthLeft", "mouthRight", "cheekPuff", "mouthRollLower"])
            actions[:, names.index(extra)] += amount * rng.uniform(0.3, 0.9)
        at += length + rng.exponential(1.2)
    stress = np.clip(sway(rng, len(times), 0.16, max(3, int(duration * 1.5))), 0, 0.5)
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        actions[:, names.index(name)] += stress
    down = np.maximum(actions[:, names.index("browDownLeft")], actions[:, names.index("browDownRight")])
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        actions[:, names.index(name)] *= 1 - 0.7 * np.clip(down, 0, 1)
    rounded = [names.index("mouthPucker"), names.index("mouthFunnel")]
    total = np.maximum(actions[:, rounded].sum(1, keepdims=True), 1)
    actions[:, rounded] /= total


def _blink_times(rng: np.random.Generator, duration: float) -> tuple[float, ...]:
    out, at = [], rng.uniform(0, BLINK_EVERY_S)
    while at < duration:
        out.append(at)
        at += 0.4 if rng.random() < 0.12 else 0.8 + rng.exponential(BLINK_EVERY_S - 0.8)
    return tuple(out)


def _saccades(rng: np.random.Generator, frames: int, fps: float) -> Doubles:
    """(frames, 2): gaze that rests, then jumps within one or two frames."""
    out, at = np.zeros((frames, 2)), 0
    while at < frames:
        stay = max(1, int(rng.uniform(*LOOK_S) * fps))
        far = rng.random() < 0.15
        out[at : at + stay] = rng.normal([0, -1], [12, 6] if far else [3.5, 2])
        at += stay
    out += rng.normal(0, 0.25, out.shape)
    return out
