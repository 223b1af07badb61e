"""Avatars: the still pictures that motion and lip-sync models bring to life, and whose faces they show."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels
from realtime.models.card import IdentityKind
from realtime.tracking.face import Face


@dataclass(frozen=True, slots=True, eq=False)
class Avatar:
    """A picture ready to be animated, and who it shows.

    `pixels`: (H, W, 3) uint8 BGR, upright, no side above 2560. `alpha`: (H, W) uint8, None where nothing shines
    through. `face`: the one that moves, in the picture's pixels; None where the model needs none and there is none.
    """

    name: str
    title: str
    kind: IdentityKind
    pixels: Pixels
    alpha: npt.NDArray[np.uint8] | None = None
    face: Face | None = None
