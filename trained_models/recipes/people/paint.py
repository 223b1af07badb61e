"""Brushes: colours, noise and soft spots on the head's chart."""

from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats


def linear(rgb: Any) -> Floats:
    """8-bit sRGB-like numbers → linear 0..1 (a plain power of 2.2)."""
    return (np.array(rgb, np.float32) / 255.0) ** 2.2


def noise(
    rng: np.random.Generator, shape: tuple[int, int], scale: float, octaves: int = 4, falloff: float = 0.5
) -> Floats:
    """Smooth noise of about unit deviation; `scale` is the size of its largest spots in pixels."""
    height, width = shape
    out = np.zeros(shape, np.float32)
    weight, power = 1.0, 0.0
    for octave in range(octaves):
        step = scale / 2**octave
        if step < 1:
            break
        size = (max(2, int(height / step) + 2), max(2, int(width / step) + 2))
        grid = rng.normal(0, 1, size).astype(np.float32)
        out += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        power += weight * weight
        weight *= falloff
    return np.asarray(out / np.sqrt(power))


def spot(places: Floats, centre: tuple[float, float], size: tuple[float, float]) -> Any:
    """A Gaussian spot in x and y, 1 at its centre; `size` are standard deviations in dm."""
    across = (places[..., 0] - np.float32(centre[0])) * np.float32(np.sqrt(0.5) / size[0])
    up = (places[..., 1] - np.float32(centre[1])) * np.float32(np.sqrt(0.5) / size[1])
    np.multiply(across, across, out=across)
    np.multiply(up, up, out=up)
    across += up
    # OpenCV's exponential is several times as fast as numpy's.
    return cv2.exp(np.negative(across, out=across))


def one_sided(places: Floats) -> Floats:
    """Places with the right half folded onto the left, to paint both sides at once."""
    folded = places.copy()
    folded[..., 0] = np.abs(folded[..., 0])
    return folded
