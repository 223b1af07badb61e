"""A picture-set identity that needs no renderer: smooth colours on the canonical head."""

from pathlib import Path

import cv2
import numpy as np
from mesh_faces import a_face, a_shape

from realtime.families.motion.mesh.head import EYES, INNER_LIPS, OUTER_LIPS
from realtime.frame import Pixels
from realtime.models.card import Expression
from realtime.models.library import new_card
from realtime.models.picture_set import KeyPicture, write_picture_set
from realtime.tracking.face import Face

SIDE, PX_PER_CM = 320, 14.0
SKIN, LIPS, WHITE, IRIS, TEETH = (120, 150, 200), (90, 90, 190), (235, 235, 235), (40, 60, 20), (240, 240, 240)


def painted(face: Face, size: tuple[int, int], skin: tuple[int, int, int] = SKIN) -> Pixels:
    """A face of plain colours at a face's landmarks, on grey: (H, W, 3)."""
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    flat = np.rint(face.landmarks[:, :2]).astype(np.int32)
    cv2.fillConvexPoly(picture, cv2.convexHull(flat), skin)
    cv2.fillPoly(picture, [flat[OUTER_LIPS]], LIPS)
    cv2.fillPoly(picture, [flat[INNER_LIPS]], TEETH)
    for eye in EYES:
        cv2.fillPoly(picture, [flat[eye.ring]], WHITE)
        opening = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(opening, [flat[eye.ring]], 1)
        iris = np.zeros_like(opening)
        cv2.circle(iris, flat[eye.iris].tolist(), round(0.5 * PX_PER_CM), 1, -1)
        picture[(opening & iris) > 0] = IRIS
    return picture


def a_key(expression: Expression = "rest", **shape: object) -> KeyPicture:
    face = a_face(a_shape(**shape), at=(SIDE / 2, SIDE / 2), px_per_cm=PX_PER_CM)  # type: ignore[arg-type]
    return KeyPicture(painted(face, (SIDE, SIDE)), face.landmarks, expression)


def keys() -> list[KeyPicture]:
    """At rest, with an open mouth, with closed lids."""
    return [a_key(), a_key("open", jaw_cm=2.5), a_key("closed", shut=(0.97, 0.97))]


def a_picture_set(folder: Path, *pictures: KeyPicture) -> Path:
    """The folder of a bundle, named as it."""
    folder.mkdir(parents=True)
    card = new_card(folder.name, folder.name.title(), "CC0-1.0", ("synthetic", "Nobody."))
    write_picture_set(folder, pictures or keys(), card)
    return folder
