"""The fine variant of a swap network: a second one that draws the same face larger, from the first one's last map."""

from dataclasses import dataclass

from realtime.errors import ModelError
from realtime.frame import Pixels
from realtime.inference.image_format import CropFormat
from realtime.inference.session import Array, Session
from realtime.models.card import ModelCard

FINE_FILE = "fine.onnx"


@dataclass(frozen=True, slots=True, eq=False)
class FineHead:
    """Owns `session` and closes it. `features` is the name of its one input, and of the first network's output."""

    session: Session
    form: CropFormat
    features: str
    drawn: str

    def __call__(self, features: Array) -> Pixels:
        """The face, (F, F, 3) uint8 BGR, a new array. Raises ModelError."""
        return self.form.pixels(self.session.run({self.features: features})[self.drawn])


def fine_head(session: Session, card: ModelCard, first: Session) -> FineHead:
    """How to feed a bundle's fine network. Raises ModelError where it, the card and the `first` network disagree."""
    stated = card.output
    if stated.fine is None or stated.fine_size is None or stated.features is None:
        raise _unfit(card, f"it has {FINE_FILE}, so [output] in its card must say fine, fine_size and features")
    form = CropFormat(stated.fine_size, card.input.layout, card.input.colour, card.input.range)
    if set(session.inputs) != {stated.features} or stated.fine not in session.outputs:
        raise _unfit(card, f"{FINE_FILE} must take {stated.features!r} and give {stated.fine!r}")
    given = first.outputs.get(stated.features)
    if given is None or given.shape != session.inputs[stated.features].shape:
        raise _unfit(card, f"its first network does not give the {stated.features!r} that {FINE_FILE} takes")
    if session.outputs[stated.fine].shape != form.shape(3):
        raise _unfit(card, f"{FINE_FILE} gives {session.outputs[stated.fine].shape}, its card says {form.shape(3)}")
    return FineHead(session, form, stated.features, stated.fine)


def _unfit(card: ModelCard, what: str) -> ModelError:
    return ModelError(f"model {card.name}: {what}: export it again")
