"""What is behind: a blurred wall with some rectangles on it. No picture of a real place is used."""

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.paint import linear, noise


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
