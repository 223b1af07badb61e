"""How far the lips are apart, as swap networks are told it."""

import numpy as np

from realtime.frame import Floats

UPPER = (82, 13, 312)
LOWER = (87, 14, 317)
OUTER_EYES = (33, 263)
"""MediaPipe's numbers; the inner lips' from the picture's left to its right in a face that is not mirrored."""


def inner_lips(landmarks: Floats) -> Floats:
    """(3,) float32: the inner lips' distance left of the middle, there and right of it, in outer-eye distances.

    `landmarks` (478, 3) in any unit. `jawOpen` and its like are guesses from the same landmarks that lean on whose face
    it is; this is nothing on any face with shut lips, and as large on the next one whose lips are as far apart.
    """
    points = landmarks.astype(np.float64)
    eyes = float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
    apart = np.linalg.norm(points[list(UPPER)] - points[list(LOWER)], axis=1)
    return np.asarray(apart / max(eyes, 1e-6), np.float32)
