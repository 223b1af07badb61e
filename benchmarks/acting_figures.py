"""A clip's acting in a few figures: moving blendshapes together, blinks, and the series to draw."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.agreement import BLENDSHAPES, Reals, gain, moving, pearson
from benchmarks.blinks import blink_match, blinks
from benchmarks.lip_offset import opening
from realtime.tracking.face import Face

GAIN = (0.8, 1.2)
"""Between these a channel acts as strongly as the driver, as far as one sees."""

PARTS = 0.02
"""A mouth whose opening has a smaller standard deviation, in outer-eye distances, hardly opens."""

_GAINS = ("mean_gain", "lowest_gain", "highest_gain", "gain_kept")
_JAW = BLENDSHAPES.index("jawOpen")
_LIDS = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]


def together(channels: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    """r and gain over the moving channels. A channel that the output does not move at all counts as r 0, gain 0."""
    names = moving(channels)
    if not names:
        return {"moving": 0, "mean_r": None, "lowest_r": None, **dict.fromkeys(_GAINS)}
    r = [channels[name]["r"] or 0.0 for name in names]
    gains = [channels[name]["gain"] or 0.0 for name in names]
    kept = [GAIN[0] <= g <= GAIN[1] for g in gains]
    return {
        "moving": len(names),
        "mean_r": round(float(np.mean(r)), 3),
        "lowest_r": round(min(r), 3),
        "mean_gain": round(float(np.mean(gains)), 3),
        "lowest_gain": round(min(gains), 3),
        "highest_gain": round(max(gains), 3),
        "gain_kept": round(float(np.mean(kept)), 3),
    }


def series(faces: Sequence[Face | None]) -> dict[str, Reals]:
    """`jawOpen` and `lids` (the mean of both), each (T,), NaN where no face was read."""
    shapes = np.array([np.full(52, np.nan) if f is None else f.blendshapes for f in faces], dtype=np.float64)
    shapes = shapes.reshape(-1, 52)
    return {"jawOpen": shapes[:, _JAW], "lids": shapes[:, _LIDS].mean(axis=1)}


def blink_figures(driver: Sequence[Face | None], output: Sequence[Face | None]) -> dict[str, Any]:
    """Blinks of both and their F1; frames where one of them was not read are closed to neither.

    A blink that the driver makes while the output is lost counts as missed: that is what a viewer sees.
    """
    return blink_match(blinks(series(driver)["lids"]), blinks(series(output)["lids"]))


def mouth_figures(driver: Sequence[Face | None], output: Sequence[Face | None]) -> dict[str, float | None]:
    """r and gain of how far the lips are apart, by landmarks: what a viewer sees of a mouth that opens.

    `jawOpen` is a guess from the same landmarks that leans on who it is: drawn faces whose lips part as far as their
    driver's may read as two thirds of it. `std` is the driver's; r and gain are None where it is below `PARTS`.
    """
    pairs = [(opening(a), opening(b)) for a, b in zip(driver, output, strict=True) if a is not None and b is not None]
    own, made = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    std = float(own.std()) if len(own) else 0.0
    if std < PARTS:
        return {"std": round(std, 4), "r": None, "gain": None}
    slope = gain(own, made)
    r = pearson(own, made) or 0.0  # lips that never part follow nobody
    return {"std": round(std, 4), "r": round(r, 3), "gain": None if slope is None else round(slope, 3)}


def traces(driver: Sequence[Face | None], output: Sequence[Face | None]) -> dict[str, Any]:
    """What the chart draws: jaw and lids of both, and at which frames they blink. None where no face was read."""
    found: dict[str, Any] = {}
    for who, faces in (("driver", driver), ("output", output)):
        lines = series(faces)
        found[who] = {name: [None if np.isnan(v) else round(float(v), 3) for v in x] for name, x in lines.items()}
        found[who]["blinks"] = blinks(lines["lids"])
    return found
