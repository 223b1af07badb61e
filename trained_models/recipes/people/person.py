"""A whole person from one number."""

from dataclasses import dataclass

from trained_models.recipes.people.look import Look, sample_look
from trained_models.recipes.people.renderer import Renderer
from trained_models.recipes.people.shape import Identity, sample_shape


@dataclass(frozen=True, slots=True)
class Casting:
    """Who: a seed and, where it shall not be left to chance, a hair style of `scalp.STYLES`."""

    seed: int
    style: str | None = None

    def create(self) -> tuple[Identity, Look]:
        """Shape and look; about three seconds."""
        shape = sample_shape(self.seed)
        person = Identity(shape)
        return person, sample_look(self.seed, person, shape, self.style)

    def load_into(self, renderer: Renderer, bake_views: int = 96) -> None:
        """Make this the person that a renderer draws."""
        renderer.load(*self.create(), bake_views)


ADA = Casting(505, "bun")
"""The first identity. Chosen because her neutral face reads as neutral and her actions move the readings widely
(`ceiling`); her hair is tied back, so that all of the face shows."""
DRIVER = Casting(401, "short")
"""The man of the bundled driving clip."""
