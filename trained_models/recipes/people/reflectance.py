"""What every face's skin has in common, measured on rendered people → `trained_models/face/reflectance.npz`.

Lips are redder, sockets and the sides of a nose darker than a person's own skin, in any light. Read as the live loop
reads a driver (`realtime.families.face_swap.skin_reading`), from people in even light.
"""

from collections.abc import Iterator

import numpy as np

from realtime.families.face_swap.skin_reading import SKIN, FaceSkin, read_skin
from realtime.families.motion.mesh.head import open_head
from realtime.frame import Floats
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.models.library import built_in_folder
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.person import PersonSpec, tracker
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import Light
from trained_models.recipes.people.topology import topology

FIRST_PERSON = 700_000
SIZE, CROP, COVERAGE = 320, 256, 1.75


def patterns(people: int) -> Iterator[Floats]:
    """(468, 3) of each person: log colour relative to the median of their bare skin."""
    plain = FaceSkin(np.zeros((468, 3), np.float32), open_head(built_in_folder() / "motion" / "mesh.npz"))
    renderer = Renderer(SIZE, SIZE, 1)
    room, camera = np.full((SIZE, SIZE, 3), 0.3, np.float32), Camera(white_balance=0.0)
    moment = Moment(np.zeros(len(topology().actions), np.float32), view_deg=18.0, light=Light.of(np.ones(3)))
    for seed in range(FIRST_PERSON, FIRST_PERSON + people):
        PersonSpec(seed, wears=False).load_into(renderer, 64)
        pixels = np.ascontiguousarray(renderer.picture(moment, room, camera).pixels[..., ::-1])
        for face in tracker().find(pixels)[:1]:
            matrix = crop_from_frame(face.landmarks, "whole_face", CROP, coverage=COVERAGE)
            points = in_crop(face.landmarks, matrix)
            colour = np.log(read_skin(plain, cut(pixels, matrix, CROP), points).colour)
            yield colour - np.median(colour[SKIN], axis=0)


def in_crop(landmarks: Floats, matrix: np.ndarray) -> Floats:
    """Landmarks (478, 3) of a frame in the pixels of a crop cut with `matrix`."""
    scale = float(np.hypot(*matrix[:, 0]))
    flat = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, landmarks[:, 2] * scale]).astype(np.float32)
