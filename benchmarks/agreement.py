"""How well one face's acting follows another's: the formulas, on plain arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

_SIDED = ("Left", "Right")
BLENDSHAPES: tuple[str, ...] = (
    "_neutral",
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *(
        f"{name}{side}"
        for name in (
            *("cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint"),
            "eyeWide",
        )
        for side in _SIDED
    ),
    *("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight"),
    *("mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft"),
    *("mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
"""MediaPipe's 52 in its order."""

LEADING = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp")
"""The ones promised to be followed."""

MOVES = 0.1
"""A driver's channel with a smaller standard deviation hardly moves: correlating it measures noise."""

OUTER_EYES = (33, 263)
"""The outer corners of the eyes among the 478 landmarks: their distance is 300-W's unit of length."""


def pearson(x: Reals, y: Reals) -> float | None:
    """The correlation of two series; None where one of them does not move."""
    if len(x) < 3 or x.std() < 1e-9 or y.std() < 1e-9:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def gain(x: Reals, y: Reals) -> float | None:
    """The least-squares slope of y over x: 1 is full strength, less is damped; None where x does not move."""
    spread = x - x.mean()
    power = float(spread @ spread)
    return float(spread @ (y - y.mean())) / power if len(x) >= 3 and power > 1e-12 else None


def expression(driver: Reals, output: Reals) -> dict[str, dict[str, float | None]]:
    """By channel: the driver's std, the output's, Pearson's r, the gain, the mean absolute error.

    `driver` and `output` are (T, 52), read from the same T frames.
    """
    return {
        name: {
            "std": _round(float(driver[:, n].std())),
            "output_std": _round(float(output[:, n].std())),
            "r": _round(pearson(driver[:, n], output[:, n])),
            "gain": _round(gain(driver[:, n], output[:, n])),
            "mae": _round(float(np.abs(driver[:, n] - output[:, n]).mean())),
        }
        for n, name in enumerate(BLENDSHAPES)
        if n > 0 and len(driver)
    }


def rotation(pose: npt.NDArray[np.floating[Any]]) -> Reals:
    """The nearest rotation (3, 3) to a pose's linear part, which may carry a scale."""
    u, _, vt = np.linalg.svd(np.asarray(pose, dtype=np.float64)[:3, :3])
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    nearest: Reals = u @ flip @ vt
    return nearest


def geodesic_deg(a: Reals, b: Reals) -> Reals:
    """The angle in degrees between rotations a and b, each (T, 3, 3): arccos((tr(a bᵀ) - 1) / 2)."""
    cosine = (np.einsum("tij,tij->t", a, b) - 1.0) / 2.0
    angle: Reals = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return angle


def head_angles(driver: Reals, output: Reals) -> dict[str, float | None]:
    """Pose error in degrees over (T, 3, 3) rotations, and what is left once its constant part is out.

    Two heads of different shape read at a constant angle to each other: that part is no error of
    following. The constant part is the chordal mean of outputᵀ driver.
    """
    if not len(driver):
        return {"mean": None, "p95": None, "constant": None, "mean_without_constant": None}
    error = geodesic_deg(driver, output)
    constant = rotation(np.einsum("tji,tjk->ik", output, driver) / len(driver))
    left = geodesic_deg(driver, output @ constant)
    whole = geodesic_deg(constant[None], np.eye(3)[None])
    return {
        "mean": _round(float(error.mean()), 2),
        "p95": _round(float(np.percentile(error, 95)), 2),
        "constant": _round(float(whole[0]), 2),
        "mean_without_constant": _round(float(left.mean()), 2),
    }


def jitter(points: Reals, still: npt.NDArray[np.bool_] | None = None) -> dict[str, float | None]:
    """How much landmarks tremble: their second difference over time, on the `still` triples (None: all).

    `points` is (T, N, 2) in pixels, of frames that follow one another. `rms_px` is its root mean
    square a coordinate, `of_eyes_percent` its mean length in percent of the outer-eye distance. `still`
    is (T - 2,).
    """
    second = np.diff(points, n=2, axis=0)
    if still is not None:
        second = second[still]
    if not len(second):
        return {"rms_px": None, "of_eyes_percent": None}
    length = np.linalg.norm(second, axis=2)
    eyes = float(np.linalg.norm(points[:, OUTER_EYES[0]] - points[:, OUTER_EYES[1]], axis=1).mean())
    return {
        "rms_px": _round(float(np.sqrt((second**2).mean()))),
        "of_eyes_percent": _round(100.0 * float(length.mean()) / eyes),
    }


def stillest(points: Reals, share: float = 0.25) -> npt.NDArray[np.bool_]:
    """Which triples of frames, (T - 2,), belong to the `share` in which `points` (T, N, 2) moved least."""
    step = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(axis=1)
    moved = step[1:] + step[:-1]
    quiet: npt.NDArray[np.bool_] = moved <= np.quantile(moved, share) if len(moved) else moved < 0
    return quiet


def moving(channels: Mapping[str, Mapping[str, float | None]]) -> Sequence[str]:
    """The channels that the driver moves, the promised ones first."""
    strong = [name for name, found in channels.items() if (found["std"] or 0.0) >= MOVES]
    return [n for n in LEADING if n in strong] + [n for n in strong if n not in LEADING]


def _round(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
