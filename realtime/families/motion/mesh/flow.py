"""The flow network: corrects the mesh's map around the face (hair, neck, room) when a head turns.

One picture does not say how deep hair lies and where the room begins. The rings of `source` guess one head for
everybody; the network sees the picture, and shifts the map smoothly, never in the face.
"""

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.motion.mesh.head import Reading, rotation_vector
from realtime.families.motion.mesh.motion import Moved
from realtime.frame import Floats, Pixels
from realtime.inference.session import Array, Session

SIDE = 64
CHANNELS = 17
AROUND, ELSEWHERE = "around", "elsewhere"
INPUTS = {AROUND: (1, CHANNELS, SIDE, SIDE)}
OUTPUTS = {ELSEWHERE: (1, 2, SIDE, SIDE)}
MAP_GAIN, POSE_GAIN = 10.0, np.array([2.0, 2.0, 2.0, 1.0, 1.0, 4.0], np.float32)
SHIFT_CM = 10.0
FULL_RAD, FULL_SHIFT_CM, FULL_ZOOM = float(np.radians(6.0)), 1.0, 0.05
"""A head this far from its picture is followed in full; nearer less, and at rest nothing moves."""
EDGE = 4.0  # cells at the crop's border over which what the network says ends
FARTHEST = 0.08  # the farthest look, in sides of the crop
_AT = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE).astype(np.float32)
_GRID = np.stack(np.meshgrid(_AT, _AT)).astype(np.float32)
_WINDOW = np.clip((np.minimum(_GRID, 1 - _GRID).min(axis=0) * SIDE - 0.5) / EDGE, 0, 1).astype(np.float32)


def pose_of(rest: Reading, moved: Moved) -> Floats:
    """(6,) the network's input about a head: turn in radians, shift in decimetres, logarithm of the size."""
    turn = rotation_vector(moved.turn @ rest.turn.T)
    return np.concatenate([turn, moved.shift / SHIFT_CM, [np.log(moved.zoom)]]).astype(np.float32)


def amount(pose: Floats) -> float:
    """0..1: how much of what the network says counts."""
    far = np.linalg.norm(pose[:3]) / FULL_RAD + np.linalg.norm(pose[3:5]) * SHIFT_CM / FULL_SHIFT_CM
    return float(np.clip(far + abs(pose[5]) / FULL_ZOOM, 0.0, 1.0))


def small_map(where: Floats) -> Floats:
    """A map (2, s, s) in pixels of s as (2, 64, 64) in sides of the crop."""
    side = where.shape[1]
    rows = [cv2.resize((axis + 0.5) / side, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for axis in where]
    return np.asarray(np.stack(rows), np.float32)


def small_face(face: Pixels) -> Floats:
    """Where the face is drawn, (s, s) uint8 0 or 255, as (64, 64) 0..1."""
    return np.asarray(cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def fill(out: Floats, still: Pixels, where: Floats, face: Floats, pose: Floats) -> None:
    """Fill `out`, (17, 64, 64): the picture (64, 64, 3) as it is and as the mesh draws it, the mesh's map, the face,
    the pose, across and down."""
    x, y = (axis * np.float32(SIDE) - np.float32(0.5) for axis in where)
    drawn = cv2.remap(still, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    for first, picture in ((0, still), (3, drawn)):
        np.multiply(picture.transpose(2, 0, 1), np.float32(1 / 255), out=out[first : first + 3])
        out[first : first + 3] -= np.float32(0.5)
    out[6:8] = (where - _GRID) * np.float32(MAP_GAIN)
    out[8] = face
    out[9:15] = (pose * POSE_GAIN)[:, None, None]
    out[15:] = 2 * _GRID - 1


def counted(face: Floats, pose: Floats) -> Floats:
    """(64, 64) 0..1: where, and how far, what the network says counts: not in the face, nor at the crop's border."""
    return np.asarray((1 - cv2.blur(face, (3, 3))) * _WINDOW * np.float32(amount(pose)), np.float32)


class FlowNetwork:
    """The network, loaded and warm. One thread.

    Raises ModelError for a network of another form.
    """

    def __init__(self, session: Session) -> None:
        for ports, wanted in ((session.inputs, INPUTS), (session.outputs, OUTPUTS)):
            found = {name: tuple(port.shape) for name, port in ports.items()}
            if found != wanted:
                raise ModelError(f"the network for hair and neck has {found}, wanted is {wanted}: replace the bundle")
        self.session = session
        self._fed: Floats = np.zeros(INPUTS[AROUND], np.float32)
        self._feed: dict[str, Array] = {AROUND: self._fed}

    def correct(self, where: Floats, face: Pixels, still: Pixels, pose: Floats) -> None:
        """Change a mesh's map, (2, s, s) in its pixels, in place. `face` (s, s) uint8: where the map draws the face;
        `still` (64, 64, 3): the avatar's crop. Raises ModelError where the network gives no numbers."""
        if not amount(pose) > 0:
            return
        small = small_face(face)
        fill(self._fed[0], still, small_map(where), small, pose)
        away = np.asarray(self.session.run(self._feed)[ELSEWHERE], np.float32)[0]
        if not np.isfinite(away).all():
            raise ModelError("the network for hair and neck gave values that are no numbers: try --provider cpu")
        away = np.clip(away, -FARTHEST, FARTHEST) * counted(small, pose)
        side = where.shape[1]
        for axis, far in zip(where, away, strict=True):
            axis += cv2.resize(far, (side, side), interpolation=cv2.INTER_LINEAR) * np.float32(side)
