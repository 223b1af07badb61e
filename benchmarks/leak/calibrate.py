"""Where the judge's thresholds come from: known-raw, half-raw, blurred and replaced faces, side by side."""

from contextlib import closing
from typing import Any

import cv2
import numpy as np

from benchmarks.leak.judge import Likeness, likeness, region_of
from benchmarks.leak.scenarios import Casting, alone
from realtime.clock import now_ns
from realtime.config import RunConfig, Settings
from realtime.frame import Frame
from realtime.pipeline.active_identity import open_effect, select_identity
from realtime.pipeline.engine import Engine
from realtime.pipeline.parts import open_tracker
from realtime.threads import Latest

COLOURS = ("mkl", "rct", "none", "idt", "lct")
NAMES = ("replaced", "blurred", "half raw", "raw, coloured", "raw")


def calibrate(takes: int, frames: int = 20) -> dict[str, Any]:
    """The likeness of faces of known kinds: by kind and number its lowest, 1st, 50th, 99th percentile and highest."""
    kept: dict[str, list[Likeness]] = {name: [] for name in NAMES}
    for model in ("ada", "amos", "fern"):
        with closing(open_effect(select_identity(model, None), provider="auto", precision="auto")) as effect:
            for seed in range(takes):
                settings = Settings.model_validate(
                    {"color_transfer": COLOURS[seed % len(COLOURS)], "sharpen": 30 * (seed % 3)}
                )
                _one(kept, Engine(open_tracker(RunConfig()), effect, Latest(settings).get, now_ns), seed, frames)
    percentiles = (0, 1, 50, 99, 100)
    return {
        name: {"faces": len(found)}
        | {
            key: [round(float(v), 3) for v in np.percentile([one[at] for one in found], percentiles)]
            for at, key in enumerate(Likeness._fields)
        }
        for name, found in kept.items()
        if found
    }


def _one(kept: dict[str, list[Likeness]], engine: Engine, seed: int, frames: int) -> None:
    scene = alone(Casting(1000 + seed, frames))
    for number in range(frames):
        picture = scene.picture(number)
        made = engine(Frame(picture.pixels.copy(), number, number, number / 25)).pixels
        region = region_of(picture.faces[0]) if picture.faces else None
        if made is None or region is None:
            continue
        rows, columns, mask = region
        given, replaced = picture.pixels[rows, columns], made[rows, columns]
        blurred = cv2.GaussianBlur(given, (0, 0), max(2.0, given.shape[0] / 10))
        half = cv2.addWeighted(given, 0.5, replaced, 0.5, 0)
        coloured = cv2.convertScaleAbs(given, alpha=0.85, beta=12)
        others: tuple[Any, ...] = (replaced, blurred, half, coloured, given)
        for name, other in zip(NAMES, others, strict=True):
            kept[name].append(likeness(given, np.asarray(other, np.uint8), mask))
