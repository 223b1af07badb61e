"""Where the hair begins."""

from typing import Any

import numpy as np

from trained_models.recipes.people.geometry import smoothstep

LINE = np.array(
    [
        *([-2, 6.72], [-0.5, 6.72], [-0.15, 6.85], [0.1, 7.05], [0.25, 7.16], [0.42, 7.12], [0.54, 7.22]),
        *([0.62, 7.46], [0.74, 7.68], [0.9, 7.82], [1.1, 7.91], [1.6, 7.97]),
    ]
)
"""Depth z → height y of the hairline on the mean head, from nape over the ear to the forehead."""


def above_hairline(places: Any, recession: float = 0.0) -> Any:
    """Height over the hairline in dm, positive on the scalp; `recession` bares the temples."""
    line = np.interp(places[..., 2], LINE[:, 0], LINE[:, 1]).astype(np.float32)
    temples = 0.18 + 0.55 * np.exp(-(((np.abs(places[..., 0]) - 0.45) / 0.22) ** 2) * 0.5)
    line = line + recession * smoothstep(0.4, 1.0, places[..., 2]) * temples
    return places[..., 1] - line
