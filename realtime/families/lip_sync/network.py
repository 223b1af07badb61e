"""The `lip-sync` family: a face and 200 ms of sound become the face that says it (Wav2Lip).

A bundle holds one network, `lip_sync.onnx`: `mel` (1, 1, 80, 16) and `faces` (1, 6, S, S) give `mouth`
(1, 3, S, S), float32. The six channels are the face with its lower half black, which the network fills, and
the face as it is, which tells how the person looks; colour order and range are the card's. A network that asks for
`lips` (1, 2, S, S) is told besides where the face's own lips are (`lip_planes`); Wav2Lip's do not. A bundle may hold a
fine variant beside it (`fine_lips`).
"""

from collections.abc import Callable
from contextlib import ExitStack

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import check_port
from realtime.families.face_swap.hires_head import FINE_FILE
from realtime.families.lip_sync.hires_lips import FineLips
from realtime.families.lip_sync.lip_masks import PLANES, lip_planes
from realtime.frame import Floats, Pixels
from realtime.inference.image_format import CropFormat
from realtime.inference.session import Array, Session
from realtime.models.bundle import Bundle
from realtime.models.card import ModelCard

LIP_SYNC_FILE = "lip_sync.onnx"
MEL, FACES, LIPS, MOUTH = "mel", "faces", "lips", "mouth"
MEL_SHAPE = (80, 16)
"""Mel bands and frames of one window: 16 frames of 12.5 ms, the first of them at the picture's time."""


class LipSyncNetwork:
    """One lip-sync model, loaded and warm. Owns `session`, and that of `fine`, and closes them. One thread at a time.

    `size`: the side in pixels of its pictures.
    """

    def __init__(self, session: Session, card: ModelCard, fine: FineLips | None = None) -> None:
        size = card.input.size
        assert size is not None  # a lip-sync card has it
        self.size = size
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

    @property
    def ran_on(self) -> str:
        """The provider that really ran."""
        return self._session.ran_on

    @property
    def precision(self) -> str:
        """What the arithmetic really was."""
        return self._session.precision

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the network since it was loaded."""
        return self._session.spent_ns + (self._fine.session.spent_ns if self._fine else 0)

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
        """Give the networks back. May be called twice."""
        self._session.close()
        if self._fine is not None:
            self._fine.session.close()

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


def open_lip_sync(
    bundle: Bundle,
    *,
    provider: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    open_session: Callable[..., Session] | None = None,
) -> LipSyncNetwork:
    """A lip-sync bundle's networks, loaded, checked against its card, and warm.

    `open_session` stands in for `realtime.inference.ort.open_session`, which is the default. Raises ModelError
    for a bundle of another family or whose network is not what its card says; nothing is left open then.
    """
    card = bundle.card
    if card.family != "lip-sync":
        raise ModelError(f"model {card.name} is of the family {card.family}: a lip-sync model is needed here")
    opened = ExitStack()

    def network(name: str) -> Session:
        session = (open_session or _runtime())(
            bundle.path(name), provider=provider, precision=precision, threads=threads
        )
        opened.callback(session.close)
        return session

    with opened:
        session, fine = network(LIP_SYNC_FILE), None
        if FINE_FILE in card.files:
            fine = FineLips(network(FINE_FILE), card, session)
        ready = LipSyncNetwork(session, card, fine)
        opened.pop_all()
        return ready


def _runtime() -> Callable[..., Session]:
    from realtime.inference.ort import open_session  # heavy to import: only where a network is wanted

    return open_session


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
