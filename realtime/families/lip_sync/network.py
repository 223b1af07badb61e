"""A lip-sync network: a face and 200 ms of sound become the face that says it (Wav2Lip).

A bundle holds one network, `lip_sync.onnx`: `mel` (1, 1, 80, 16) and `faces` (1, 6, S, S) give `mouth`
(1, 3, S, S), float32. The six channels are the face with its lower half black, which the network fills, and
the face as it is, which tells how the person looks; colour order and range are the card's. A network that asks for
`lips` (1, 2, S, S) gets besides where the face's own lips are (`lip_planes`); Wav2Lip's do not. A bundle may hold a
fine variant beside it (`HiresLips`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.effect import FINE_FILE, unfit
from realtime.families.motion.mesh.head import INNER_LIPS, OUTER_LIPS
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, Points
from realtime.inference.image_format import CropFormat, check_port
from realtime.inference.session import Array, Session, opening_networks
from realtime.models.bundle import Bundle
from realtime.models.card import ModelCard

FIELD, PAINT, SEEN = "field", "paint", "seen"


class HiresLips:
    """The fine variant: a second network that says where pixels go, and a larger picture made of that.

    It takes what the first one takes and gives, each as large as its own small picture, `field` (1, 2, S, S): the way
    from each pixel to where its colour comes from, across and down, in sides of the picture; `paint` (1, 3, S, S): what
    is not in the face, teeth and tongue; `seen` (1, 1, S, S): how much of that shows. The field moves the face's own
    pixels in the larger picture of `size` pixels a side, so lips and skin stay as sharp as the frame is.
    """

    def __init__(self, session: Session, card: ModelCard, first: Session) -> None:
        """Raises ModelError where it, the card and the `first` network disagree."""
        self.session = session
        small, large = card.input.size, card.output.fine_size
        assert small is not None  # a lip-sync card has it
        if large is None or large < small:
            raise unfit(card, f"it has {FINE_FILE}, so [output] in its card must say fine_size, {small} or more")
        self.size = large
        self._form = CropFormat(small, card.input.layout, card.input.colour, card.input.range)
        asks, feeds = ({name: port.shape for name, port in s.inputs.items()} for s in (session, first))
        if asks != feeds:
            raise unfit(card, f"{FINE_FILE} takes {', '.join(sorted(asks))}, not what its first network takes")
        gives = {name: port.shape for name, port in session.outputs.items()}
        wanted = {FIELD: self._form.shape(2), PAINT: self._form.shape(3), SEEN: self._form.shape(1)}
        if gives != wanted:
            raise unfit(card, f"{FINE_FILE} gives {gives}, wanted is {wanted}")
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


LIP_POINTS = np.concatenate([OUTER_LIPS, INNER_LIPS])
"""(40,) landmarks: the outer ring from the person's right corner over the upper lip and back, and the inner one."""
PLANES = 2
_HALF, _RING = 10, 20
_SHIFT = 4


def lip_outline(landmarks: Points, crop_from_frame: Matrix) -> Floats:
    """(40, 2) the lips' outlines in pixels of a crop, in the order of `LIP_POINTS`; `landmarks` (478, 2 or 3)."""
    points = np.asarray(landmarks, np.float64)[LIP_POINTS, :2]
    return np.asarray(points @ crop_from_frame[:, :2].T + crop_from_frame[:, 2], np.float32)


def lip_planes(outline: Floats, width: int, height: int) -> Floats:
    """(2, height, width) float32 0..1: the upper lip's skin and the lower lip's; `outline` (40, 2) as `lip_outline`.

    Between the two is the open mouth. What lies outside of the picture is left out.
    """
    held = np.clip(outline.astype(np.float64) * (1 << _SHIFT), -(2**20), 2**20).round().astype(np.int32)
    outer, inner = held[:_RING], held[_RING:]
    upper = np.concatenate([outer[: _HALF + 1], inner[_HALF::-1]])
    lower = np.concatenate([outer[_HALF:], outer[:1], inner[:1], inner[: _HALF - 1 : -1]])
    drawn = np.zeros((PLANES, height, width), np.uint8)
    for plane, ring in zip(drawn, (upper, lower), strict=True):
        cv2.fillPoly(plane, [ring], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
    return np.multiply(drawn, np.float32(1 / 255), dtype=np.float32)


LIP_SYNC_FILE = "lip_sync.onnx"
MEL, FACES, LIPS, MOUTH = "mel", "faces", "lips", "mouth"
MEL_SHAPE = (80, 16)
"""Mel bands and frames of one window: 16 frames of 12.5 ms, the first of them at the picture's time."""


class LipSyncNetwork:
    """One lip-sync model, loaded and warm. Owns `session`, and that of `fine`, and closes them. One thread at a time.

    `size`: the side in pixels of its pictures.
    """

    def __init__(self, session: Session, card: ModelCard, fine: HiresLips | None = None) -> None:
        size = card.input.size
        assert size is not None  # a lip-sync card has it
        self.size = size
        self.sessions: Sequence[Session] = [session] if fine is None else [session, fine.session]
        self._fine = fine
        self._session = session
        self._form = CropFormat(size, card.input.layout, card.input.colour, card.input.range)
        self._name = card.name
        _check(card, session, self._form)
        self._mel: Floats = np.empty((1, 1, *MEL_SHAPE), np.float32)
        self._faces: Floats = np.empty((1, 6, size, size), np.float32)
        self._form.fill(self._faces[:, :3], np.zeros((size, size, 3), np.uint8))  # the lower half stays so
        self._lips: Floats | None = np.zeros((1, PLANES, size, size), np.float32) if LIPS in session.inputs else None
        self._prove()

    @property
    def asks_for_lips(self) -> bool:
        """Whether it wants to be told where the lips are."""
        return self._lips is not None

    def side(self, variant: str) -> int:
        """How large its pictures are in a variant, `fast` or `fine`; where there is no fine one, the same in both."""
        return self._fine.size if self._fine is not None and variant == "fine" else self.size

    def mouth(self, face: Pixels, mel: Floats, outline: Floats | None = None) -> Pixels:
        """`face` saying `mel`: a new (S, S, 3) uint8 BGR picture of the whole face.

        `face`: (S, S, 3) uint8 BGR, the face's box scaled to S, which is the `side` of the variant that shall draw.
        `mel`: (80, 16) float32, -4..4, the window that begins at the picture's time. `outline`: (40, 2) where the lips
        are in `face` (`lip_outline`), for networks that ask for them; None where nobody knows. Raises ModelError for a
        window of another shape or with values that are no numbers, and for a picture that is none.
        """
        if mel.shape != MEL_SHAPE or not np.isfinite(mel).all():
            wrong = f"{mel.shape}" if mel.shape != MEL_SHAPE else "not finite (is the sound pure silence?)"
            raise ModelError(f"model {self._name}: a window of sound is {MEL_SHAPE}, this one is {wrong}")
        self._mel[0, 0] = mel
        fine = self._fine if self._fine is not None and len(face) == self._fine.size != self.size else None
        half, small = self.size // 2, face
        if fine is not None:
            small = np.asarray(cv2.resize(face, (self.size, self.size), interpolation=cv2.INTER_AREA), np.uint8)
            if outline is not None:  # of pixels' centres
                outline = (outline + np.float32(0.5)) * np.float32(self.size / fine.size) - np.float32(0.5)
        self._form.fill(self._faces[:, 3:], small)
        self._faces[:, :3, :half] = self._faces[:, 3:, :half]
        if self._lips is not None:
            self._lips[0] = 0.0 if outline is None else lip_planes(outline, self.size, self.size)
        return self._form.pixels(self._run()) if fine is None else fine(self._feed(), face)

    def _feed(self) -> dict[str, Array]:
        feed: dict[str, Array] = {MEL: self._mel, FACES: self._faces}
        return feed if self._lips is None else {**feed, LIPS: self._lips}

    def _run(self) -> Array:
        return self._session.run(self._feed())[MOUTH]

    def close(self) -> None:
        """Close the networks. May be called twice."""
        for session in self.sessions:
            session.close()

    def _prove(self) -> None:
        """One picture through the network: what it declares is one thing, what it gives is another."""
        self._faces[:, 3:] = self._faces[:, :3]
        self._mel[:] = -4.0  # silence
        drawn = self._run()
        if drawn.shape != self._form.shape(3):
            raise ModelError(
                f"model {self._name}: {LIP_SYNC_FILE} drew {drawn.shape}, its card promises {self._form.shape(3)}: "
                "export it again"
            )
        if self._fine is not None:
            self._fine(self._feed(), np.zeros((self._fine.size, self._fine.size, 3), np.uint8))


def open_lip_sync(bundle: Bundle, **options: Any) -> LipSyncNetwork:
    """A lip-sync bundle's networks, checked against its card, and warm; `options` as of `opening_networks`.

    Raises ModelError for a bundle of another family or whose network is not what its card says; nothing is open then.
    """
    card = bundle.card
    if card.family != "lip-sync":
        raise ModelError(f"model {card.name} is of the family {card.family}: a lip-sync model is needed here")
    with opening_networks(**options) as open_network:
        session, fine = open_network(bundle.path(LIP_SYNC_FILE)), None
        if FINE_FILE in card.files:
            fine = HiresLips(open_network(bundle.path(FINE_FILE)), card, session)
        return LipSyncNetwork(session, card, fine)


def _check(card: ModelCard, session: Session, form: CropFormat) -> None:
    """Raise ModelError unless the network has exactly the family's ports, with the card's size."""
    takes = {MEL: (1, 1, *MEL_SHAPE), FACES: form.shape(6)}
    if LIPS in session.inputs:
        takes[LIPS] = (1, PLANES, form.size, form.size)
    gives = {MOUTH: form.shape(3)}
    for ports, shapes in ((session.inputs, takes), (session.outputs, gives)):
        if set(ports) != set(shapes):
            raise ModelError(
                f"model {card.name}: {LIP_SYNC_FILE} has {', '.join(sorted(ports)) or 'nothing'}; "
                f"wanted is {', '.join(sorted(shapes))}: export it again"
            )
        for name, shape in shapes.items():
            check_port(card.name, name, ports[name], shape)
