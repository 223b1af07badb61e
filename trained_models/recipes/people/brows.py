"""Brows as painted strokes: some hundred bent hairs a side, in three layers."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.chart import Chart, chart

REST_HEIGHT = 7.432
"""Painted 3 mm higher, MediaPipe reads raised brows at rest."""


@dataclass(frozen=True, slots=True)
class Brow:
    """`thickness`, `density`, `arch` about 1; `height` an offset in dm; `opacity`, `darkness` 0..1."""

    thickness: float
    density: float
    arch: float
    height: float
    opacity: float
    darkness: float


def _strokes(on: Chart, ends: tuple[Floats, Floats, Floats], strength: Floats) -> Floats:
    """(h, w) cover of quadratic strokes; `ends` are start, control and end points (n, 2) on the face's front."""
    points = on.texels(np.concatenate(ends))
    n = len(ends[0])
    start, control, end = points[:n], points[n : 2 * n], points[2 * n :]
    t = np.linspace(0, 1, 6)[:, None, None]
    curves = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t * t * end
    # Four fractional bits, for smooth lines.
    fixed = np.ascontiguousarray(np.round(curves.transpose(1, 0, 2) * 16).astype(np.int32))
    out = np.zeros(on.shape, np.uint8)
    for curve, value in zip(fixed, strength, strict=True):
        cv2.polylines(out, [np.ascontiguousarray(curve)], False, int(value * 255), 1, cv2.LINE_AA, 4)
    return out.astype(np.float32) / 255


def brow_cover(rng: np.random.Generator, brow: Brow) -> Any:
    """(h, w) how much brow covers each texel of the chart, 0..1."""
    on = chart()
    cover = np.zeros(on.shape, np.float32)
    height = REST_HEIGHT + brow.height
    for _ in range(3):
        n = int(230 * brow.density)
        along = rng.uniform(0, 1, n) ** 0.9  # 0 at the nose, 1 at the temple
        side = rng.choice([-1, 1], n)
        x = 0.115 + 0.475 * along
        rise = brow.arch * 0.065 * np.sin(np.clip(along / 0.66, 0, 1) * np.pi / 2)
        y = height + 0.012 + rise - 0.095 * np.clip((along - 0.60) / 0.40, 0, 1) ** 1.4
        half = brow.thickness * (0.038 * (1 - along**3 * 0.85) * np.minimum(1, 0.55 + along * 3))
        off = rng.uniform(-1, 1, n) * half
        degrees = 75 - 65 * np.clip(along * 1.3, 0, 1) - 20 * np.clip((along - 0.6) / 0.4, 0, 1)
        angle = np.radians(degrees + rng.normal(0, 10, n)) - np.sign(off) * np.radians(14) * along
        length = rng.uniform(0.045, 0.075, n) * (1 - 0.3 * along)
        start = np.c_[x, y + off]
        control = start + np.c_[np.cos(angle), np.sin(angle)] * length[:, None] * 0.5
        end = control + np.c_[np.cos(angle - 0.5), np.sin(angle - 0.5)] * length[:, None] * 0.5
        for points in (start, control, end):
            points[:, 0] *= side
        # Sparse where the brow begins, or it would look cut out.
        drawn = _strokes(
            on, (start, control, end), rng.uniform(0.3, 0.85, n) * (0.35 + 0.65 * np.minimum(1, along * 4))
        )
        cover = np.maximum(cover * 0.98, drawn * 0.9 + cover * 0.4)
    soft = cv2.GaussianBlur(cover, (0, 0), 6) * 0.75
    return np.clip(np.clip(cover, 0, 1) + soft, 0, 0.96) * brow.opacity
