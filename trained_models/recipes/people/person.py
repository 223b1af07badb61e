"""A whole person from one number."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.metrics.acting import BLENDSHAPES
from realtime.models.library import face_folder
from realtime.tracking.tracker import Tracker
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.calibrate import Calibration, calibrate
from trained_models.recipes.people.cartoon import cartoon_look, cartoon_shape
from trained_models.recipes.people.look import Look, sample_look
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.shape import Identity, sample_shape
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology

CALIBRATION_SIZE = 192
CALIBRATION_LIGHT, CALIBRATION_ROOM = 5, 3  # seeds


@cache
def tracker() -> Tracker:
    """The process's own, to read drawn faces."""
    return Tracker(face_folder(), provider="cpu")


def calibration(renderer: Renderer) -> Calibration:
    """How the person that `renderer` holds must move; about five seconds on one core."""
    small = Renderer(CALIBRATION_SIZE, CALIBRATION_SIZE, 1, renderer.scene)
    room, light = background(CALIBRATION_ROOM, CALIBRATION_SIZE, CALIBRATION_SIZE), Light(CALIBRATION_LIGHT)

    def read(actions: Floats) -> Floats:
        drawn = small.picture(Moment(actions, view_deg=15.5, light=light), room, bare=True).pixels
        faces = tracker().find(np.ascontiguousarray(drawn[..., ::-1]))
        return faces[0].blendshapes if faces else np.full(len(BLENDSHAPES), np.nan, np.float32)

    try:
        return calibrate(topology().actions, read)
    finally:
        small.close()


@dataclass(frozen=True, slots=True)
class PersonSpec:
    """Who: a seed and, where it shall not be left to chance, a hair style of `scalp.STYLES`. `cartoon`: the person as a
    drawn character. `wears`: glasses and such, if the seed has them."""

    seed: int
    style: str | None = None
    cartoon: bool = False
    wears: bool = True

    def create(self) -> tuple[Identity, Look]:
        """Shape and look; about three seconds."""
        shape = sample_shape(self.seed)
        if not self.cartoon:
            person = Identity(shape)
            return person, sample_look(self.seed, person, shape, self.style, wears=self.wears)
        shape = cartoon_shape(self.seed, shape)
        person = Identity(shape, float(np.random.default_rng([self.seed, 32]).uniform(0.3, 0.7)))  # larger eyes
        return person, cartoon_look(
            self.seed, sample_look(self.seed, person, shape, self.style, drawn=True, wears=self.wears)
        )

    def load_into(self, renderer: Renderer, bake_views: int = 96) -> None:
        """Make this the person that a renderer draws."""
        renderer.scene.load(*self.create(), bake_views)


ADA = PersonSpec(505, "bun", wears=False)
"""The first identity. Chosen because her neutral face reads as neutral and her actions move the readings widely
(`ceiling`); her hair is tied back, so that all of the face shows."""
IDENTITIES = {
    "ada": ADA,
    "amos": PersonSpec(603, "short", wears=False),  # old, with dark skin and white brows
    "fern": PersonSpec(512, "bun", cartoon=True, wears=False),  # drawn, with large green eyes
}
"""Who can be worn, by the name of the bundle."""
DRIVER = PersonSpec(401, "short", wears=False)  # the man of the bundled driving clip
