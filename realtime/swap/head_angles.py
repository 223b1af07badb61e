"""The head's direction as three numbers, as swap networks are told it."""

import math

import numpy as np
import numpy.typing as npt

from realtime.face import Floats


def head_angles(pose: npt.NDArray[np.floating]) -> Floats:
    """(3,) float32: pitch, yaw, roll in radians of a (4, 4) camera-from-canonical-head matrix.

    The rotation is read as Rz(roll) · Ry(yaw) · Rx(pitch); a scale in the matrix does not matter. In
    MediaPipe's axes (x to the picture's right, y up, z towards the camera) a head that faces the camera has
    0, 0, 0; looking down is a positive pitch, turning to the picture's right a positive yaw, and tipping
    counter-clockwise as seen in the picture a positive roll. In a mirrored picture yaw and roll change sign.
    """
    r = pose[:3, :3]
    pitch = math.atan2(r[2, 1], r[2, 2])
    yaw = math.atan2(-r[2, 0], math.hypot(r[2, 1], r[2, 2]))
    roll = math.atan2(r[1, 0], r[0, 0])
    return np.array([pitch, yaw, roll], np.float32)
