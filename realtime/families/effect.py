"""What the engine puts in front of people: one protocol for all families of models."""

from collections.abc import Sequence
from typing import Protocol

from realtime.clock import StageTimer
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.tracking.face import Face


class Effect(Protocol):
    """One identity ready to be worn, networks and all. Called from the engine's thread only."""

    @property
    def title(self) -> str:
        """The identity's name as people read it: that of the last picture, or of the next where none was made."""
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
        """Nanoseconds spent inside the networks since they were loaded."""
        ...

    @property
    def resting(self) -> bool:
        """True where the last picture shows nobody's motion: the driver is not to be read, the picture is calm."""
        ...

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Make ready for frames of (width, height), so that the first one does not wait. May be left out.

        Raises MasqueradeError where the character cannot be shown.
        """
        ...

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The synthetic picture of one frame, a new (H, W, 3) array of the frame's size; None where there is none.

        `faces` are those in the picture. The time of the stages `align`, `swap` and `blend` goes into `timer`.
        """
        ...

    def close(self) -> None:
        """Give the networks back. May be called twice."""
        ...
