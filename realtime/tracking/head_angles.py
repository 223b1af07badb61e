"""The head's direction as three numbers, as swap networks are told it."""

import math

import numpy as np
import numpy.typing as npt

from realtime.frame import Floats

LEAN = 0.26
"""How much of the line of sight's angle the tracker takes for a turn of the head.

The same picture of a head, shifted within a 1280x720 frame, reads as turned: by 0.26 +- 0.02 of the angle
between the camera's axis and the head, the same for both axes, sizes and people tried (450 px to the side:
10 degrees). What is drawn must depend on what the head looks like, not on where it is.
"""


def head_angles(pose: npt.NDArray[np.floating]) -> Floats:
    """(3,) float32: pitch, yaw, roll in radians of a (4, 4) camera-from-canonical-head matrix.

    The rotation is read as Rz(roll) · Ry(yaw) · Rx(pitch); a scale in the matrix does not matter. In
    MediaPipe's axes (x to the picture's right, y up, z towards the camera) a head that faces the camera has
    0, 0, 0; looking down is a positive pitch, turning to the picture's right a positive yaw, and tipping
    counter-clockwise as seen in the picture a positive roll. In a mirrored picture yaw and roll change sign.

    The angles are those of the head as it looks, wherever in the picture it is: see `LEAN`.
    """
    r = pose[:3, :3]
    pitch = math.atan2(r[2, 1], r[2, 2])
    yaw = math.atan2(-r[2, 0], math.hypot(r[2, 1], r[2, 2]))
    roll = math.atan2(r[1, 0], r[0, 0])
    right, up, away = (float(v) for v in (pose[0, 3], pose[1, 3], -pose[2, 3]))
    if away > 0.0:
        yaw += LEAN * math.atan2(right, away)
        pitch -= LEAN * math.atan2(up, away)
    return np.array([pitch, yaw, roll], np.float32)
