"""What every family of models is: an `Effect` that makes pictures, and a `Family` record of what it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from realtime.audio.delay_line import Speech
from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ModelError
from realtime.frame import Frame, Pixels
from realtime.inference.session import Session
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.models.card import ModelCard
from realtime.skeleton import Moment
from realtime.tracking.face import Face

FINE_FILE = "fine.onnx"  # the network of a bundle's `fine` variant, where it has one


Kept = Literal["nothing", "surroundings", "faces"]
"""What of the source's picture an effect leaves in its own; `surroundings`: all but the faces, which it replaces."""


class Effect(Protocol):
    """Turns frames into synthetic pictures of one identity. Owns its networks; one thread."""

    @property
    def keeps(self) -> Kept:
        """What of the source can be seen in the picture."""
        ...

    @property
    def title(self) -> str:
        """The identity's display name: that of the last picture, or of the next where none was made."""
        ...

    @property
    def sessions(self) -> Sequence[Session]:
        """The loaded networks, for `realtime.inference.session.report`."""
        ...

    @property
    def resting(self) -> bool:
        """True where nobody drives the last picture: it is calm."""
        ...

    @property
    def motion(self) -> Moment | None:
        """The joints of the figure in the last picture; None where no figure is drawn."""
        ...

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Make ready for frames of (width, height), so that the first one does not wait. Optional.

        Raises MasqueradeError where the identity cannot be shown.
        """
        ...

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The synthetic picture of one frame, a new (H, W, 3) array of the frame's size; None where there is none.

        The time of the stages `align`, `swap` and `blend` goes into `timer`.
        """
        ...

    def close(self) -> None:
        """Close the networks. May be called twice."""
        ...


class OpenEffect(Protocol):
    """Loads a bundle's networks and makes them an effect."""

    def __call__(
        self,
        bundle: Bundle,
        avatars: Sequence[Avatar] = (),
        *,
        speech: Speech | None = None,
        filmed: bool = True,
        provider: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        open_session: Callable[..., Session] | None = None,
    ) -> Effect:
        """`avatars`, `speech` (not owned): where the family takes them. `filmed`: somebody may be in the frames.
        `open_session`: instead of ONNX Runtime's.

        Raises ModelError or ConfigError; nothing is left open then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of one family of models. A new family is a folder with one of these, listed in `FAMILIES`.

    `name`: as in cards; `realtime.models.card` checks what they say. `open` None: its bundles are parts of masquerade
    and no identity. `hint`: how to use a bundle `{name}`, or why nobody is shown with it. `avatars`: whether an effect
    shows pictures given with --avatar; `figures`: those with joints. `speaks`: it needs a voice, which moves a mouth;
    `may_speak`: a voice moves its mouth where there is one. `seeks_rest`: there is no picture until a driver's resting
    face was seen. `shows_source`: without avatars the faces of the source
    are seen. `exported_as`: the checkpoints that `masquerade export` makes it from.
    """

    name: str
    hint: str
    open: OpenEffect | None = None
    avatars: Literal["none", "optional", "required"] = "none"
    figures: bool = False
    speaks: bool = False
    may_speak: bool = False
    seeks_rest: bool = False
    shows_source: bool = False
    exported_as: tuple[str, ...] = ()

    @property
    def takes_avatars(self) -> bool:
        """Whether --avatar has a meaning."""
        return self.avatars != "none"

    def follows(self, sound: str | None) -> bool:
        """Whether a mouth moves by the voice of `--sound`."""
        return self.speaks or (self.may_speak and sound is not None)

    def needs_faces(self, card: ModelCard) -> bool:
        """Whether avatars must show a face."""
        return self.takes_avatars and not self.figures and card.input.subject == "face"


def unfit(card: ModelCard, what: str) -> ModelError:
    """The error of a bundle whose networks are not what its family or its card says."""
    return ModelError(f"model {card.name}: {what}: export it again")
