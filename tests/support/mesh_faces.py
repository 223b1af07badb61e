"""Faces made of the canonical head, for tests that need landmarks and no camera."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.families.motion.mesh.head import (
    CHIN,
    EYES,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    OUTER_LOWER_LIP,
    Head,
    open_head,
    turned,
)
from realtime.frame import Pixels
from realtime.tracking.face import Face

MESH = Path(__file__).resolve().parents[2] / "trained_models" / "motion" / "mesh.npz"
Doubles = npt.NDArray[np.float64]


def head() -> Head:
    return open_head(MESH)


def a_shape(*, jaw_cm: float = 0.0, shut: tuple[float, float] = (0.0, 0.0), gaze_cm: float = 0.0) -> Doubles:
    """(478, 3) the canonical head with irises; its lower lip and chin dropped, its right and left lid lowered."""
    shape = np.concatenate([head().canonical, np.zeros((10, 3))])
    seam = 0.5 * (shape[INNER_UPPER_LIP, 1] + shape[INNER_LOWER_LIP, 1])
    shape[INNER_UPPER_LIP, 1], shape[INNER_LOWER_LIP, 1] = seam + 0.02, seam - 0.02
    for eye, closed in zip(EYES, shut, strict=True):
        middle = shape[eye.corners].mean(axis=0) + (gaze_cm, 0, 0.3)
        shape[eye.iris] = middle
        shape[eye.rim] = middle + 0.55 * np.array([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)])
        shape[eye.upper] += closed * (shape[eye.lower] - shape[eye.upper])
    for row in (INNER_LOWER_LIP, OUTER_LOWER_LIP, [CHIN]):
        shape[row, 1] -= jaw_cm
    return shape


def a_face(
    shape: Doubles | None = None,
    *,
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    at: tuple[float, float] = (160.0, 150.0),
    px_per_cm: float = 8.0,
    blink: tuple[float, float] = (0.05, 0.05),
) -> Face:
    """A shape seen without perspective; `turn_deg` about x, y, z; `blink`: the readings, right and left."""
    points = (a_shape() if shape is None else shape) @ turned(np.radians(turn_deg)).T * px_per_cm
    landmarks = (points * (1, -1, -1) + (*at, 0)).astype(np.float32)
    blendshapes = np.zeros(52, np.float32)
    blendshapes[10], blendshapes[9] = blink
    return Face(landmarks, blendshapes, np.eye(4, dtype=np.float32), 1.0)


def blinking(face: Face, right: float, left: float) -> Face:
    """The same face with other readings of its lids."""
    blendshapes = face.blendshapes.copy()
    blendshapes[10], blendshapes[9] = right, left
    return replace(face, blendshapes=blendshapes)


def a_picture(width: int = 320, height: int = 300) -> Pixels:
    """Smooth colours that differ everywhere."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [128 + 100 * np.sin(x / a) * np.cos(y / b) for a, b in ((23, 31), (37, 19), (29, 41))]
    return np.stack(waves, axis=-1).astype(np.uint8)
