"""Sorts a tracked face by the expression and view that picture sets know."""

import math

import numpy as np

from realtime.frame import Floats
from realtime.models.card import Expression, View
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

BROWS_UP, BLINKS, JAW, SMILES = [3, 4, 5], [9, 10], 25, [44, 45]
FUNNEL, PUCKER, STRETCHES = 32, 38, [46, 47]
"""MediaPipe's numbers of blendshapes."""
TURNED_DEG, NODDED_DEG = 16.0, 13.0  # from here on a face looks aside, or up or down
CALM = 0.35  # what a smile, pursed lips or half-closed eyes read at most on a face at rest
_LIPS, _EYES = (13, 14), (33, 263)


def lips_apart(landmarks: Floats) -> float:
    """How far the inner lips' middles are from each other, in distances of the outer eye corners."""
    upper, lower, right, left = landmarks[[*_LIPS, *_EYES]].astype(np.float64)
    return float(np.linalg.norm(upper - lower) / max(float(np.linalg.norm(right - left)), 1e-6))


def expression_of(read: Floats, apart: float) -> Expression | None:
    """The expression that blendshapes (52,) and `lips_apart` say; None for what is between two of them.

    What is the person's own at rest should be out of `read` where it is known.
    """
    closed, smile = float(read[BLINKS].min()), float(read[SMILES].mean())
    brows, puckered = float(read[BROWS_UP].mean()), float(max(read[PUCKER], 1.3 * read[FUNNEL]))
    quiet = apart < 0.07 and read[JAW] < 0.12
    if closed > 0.5:
        return "closed" if quiet and smile < 0.5 and brows < 0.6 else None
    if read[BLINKS].max() > CALM:
        return None
    if smile > 0.5 and apart > 0.05:
        return "smile" if apart < 0.25 else None
    if apart > 0.22 and smile < CALM and puckered < 0.5:
        return "open"
    if puckered > 0.5 and smile < 0.2:
        return "pucker"
    if read[STRETCHES].mean() > 0.3 and 0.04 < apart < 0.22 and smile < 0.5:
        return "wide"
    if not quiet or smile > CALM or puckered > CALM:
        return None
    return "brows_up" if brows > 0.5 else "rest"


def view_of(face: Face) -> View | None:
    """Where a face looks in the picture; None where that is aside and up or down at once."""
    pitch, yaw, _ = (math.degrees(angle) for angle in head_angles(face.pose).tolist())
    aside, nodded = abs(yaw) >= TURNED_DEG, abs(pitch) >= NODDED_DEG
    if aside and nodded:
        return None
    if aside:
        return "right" if yaw > 0 else "left"
    if nodded:
        return "down" if pitch > 0 else "up"
    return "front"


def unrest(face: Face) -> float:
    """How far a face is from one at rest that looks ahead: 0 for that one, about 1 for each unit off."""
    pitch, yaw, _ = (math.degrees(angle) for angle in head_angles(face.pose).tolist())
    read = face.blendshapes
    shown = [read[BLINKS].max(), 0.7 * read[SMILES].mean(), read[JAW], read[PUCKER], 0.5 * read[BROWS_UP].mean()]
    return float(math.hypot(yaw, pitch) / 10 + 3 * sum(float(value) for value in shown))
