"""The seam of a swap: gradients at the mask's edge that neither picture has."""

from typing import Any

import cv2
import numpy as np

from benchmarks.metrics import Bools, Floats, MeasuredFrame
from realtime.frame import Pixels

RING_PX = 5
"""Width of the ring along the mask's edge."""

LEAST_ALPHA = 0.1
"""Where less than this is taken over, the new face can't be told from the picture."""


class Seam:
    """Seam energy in a ring of `RING_PX` along the line where half is taken over.

    A picture y = αg + (1 - α)d has the gradient α∇g + (1 - α)∇d + (g - d)∇α. The first two parts are what both
    pictures have themselves (Pérez, Gangnet and Blake, 2003); the last one is in neither: it is the seam. With
    g - d = (y - d) / α it follows from driver, output and mask alone.
    """

    key = "seam"

    def __init__(self) -> None:
        self._seams: dict[str, list[float]] = {"output": [], "ceiling": []}
        self._own: list[float] = []

    def see(self, frame: MeasuredFrame) -> None:
        """One frame; frames in which nothing was taken over don't count."""
        if frame.mask is None:
            return
        part = _around(frame.mask)
        if part is None:
            return
        mask = frame.mask[part]
        ring = edge_ring(mask)
        if not ring.any():
            return
        driver = frame.pictures["driver"][part]
        for name, kept in self._seams.items():
            kept.append(seam_energy(driver, frame.pictures[name][part], mask, ring))
        grey = np.asarray(cv2.cvtColor(driver, cv2.COLOR_BGR2GRAY), dtype=np.float32)
        self._own.append(float(_steepness(grey)[ring].mean()))

    def figures(self) -> dict[str, Any]:
        if not self._own:
            return {"missing": "no frame was taken over"}
        own = float(np.mean(self._own))
        means = {name: float(np.mean(kept)) for name, kept in self._seams.items()}
        return {
            "levels_per_px": round(means["output"], 3),
            "of_driver": round(means["output"] / max(own, 1e-6), 3),
            "ceiling_levels_per_px": round(means["ceiling"], 3),
            "frames": len(self._own),
        }


def edge_ring(mask: Floats, width_px: int = RING_PX) -> Bools:
    """The ring of `width_px` along the line where the mask is a half, (H, W)."""
    inside = np.asarray(mask >= 0.5, dtype=np.uint8)
    side = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width_px, width_px))
    ring: Bools = cv2.dilate(inside, side) != cv2.erode(inside, side, borderValue=(1.0,))
    return ring


def seam_energy(driver: Pixels, output: Pixels, mask: Floats, ring: Bools) -> float:
    """Mean length of (g - d)∇α over `ring`, in levels a pixel. All are of one size, (H, W)."""
    alpha = np.maximum(mask, np.float32(LEAST_ALPHA))
    changed = np.abs(output.astype(np.float32) - driver.astype(np.float32)).mean(axis=2) / alpha
    return float((changed * _steepness(mask))[ring & (mask >= LEAST_ALPHA)].mean())


def _steepness(plane: Floats) -> Floats:
    """The gradient's length by central differences, a pixel."""
    down, right = np.gradient(plane)
    return np.asarray(np.hypot(down, right), dtype=np.float32)


def _around(mask: Floats) -> tuple[slice, slice] | None:
    """The part of the picture that the mask reaches, with room for the ring; None where it is nowhere a half."""
    x, y, w, h = cv2.boundingRect(np.asarray(mask >= LEAST_ALPHA, dtype=np.uint8))
    if w < 3 or h < 3:
        return None
    room = RING_PX + 1
    return slice(max(y - room, 0), y + h + room), slice(max(x - room, 0), x + w + room)
