"""The model families behind one protocol."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from realtime.face import Face
from realtime.frame import Pixels

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Swapped:
    """What a swap network made of one crop.

    `pixels`: (S, S, 3) uint8 BGR, the new face in the crop. `mask`: (S, S) float32 0..1, where the
    new face is. `driver_mask`: the same for the driver's own face, and `visible` where of it
    nothing lies before it, as an outline to cut along; None where the network gives none.
    """

    pixels: Pixels
    mask: Floats
    driver_mask: Floats | None = None
    visible: Floats | None = None


class Swapper(Protocol):
    """One identity ready to be worn. Called from the engine's thread only."""

    @property
    def face_type(self) -> str:
        """`half`, `mid-full`, `full`, `whole_face` or `head`: how `align` must cut the crop."""
        ...

    @property
    def size(self) -> int:
        """The crop's side in pixels."""
        ...

    @property
    def coverage(self) -> float | None:
        """The crop's side as a multiple of the mean face's, None for the face type's own."""
        ...

    @property
    def title(self) -> str:
        """The identity's name as people read it."""
        ...

    @property
    def ran_on(self) -> str:
        """The provider that really ran."""
        ...

    @property
    def precision(self) -> str:
        """What the arithmetic really was: fp32, bf16, fp16 or int8."""
        ...

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the network since it was loaded."""
        ...

    def __call__(self, crop: Pixels, face: Face) -> Swapped: ...

    def close(self) -> None: ...
