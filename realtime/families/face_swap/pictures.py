"""Picture-set identities: a driver's landmarks move the skin of a few key pictures, with eyes and mouths of their own.

No network draws. Nearly all is one map from a mesh and one resampling, in the frame's own pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from realtime.config import Settings
from realtime.errors import ModelError
from realtime.families.face_swap.camera_match import CameraMatch
from realtime.families.face_swap.driver_mask import MASK_BUNDLE, MASK_FILE, DriverMask
from realtime.families.face_swap.driver_motion import DriverMotion, Pose
from realtime.families.face_swap.face_texture import (
    BROWS,
    LIDS,
    MOUTH,
    FaceTexture,
    TonedTexture,
    shares,
    with_ring,
)
from realtime.families.face_swap.light import Relight
from realtime.families.face_swap.openings import Eyeballs, MouthInterior
from realtime.families.face_swap.skin_reading import FaceSkin, open_face_skin
from realtime.families.face_swap.skin_tone import mean_skin
from realtime.families.motion.mesh.head import OVAL
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.imaging.blend import Swapped
from realtime.imaging.mesh_warp import MeshWarp
from realtime.inference.session import Session, opening_networks
from realtime.models.bundle import Bundle, open_bundle
from realtime.models.library import built_in_folder
from realtime.models.picture_set import PictureSet, read_picture_set
from realtime.tracking.face import Face

LARGEST, LEAST = 512, 64  # pixels of the square that is drawn; a larger face is drawn at that and enlarged
ROOM = 1.16  # the square's side in lengths of the face's outline
STEP = 16  # sides are multiples of this
MAP_SIDE = 192
TURNED_RAD = (math.radians(7), math.radians(32))  # from which turn, to which, a side view comes in
NODDED_RAD = (math.radians(6), math.radians(20))
_MIDDLE = np.array([46, 276, 61, 291, 17, 105, 334], np.intp)  # brows' outer ends, mouth
KNOWN = 4  # drivers whose motion is kept


@dataclass(frozen=True, slots=True)
class _Driver:
    """What is known of one driver: how they move, their light, their camera; and the skin in a tone for them."""

    motion: DriverMotion
    light: Relight
    camera: CameraMatch
    texture: TonedTexture


class PictureFace:
    """One identity's pictures, ready to be drawn (a `Swapper`). Owns the mask's session."""

    def __init__(self, faces: FaceSkin, keys: PictureSet, mask: DriverMask | None, *, title: str) -> None:
        self.title = title
        self.sessions: Sequence[Session] = [] if mask is None else [mask.session]
        self._faces, self._mask = faces, mask
        self._texture = FaceTexture(faces.head, faces, keys)
        self._tone = mean_skin(faces, keys.rest.pixels, keys.rest.points)
        rest = self._texture.rest
        self._eyes = Eyeballs(rest)
        self._mouth = MouthInterior(rest, self._texture.keys)
        self._to_map = MAP_SIDE / rest.skin.shape[0]
        mesh = self._texture.mesh
        at_rest = (self._texture.layout + 0.5) * self._to_map - 0.5
        self._warp = MeshWarp(MAP_SIDE, at_rest, mesh.face, mesh.behind)
        self._drivers: dict[int, _Driver] = {}

    def crop(self, landmarks: Floats) -> tuple[Matrix, int]:
        """`crop_from_frame` and the side of the square that is drawn: the frame's own pixels, up to a size."""
        oval = landmarks[OVAL, :2].astype(np.float64)
        low, high = oval.min(axis=0), oval.max(axis=0)
        side = max(ROOM * float((high - low).max()), LEAST)
        scale = min(LARGEST / side, 1.0)
        size = min(STEP * math.ceil(side * scale / STEP), LARGEST)
        corner = 0.5 * (low + high) - 0.5 * size / scale
        if scale == 1.0:
            corner = np.rint(corner)
        return np.array([[scale, 0.0, -scale * corner[0]], [0.0, scale, -scale * corner[1]]]), size

    def __call__(self, crop: Pixels, face: Face, crop_from_frame: Matrix, settings: Settings, frame: Frame) -> Swapped:
        """The identity's face in place of the one in `crop`, (S, S, 3) uint8 BGR. Raises ModelError."""
        size = crop.shape[0]
        driver = self._driver(face.track)
        pose = driver.motion(frame, face, settings.shape)
        if pose is None:
            raise ModelError("the face's landmarks are no numbers")
        scale = float(crop_from_frame[0, 0])
        points = pose.points * scale
        points[:, :2] += crop_from_frame[:, 2]
        half = size // 2
        visible = None if self._mask is None else self._mask(frame.pixels, face.landmarks, 0.5 * crop_from_frame, half)
        theirs = face.landmarks * np.float32(scale)
        theirs[:, :2] += crop_from_frame[:, 2].astype(np.float32)
        driver.light.read(crop, theirs, settings, frame.time_s, visible)
        driver.texture.retone(driver.light.gain)
        pixels, covered = self._skin(driver.texture, points, pose, size)
        self._eyes.draw(pixels, points, pose, scale)
        self._mouth.draw(pixels, points, pose, scale)
        pixels = driver.light.lay(pixels, points.astype(np.float32))
        pixels = driver.camera(pixels, crop, _middle(points, size), settings.sharpen)
        return Swapped(pixels, covered, visible=visible, finished=True)

    def close(self) -> None:
        """Close the network. May be called twice."""
        for session in self.sessions:
            session.close()

    def _driver(self, track: int) -> _Driver:
        driver = self._drivers.pop(track, None)
        if driver is None:
            motion = DriverMotion(self._faces.head, self._texture.rest.reading)
            light = Relight(self._faces, self._tone)
            driver = _Driver(motion, light, CameraMatch(), TonedTexture(self._texture))
        self._drivers[track] = driver
        while len(self._drivers) > KNOWN:
            del self._drivers[next(iter(self._drivers))]
        return driver

    def _skin(self, toned: TonedTexture, points: Doubles, pose: Pose, size: int) -> tuple[Pixels, Floats]:
        """The skin drawn, (S, S, 3), with its openings closed; and where there is any, (S / 2, S / 2) 0..1."""
        texture = self._texture
        went = pose.shape - texture.rest.reading.shape
        turn = pose.reading.turn
        yaw, pitch = math.atan2(turn[0, 2], turn[2, 2]), -math.atan2(turn[1, 2], turn[2, 2])
        aside, down = _share(yaw, TURNED_RAD), _share(pitch, NODDED_RAD)
        skin = toned.mixed(
            {
                "left": [max(-aside, 0.0)],
                "right": [max(aside, 0.0)],
                "up": [max(-down, 0.0)],
                "down": [max(down, 0.0)],
                "mouth": shares(texture.shapes["mouth"], went[MOUTH]),
                "brows": shares(texture.shapes["brows"], went[BROWS]),
                **{lid: [1.0 - float(open_)] for lid, open_ in zip(LIDS, pose.opening, strict=True)},
            }
        )
        at = with_ring(points)
        at[:, :2] = (at[:, :2] + 0.5) * (MAP_SIDE / size) - 0.5
        at[:, 2] *= -1
        where = self._warp(at)
        where = (where + np.float32(0.5)) * np.float32(1 / self._to_map) - np.float32(0.5)
        x, y = (cv2.resize(axis, (size, size), interpolation=cv2.INTER_LINEAR) for axis in where)
        seen = cv2.remap(skin, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        covered = cv2.resize(self._warp.covered, (size // 2, size // 2), interpolation=cv2.INTER_LINEAR)
        return np.asarray(seen, np.uint8), np.asarray(covered, np.float32) * np.float32(1 / 255)


def _middle(points: Doubles, size: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of a crop: the face from its brows to its chin, which no hair covers."""
    low, high = points[_MIDDLE, :2].min(axis=0), points[_MIDDLE, :2].max(axis=0)
    x0, y0 = np.clip(np.rint(low), 0, size).astype(int).tolist()
    x1, y1 = np.clip(np.rint(high), 0, size).astype(int).tolist()
    return x0, y0, x1, y1


def _share(angle: float, span: tuple[float, float]) -> float:
    """-1..1: how far a head is turned into a side view."""
    share = min(max((abs(angle) - span[0]) / (span[1] - span[0]), 0.0), 1.0)
    return math.copysign(share * share * (3 - 2 * share), angle)


def open_picture_face(bundle: Bundle, **options: Any) -> PictureFace:
    """A picture-set bundle's identity, ready; `options` as of `opening_networks`. Raises ModelError."""
    folder = built_in_folder()
    keys = read_picture_set(bundle)
    with opening_networks(**options) as open_network:
        mask = DriverMask(open_network(open_bundle(folder / MASK_BUNDLE).path(MASK_FILE)))
        return PictureFace(open_face_skin(), keys, mask, title=bundle.card.title)
