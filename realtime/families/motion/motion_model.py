"""What makes a still picture move: one protocol for all kinds of motion models.

A puppet knows networks and limits; when to move, against which neutral, and where the result is put is
decided in `realtime.families.motion.effect`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.tracking.face import Face

Region = Literal["all", "expression", "head", "lips", "eyes"]
"""What of the driver's motion is taken over."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How the driver's motion is taken over in one frame.

    `relative`: by how much the driver differs from the neutral, else the driver's own pose and expression.
    `adapt_scale`: movements grow with the avatar's head. `strength`: 0 is the avatar as in its picture, 1 is
    fully driven.
    """

    relative: bool = True
    adapt_scale: bool = True
    region: Region = "all"
    strength: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """An avatar's crop, drawn: `pixels` (S, S, 3) uint8 BGR, and where they replace the still picture.

    `mask` is (S, S) float32 0..1, soft, 0 at the crop's border. It may be the same array for every frame, which
    saves placing it anew: whoever gave one never writes into it.
    """

    pixels: Pixels
    mask: Floats


class Cast(Protocol):
    """An avatar made ready by the puppet that will draw it; plain data.

    `crop_from_avatar` has one positive scale and a shift; the crop may reach beyond the avatar's picture.
    """

    @property
    def size(self) -> int: ...

    @property
    def crop_from_avatar(self) -> Matrix: ...


CastOf = TypeVar("CastOf", bound=Cast)
DrivingOf = TypeVar("DrivingOf")


class MotionModel(Protocol[CastOf, DrivingOf]):
    """A motion model ready to draw. One thread. `needs_face`: False where it animates things without one.

    `DrivingOf` is what one frame says of the driver: a snapshot that never changes, kept for minutes.
    """

    @property
    def needs_face(self) -> bool: ...

    @property
    def ran_on(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def spent_ns(self) -> int: ...

    def cast(self, picture: Pixels, face: Face | None) -> CastOf:
        """An avatar's whole picture, (H, W, 3) uint8 BGR, made ready. Raises MasqueradeError, in one line."""
        ...

    def perceive(self, frame: Frame, face: Face | None, steadiness: float) -> DrivingOf | None:
        """What the driver does in this frame; None where that cannot be read (covered, turned away)."""
        ...

    def between(self, a: DrivingOf, b: DrivingOf, share: float) -> DrivingOf:
        """A pose on the way from `a` (share 0) to `b` (share 1)."""
        ...

    def draw(self, cast: CastOf, driving: DrivingOf, reference: DrivingOf | None, how: Motion) -> Drawn:
        """The avatar's crop as `driving` has it move. `reference` is the driver's neutral, None only if absolute.

        Whatever the driver does the result is within what the model can draw. Raises ModelError for a network
        that gives what is no picture.
        """
        ...

    def close(self) -> None:
        """Give the networks back. May be called twice."""
        ...
