"""Made-up samples for the tests of the motion recipe: a wavy picture as a person's moments."""

import numpy as np
from mesh_faces import a_face, a_picture, a_shape, head

from realtime.tracking.face import Face
from trained_models.recipes.motion.flow import FlowSample, sample_of
from trained_models.recipes.motion.frames import Frames
from trained_models.recipes.motion.samples import Patches, stacked


def a_person() -> tuple[Frames, list[Face]]:
    """A wavy picture as the person's moments, and the faces that a tracker would find: at rest, speaking, turned."""
    faces = [a_face(), a_face(a_shape(jaw_cm=2.0)), a_face(turn_deg=(0, 15, 0)), a_face(turn_deg=(0, 60, 0))]
    frames = np.stack([a_picture(320, 320)] * len(faces))
    nothing = np.zeros((len(faces), 3), np.float32)
    return Frames(frames, nothing, nothing[:, :2], person_seed=7, cartoon=False), faces


def some_patches() -> Patches:
    person, faces = a_person()
    coming = iter(faces)
    fields = stacked(head(), person, lambda _: [next(coming)])
    assert fields is not None
    assert len(fields["chin"]) == 2  # one at rest is what moves, and one is turned too far
    return Patches(**fields)


def a_flow_sample() -> FlowSample:
    faces = [a_face(), a_face(a_shape(jaw_cm=2.0), turn_deg=(5, 12, 0)), a_face(turn_deg=(0, -20, 5))]
    frames = np.stack([np.roll(a_picture(320, 320), 4 * k, axis=1) for k in range(3)])
    nothing = np.zeros((3, 3), np.float32)
    coming = iter(faces)
    person = Frames(frames, nothing, nothing[:, :2], person_seed=7, cartoon=False)
    made = sample_of(head(), person, lambda _: [next(coming)])
    assert made is not None
    return made
