"""An avatar made ready for the mesh model: its crop, its reading, its eyes and mouth, its warp."""

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.errors import ConfigError
from realtime.families.motion.mesh.driving import Reading, read
from realtime.families.motion.mesh.eyeglasses import Spectacles, find_spectacles, without_spectacles
from realtime.families.motion.mesh.flow import SIDE as AROUND_SIDE
from realtime.families.motion.mesh.interior import Eyeball, Layer, eyeball, is_open, mouth, without_openings
from realtime.families.motion.mesh.motion import Moved, freedom, levers, placed, still
from realtime.families.motion.mesh.outer_ring import COUNT, border, share_of_face, share_of_head, strips, surround
from realtime.families.motion.mesh.patches import Patches, patches_at_rest
from realtime.families.motion.mesh.points import EYES, OVAL, Doubles, EyePoints, Head
from realtime.families.motion.mesh.warp import Weave
from realtime.families.motion.regions import border_mask
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, warp
from realtime.tracking.face import Face

SIDE_CM = 40.0
"""The crop's side: the head, its hair and the shoulders' beginning, with room to move in."""
UP_CM = 0.8
LEAST, MOST = 256, 512
"""The crop is drawn at its own size in the avatar's picture, within these."""
MAP_SIDE = 256


@dataclass(frozen=True, slots=True, eq=False)
class MeshCast:
    """An avatar; plain data. `rest` reads its picture in crop pixels (y up); `still` is its crop (S, S, 3),
    `skin` the same without eyes, without a mouth that is open (`shows_mouth`), and without what is `worn`; `tiny` the
    crop in 64 pixels."""

    size: int
    crop_from_avatar: Matrix
    still: Pixels
    skin: Pixels
    shows_mouth: bool
    rest: Reading
    free: Doubles
    rings: Doubles
    ring_share: Doubles
    ring_follow: Doubles
    edge: Doubles
    flat: Doubles
    weave: Weave
    eyes: tuple[Eyeball, Eyeball]
    mouth: Layer
    patches: Patches
    worn: Spectacles | None
    tiny: Pixels
    mask: Floats

    def points(self, moved: Moved, exactly: bool = False) -> Doubles:
        """(478 + 108, 3) crop pixels, y down: the face, two rings and the border; z to the viewer.

        `exactly`: where they are on a head of that pose, its sides too, which no one picture shows.
        """
        rest, home = self.rest, still(self.rest)
        # By how much things swing, added to where they are: at rest nothing moves at all.
        swing = placed(levers(moved.shape), rest, moved) - placed(levers(rest.shape), rest, home)
        face = placed(moved.shape, rest, moved) if exactly else placed(rest.shape, rest, home) + swing
        rings = self.rings + self.ring_follow * np.tile((moved.shape - rest.shape)[OVAL], (2, 1))
        there = placed(self.rings, rest, home)
        around = there + self.ring_share * (placed(rings, rest, moved) - there)
        out = np.concatenate([face, around, self.edge])
        out[: len(face) + len(around), 1] *= -1
        return out

    def rigid(self, moved: Moved, here: Doubles, there: Doubles) -> Doubles:
        """(2, 3) how what is fixed to the skull goes in the crop, near the point `here` that went `there`."""
        turn = moved.zoom * (moved.turn @ self.rest.turn.T)[:2, :2] * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return np.column_stack([turn, there - turn @ here])

    def iris_place(self, points: Doubles, moved: Moved, eye: EyePoints) -> Doubles:
        """(2,) where the middle of an eye's iris is when the mesh is at `points`."""
        ball = self.eyes[EYES.index(eye)]
        middle = points[eye.corners, :2].mean(axis=0)
        turn = self.rigid(moved, middle, middle)[:, :2]
        return np.asarray(middle + turn @ (ball.aside + moved.gaze * (1.0, -1.0) * ball.width))


def make_cast(head: Head, picture: Pixels, face: Face) -> MeshCast:
    """An avatar of a whole picture (H, W, 3) and the face in it. Raises ConfigError for a face that is none."""
    try:
        seen = read(head, face)
    except ValueError as error:
        raise ConfigError(f"the avatar's face cannot be read ({error}): choose another picture") from error
    side = SIDE_CM * seen.scale
    size = int(np.clip(32 * round(side / 32), LEAST, MOST))
    centre = face.landmarks[OVAL, :2].astype(np.float64)
    middle = 0.5 * (centre.min(axis=0) + centre.max(axis=0)) - (0.0, UP_CM * seen.scale)
    scale, half = size / side, 0.5 * (size - 1)
    crop_from_avatar = np.array([[scale, 0.0, half - scale * middle[0]], [0.0, scale, half - scale * middle[1]]])
    landmarks = face.landmarks * np.float32(scale)
    landmarks[:, :2] += crop_from_avatar[:, 2].astype(np.float32)
    return cast_crop(head, warp(picture, crop_from_avatar, size, size, "edge"), landmarks, face, crop_from_avatar)


def cast_crop(head: Head, crop: Pixels, landmarks: Floats, face: Face, crop_from_avatar: Matrix) -> MeshCast:
    """An avatar of its crop, (S, S, 3), and the landmarks (478, 3) in it; blendshapes are `face`'s."""
    size = crop.shape[0]
    rest = read(head, Face(landmarks, face.blendshapes, face.pose, face.score))
    rings = surround(rest.shape)
    around = placed(rings, rest, still(rest)) * (1.0, -1.0, 1.0)
    flat = landmarks[:, :2].astype(np.float64)
    outer = np.clip(around[COUNT:, :2], 0.03 * size, 0.97 * (size - 1))
    middle = flat[OVAL].mean(axis=0)
    edge = np.column_stack([border(outer, middle, size), np.zeros(COUNT)])
    points = np.concatenate([flat, around[:, :2], edge[:, :2]])
    to_map = MAP_SIDE / size
    weave = Weave(MAP_SIDE, (points + 0.5) * to_map - 0.5, head.triangles, strips())
    eyes = (eyeball(crop, flat, EYES[0]), eyeball(crop, flat, EYES[1]))
    shows_mouth = is_open(flat, rest.scale)
    skin, worn = without_openings(crop, flat, shows_mouth), find_spectacles(crop, flat, rest)
    return MeshCast(
        size=size,
        crop_from_avatar=crop_from_avatar,
        still=crop,
        skin=skin if worn is None else without_spectacles(skin, worn),
        shows_mouth=shows_mouth,
        rest=rest,
        free=freedom(rest.shape),
        rings=rings,
        ring_share=share_of_head(rest.shape),
        ring_follow=share_of_face(),
        edge=edge,
        flat=flat,
        weave=weave,
        eyes=eyes,
        mouth=mouth(crop, flat, rest.scale),
        patches=patches_at_rest(crop, flat, rest.scale, (eyes[0].width, eyes[1].width)),
        worn=worn,
        tiny=np.asarray(cv2.resize(crop, (AROUND_SIDE, AROUND_SIDE), interpolation=cv2.INTER_AREA), np.uint8),
        mask=border_mask(size),
    )
