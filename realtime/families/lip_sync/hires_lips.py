"""The fine variant of a lip-sync network: a second one that says where pixels go, and a larger picture made of that.

It is fed what the first one is fed, and gives, each as large as its own small picture, `field` (1, 2, S, S): the way
from each pixel to where its colour comes from, across and down, in sides of the picture; `paint` (1, 3, S, S): what is
not in the face, teeth and tongue; `seen` (1, 1, S, S): how much of that shows. The field moves the face's own pixels in
the larger picture, so lips and skin stay as sharp as the frame is.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.face_swap.hires_head import FINE_FILE
from realtime.frame import Pixels
from realtime.inference.image_format import CropFormat
from realtime.inference.session import Array, Session
from realtime.models.card import ModelCard

FIELD, PAINT, SEEN = "field", "paint", "seen"


class FineLips:
    """Owns `session` and closes it. `size`: the side in pixels of its pictures; the network's own is smaller."""

    def __init__(self, session: Session, card: ModelCard, first: Session) -> None:
        """Raises ModelError where it, the card and the `first` network disagree."""
        self.session = session
        small, large = card.input.size, card.output.fine_size
        assert small is not None  # a lip-sync card has it
        if large is None or large < small:
            raise _unfit(card, f"it has {FINE_FILE}, so [output] in its card must say fine_size, {small} or more")
        self.size = large
        self._form = CropFormat(small, card.input.layout, card.input.colour, card.input.range)
        asks, feeds = ({name: port.shape for name, port in s.inputs.items()} for s in (session, first))
        if asks != feeds:
            raise _unfit(card, f"{FINE_FILE} takes {', '.join(sorted(asks))}, not what its first network takes")
        gives = {name: port.shape for name, port in session.outputs.items()}
        wanted = {FIELD: self._form.shape(2), PAINT: self._form.shape(3), SEEN: self._form.shape(1)}
        if gives != wanted:
            raise _unfit(card, f"{FINE_FILE} gives {gives}, wanted is {wanted}")
        places = np.arange(large, dtype=np.float32)
        self._x, self._y = np.ascontiguousarray(np.broadcast_to(places, (large, large))), places[:, None]

    def __call__(self, feed: Mapping[str, Array], face: Pixels) -> Pixels:
        """`face`, (F, F, 3) uint8 BGR, speaking, a new array; `feed` is the first network's. Raises ModelError."""
        made = self.session.run(feed)
        size, seen = self.size, self._form.mask(made[SEEN])
        paint = self._form.pixels(made[PAINT])
        field = np.asarray(made[FIELD][0], np.float32)
        if not np.isfinite(field).all():
            raise ModelError("the network gave values that are no numbers: try --precision fp32 or --provider cpu")
        touched = np.flatnonzero((np.abs(field).max(axis=(0, 2)) > 0) | (seen.max(axis=1) > 0))
        if not len(touched):
            return face.copy()
        # Above the mouth's part of the picture nothing moves: it stays as it is, to the bit.
        top = int(touched[0]) * size // self._form.size
        way = cv2.resize(cv2.merge([*field]), (size, size), interpolation=cv2.INTER_LINEAR)[top:] * np.float32(size)
        from_x, from_y = self._x[top:] + way[..., 0], self._y[top:] + way[..., 1]
        moved = cv2.remap(face, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = cv2.resize(seen, (size, size), interpolation=cv2.INTER_LINEAR)[top:]
        over = cv2.resize(paint, (size, size), interpolation=cv2.INTER_CUBIC)[top:]
        out = face.copy()
        out[top:] = cv2.blendLinear(np.asarray(over, np.uint8), moved, share, 1 - share)
        return out


def _unfit(card: ModelCard, what: str) -> ModelError:
    return ModelError(f"model {card.name}: {what}: export it again")
