"""The model families behind one protocol."""

from typing import Protocol

from realtime.frame import Pixels
from realtime.imaging.blend import Swapped
from realtime.tracking.face import Face


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
