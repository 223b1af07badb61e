"""Two people and more before one camera in the same moment: a driver, and the identities that are driven."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from trained_models.recipes.people.calibrate import Calibration
    from trained_models.recipes.people.develop import Picture
    from trained_models.recipes.people.moments import MomentDraw
    from trained_models.recipes.people.occluders import Occluder
    from trained_models.recipes.people.person import Casting
    from trained_models.recipes.people.renderer import Renderer
    from trained_models.recipes.people.worn import Worn

SIZE = 256
TARGET_SIZE = 320
"""The identity is drawn larger: from this the crop of a fine variant is cut without blowing it up."""
DRIVER_BAKE_VIEWS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture and the (52,) amplitudes that made its face."""

    picture: "Picture"
    driven: npt.NDArray[np.floating[Any]]


class Studio:
    """The identities, loaded for good and drawn fourfold, and whoever drives them.

    The driver is drawn without oversampling: trainers make webcam pictures of it anyway.
    """

    def __init__(self, identities: "Sequence[Casting]") -> None:
        from trained_models.recipes.people.person import calibration
        from trained_models.recipes.people.renderer import Renderer
        from trained_models.recipes.people.topology import topology

        self.names = topology().actions
        self._person = Renderer(SIZE, SIZE, oversampling=1)
        self._person_seed: int | None = None
        self._person_moves: Calibration | None = None
        self._targets: list[tuple[Renderer, Calibration]] = []
        for identity in identities:
            target = Renderer(TARGET_SIZE, TARGET_SIZE, oversampling=2)
            identity.load_into(target)
            self._targets.append((target, calibration(target)))

    def all(self, person_seed: int, drawn: "MomentDraw", held: "Occluder | None" = None) -> list["Shot"]:
        """The driver, who may hold something before the face, then each identity in the same moment."""
        from trained_models.recipes.people.person import Casting, calibration

        if person_seed != self._person_seed or self._person_moves is None:
            Casting(person_seed).load_into(self._person, DRIVER_BAKE_VIEWS)
            self._person_moves = calibration(self._person)
            self._person_seed = person_seed
        centre = self._person.cast.person.centre
        return [
            self._shot(self._person, self._person_moves, drawn, held.at(centre, 1.0) if held else None),
            *(self._shot(target, moves, drawn, None) for target, moves in self._targets),
        ]

    def _shot(self, renderer: "Renderer", moves: "Calibration", drawn: "MomentDraw", before: "Worn | None") -> "Shot":
        from trained_models.recipes.people.lights import Light
        from trained_models.recipes.people.renderer import Moment
        from trained_models.recipes.people.room import background

        tilt = np.radians(drawn.tilt)

        def sight(face: npt.NDArray[np.float32]) -> tuple[Any, Any]:
            target = face + np.array([drawn.offset[0], 0.05 + drawn.offset[1], 0])
            return target + drawn.distance * np.array([0, np.sin(tilt), np.cos(tilt)]), target

        driven = moves.drive(drawn.actions)
        moment = Moment(driven, drawn.rot, drawn.gaze, drawn.view_deg, sight, Light(drawn.light), before)
        return Shot(renderer.picture(moment, background(drawn.room, *renderer.size)), driven)
