"""The interface of motion models, which make a still picture move.

A motion model knows networks and limits; when to move, against which neutral pose, and where the result is put is
decided in `realtime.families.motion.effect`. The terms are First Order Motion's: source and driving.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.inference.session import Session
from realtime.tracking.face import Face

Region = Literal["all", "expression", "head", "lips", "eyes"]  # what of the driver's motion is taken over


@dataclass(frozen=True, slots=True)
class Motion:
    """How the driver's motion is taken over in one frame.

    `relative`: by how much the driver differs from the neutral pose, else the driver's own pose and expression.
    `adapt_scale`: movements grow with the avatar's head. `strength`: 0 is the avatar as in its picture, 1 fully driven.
    """

    relative: bool = True
    adapt_scale: bool = True
    region: Region = "all"
    strength: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class DrawnCrop:
    """An avatar's crop, drawn: `pixels` (S, S, 3) uint8 BGR, and where they replace the still picture.

    `mask` is (S, S) float32 0..1, soft, 0 at the crop's border, never written to again. It may be the same array for
    every frame, which saves placing it anew.
    """

    pixels: Pixels
    mask: Floats


class SourceState(Protocol):
    """An avatar encoded for the model that will draw it; plain data.

    `crop_from_avatar` has one positive scale and a shift; the crop may reach beyond the avatar's picture.
    """

    @property
    def size(self) -> int: ...

    @property
    def crop_from_avatar(self) -> Matrix: ...


SourceOf = TypeVar("SourceOf", bound=SourceState)
DrivingOf = TypeVar("DrivingOf")


class MotionModel(Protocol[SourceOf, DrivingOf]):
    """A motion model, loaded and warm. One thread. `needs_face`: False where it animates things without one.

    `DrivingOf` is what one frame says of the driver: a snapshot that never changes, kept for minutes.
    """

    @property
    def needs_face(self) -> bool: ...

    @property
    def sessions(self) -> Sequence[Session]: ...

    def encode_source(self, picture: Pixels, face: Face | None) -> SourceOf:
        """Encode an avatar's whole picture, (H, W, 3) uint8 BGR. Raises MasqueradeError."""
        ...

    def encode_driving(self, frame: Frame, face: Face | None, steadiness: float) -> DrivingOf | None:
        """What the driver does in this frame; None where that cannot be read (covered, turned away)."""
        ...

    def between(self, a: DrivingOf, b: DrivingOf, share: float) -> DrivingOf:
        """A pose on the way from `a` (share 0) to `b` (share 1)."""
        ...

    def draw(self, source: SourceOf, driving: DrivingOf, reference: DrivingOf | None, how: Motion) -> DrawnCrop:
        """The avatar's crop as `driving` moves it. `reference` is the driver's neutral pose, None only if absolute.

        Whatever the driver does the result is within what the model can draw. Raises ModelError for a network
        that gives what is no picture.
        """
        ...

    def close(self) -> None:
        """Close the networks. May be called twice."""
        ...
