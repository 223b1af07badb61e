"""Head motion and expression told apart in key points alone.

The head's motion is the affine map that carries the neutral key points onto the driver's with the least squared
error: turns of a head look like one in the picture, nearly. Expression is what is left.
"""

import numpy as np

from realtime.families.motion.first_order.relative_motion import Doubles, KeyPoints
from realtime.families.motion.motion_model import Region

RIDGE = 0.15
"""How strongly the map is drawn to the nearest similarity, against the key points' own spread.

Ten key points, of which some lie on the mouth, would let a freer map take the jaw for the head.
"""


def of_region(driving: KeyPoints, neutral: KeyPoints, region: Region) -> KeyPoints:
    """The driver's key points with only the head's motion, or only the expression, against `neutral`.

    `all` comes back itself; so do `lips` and `eyes` without the head's motion, of which masks show a part.
    """
    if region == "all":
        return driving
    linear, shift = head_motion(neutral.value.astype(np.float64), driving.value.astype(np.float64))
    if region == "head":
        value = neutral.value @ linear.T + shift
        jacobian = linear @ neutral.jacobian
    else:
        back = np.linalg.inv(linear)
        value = (driving.value - shift) @ back.T
        jacobian = back @ driving.jacobian
    return KeyPoints(value.astype(np.float32), jacobian.astype(np.float32))


def head_motion(neutral: Doubles, driving: Doubles) -> tuple[Doubles, Doubles]:
    """(2, 2) and (2,): the affine map from neutral to driving key points (K, 2), always invertible."""
    middle, centre = neutral.mean(axis=0), driving.mean(axis=0)
    a, b = neutral - middle, driving - centre
    spread = a.T @ a
    size = float(np.trace(spread)) / 2 or 1.0
    # The best similarity first (Umeyama 1991), then the affine map, held near it.
    real = float(np.sum(a * b)) / (2 * size)
    imaginary = float(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / (2 * size)
    similar = np.array([[real, -imaginary], [imaginary, real]])
    ridge = RIDGE * size * np.eye(2)
    linear = (b.T @ a + similar @ ridge) @ np.linalg.inv(spread + ridge + 1e-9 * np.eye(2))
    if not np.isfinite(linear).all() or np.linalg.det(linear) < 0.05:
        linear = np.eye(2)
    return linear, centre - linear @ middle
