"""Movements over time for a clip: blinks, head sway, glances and acted expressions."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import Floats

Doubles = npt.NDArray[np.float64]


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


def blinks(times: Doubles, at: tuple[float, ...]) -> Doubles:
    """0..1: lids close in 90 ms, stay a moment and open in twice that."""
    out = np.zeros(len(times))
    for moment in at:
        x = times - moment
        out = np.maximum(out, np.clip(np.where(x < 0, 1 + x / 0.09, 1.15 - x / 0.17), 0, 1))
    return out


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
    """Add actions to a (frames, 52) track in place, `amount` (frames,) of each weight; pairs by one name."""
    for action, weight in weights.items():
        for name in [action] if action in names else [action + "Left", action + "Right"]:
            track[:, names.index(name)] += amount * weight
