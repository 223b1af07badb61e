"""The `swap` family: one network draws the identity's face over the driver's, in the driver's place.

Our own networks take `face` and, where they have them, `blendshapes` (1, 52), `pose` (1, 3), `lips` (1, 3) and `morph`
(1,), and give a face and a mask by the names of the card. A .dfm differs only in its wiring (see `dfm`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.face_swap.skin_detail import SkinDetail
from realtime.frame import Floats, Pixels
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped
from realtime.inference.image_format import CropFormat
from realtime.inference.session import Array, Session, TensorSpec
from realtime.models.card import ModelCard
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

UPPER = (82, 13, 312)
LOWER = (87, 14, 317)
OUTER_EYES = (33, 263)
"""MediaPipe's numbers; the inner lips' from the picture's left to its right in a face that is not mirrored."""


def inner_lips(landmarks: Floats) -> Floats:
    """(3,) float32: the inner lips' distance left of the middle, there and right of it, in outer-eye distances.

    `landmarks` (478, 3) in any unit. `jawOpen` and its like are guesses from the same landmarks that lean on whose face
    it is; this is nothing on any face with shut lips, and as large on the next one whose lips are as far apart.
    """
    points = landmarks.astype(np.float64)
    eyes = float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
    apart = np.linalg.norm(points[list(UPPER)] - points[list(LOWER)], axis=1)
    return np.asarray(apart / max(eyes, 1e-6), np.float32)


# browDown, browInnerUp, browOuterUp, eyeSquint: what a skull's shape and thick brows look like to a tracker. Lids, jaw,
# lips and gaze come back to nothing by themselves.
CHANNELS = np.array([1, 2, 3, 4, 5, 19, 20])
USUAL = np.array([0.1, 0.1, 0.25, 0.25, 0.25, 0.3, 0.3], np.float32)
"""What these read on most people at rest; the identities were trained on that, and only what is beyond it goes."""
DOWN = 0.15
"""How much of what a reading is below the rest is taken in, a frame: who began with raised brows is soon found out."""
SHARE = 0.4
"""How much of it goes."""
UP = 0.00015
"""How far the rest follows upwards, a frame: 0.27 in a minute at 30 frames a second. A long frown remains a frown."""


KNOWN = 8
"""So many people's rests are kept: those seen last."""


class RestingFace:
    """Takes a driver's own resting face out of the readings, each person's by `Face.track`.

    The rest is the least that was read, with slow leave to rise. It is known from the first frame on, so nothing jumps.
    """

    def __init__(self) -> None:
        self._rests: dict[int, Floats] = {}

    def __call__(self, face: Face) -> Floats:
        """(52,) float32 0..1: the readings without what is the driver's own and unusual."""
        read = np.array(face.blendshapes, np.float32)
        here = read[CHANNELS]
        rest = self._rests.pop(face.track, here)
        below = here - rest
        rest = rest + np.where(below < 0, DOWN * below, np.minimum(below, UP)).astype(np.float32)
        self._rests[face.track] = rest
        while len(self._rests) > KNOWN:
            del self._rests[next(iter(self._rests))]
        read[CHANNELS] = np.maximum(here - SHARE * np.maximum(rest - USUAL, 0), 0)
        return read


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
        raise unfit(card, f"it has {FINE_FILE}, so [output] in its card must say fine, fine_size and features")
    form = CropFormat(stated.fine_size, card.input.layout, card.input.colour, card.input.range)
    if set(session.inputs) != {stated.features} or stated.fine not in session.outputs:
        raise unfit(card, f"{FINE_FILE} must take {stated.features!r} and give {stated.fine!r}")
    given = first.outputs.get(stated.features)
    if given is None or given.shape != session.inputs[stated.features].shape:
        raise unfit(card, f"its first network does not give the {stated.features!r} that {FINE_FILE} takes")
    if session.outputs[stated.fine].shape != form.shape(3):
        raise unfit(card, f"{FINE_FILE} gives {session.outputs[stated.fine].shape}, its card says {form.shape(3)}")
    return FineHead(session, form, stated.features, stated.fine)


BLENDSHAPES = 52


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a network calls its inputs and outputs; None where it has no such port."""

    form: CropFormat
    face: str
    drawn: str
    mask: str
    driver_mask: str | None = None
    visible: str | None = None
    blendshapes: str | None = None
    pose: str | None = None
    lips: str | None = None
    morph: str | None = None


class Autoencoder:
    """One identity ready to be worn (a `Swapper`). Owns `session` and `fine` and closes them.

    `morph` is asked at every call and used only where the network has that input; so is `wants_fine`, where there is
    a `fine` variant. `detail` is laid over what either draws.
    """

    def __init__(
        self,
        session: Session,
        wiring: Wiring,
        *,
        title: str,
        face_type: str,
        coverage: float | None = None,
        morph: Callable[[], float],
        fine: FineHead | None = None,
        wants_fine: Callable[[], bool] = lambda: False,
        detail: SkinDetail | None = None,
    ) -> None:
        self.title = title
        self.face_type = face_type
        self.coverage = coverage
        self.size = wiring.form.size
        self._session = session
        self._wiring = wiring
        self._morph = morph
        self._fine = fine
        self._wants_fine = wants_fine
        self._detail = detail
        self._rest = RestingFace()
        # One set of arrays for all calls: the engine's thread is the only caller, and `run` has read them
        # when it returns.
        self._face: Floats = np.empty(wiring.form.shape(3), np.float32)
        self._feed: dict[str, Array] = {wiring.face: self._face}

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

    def __call__(self, crop: Pixels, face: Face) -> Swapped:
        """The identity's face in place of the one in `crop`, (S, S, 3) uint8 BGR.

        Raises ModelError when the network gives another shape or values that are no numbers.
        """
        wiring, feed = self._wiring, self._feed
        wiring.form.fill(self._face, crop)
        if wiring.blendshapes:
            feed[wiring.blendshapes] = self._rest(face).reshape(1, BLENDSHAPES)
        if wiring.pose:
            feed[wiring.pose] = head_angles(face.pose)[None]
        if wiring.lips:
            feed[wiring.lips] = inner_lips(face.landmarks)[None]
        if wiring.morph:
            feed[wiring.morph] = np.array([self._morph()], np.float32)
        drawn = self._session.run(feed)
        form = wiring.form
        fine = self._fine if self._wants_fine() else None
        pixels = form.pixels(drawn[wiring.drawn]) if fine is None else fine(drawn[fine.features])
        if self._detail is not None:
            matrix = crop_from_frame(face.landmarks, self.face_type, self.size, coverage=self.coverage)
            pixels = self._detail(pixels, face.landmarks, matrix, self.size)
        names = (wiring.mask, wiring.driver_mask, wiring.visible)
        masks = [None if name is None else form.mask(drawn[name]) for name in names]
        if fine is not None:
            masks = [None if mask is None else _grown(mask, fine.form.size) for mask in masks]
        mask, driver_mask, visible = masks
        assert mask is not None
        return Swapped(pixels, mask, driver_mask, visible)

    def close(self) -> None:
        """Give the networks back. May be called twice."""
        self._session.close()
        if self._fine is not None:
            self._fine.session.close()


def own_wiring(session: Session, card: ModelCard) -> Wiring:
    """How to feed a network of our own kind. Raises ModelError where network and card do not agree.

    The network must have `face`; `blendshapes`, `pose`, `lips` and `morph` are fed if it asks for them; any other input
    is refused, as nothing here could fill it.
    """
    wants, gives, stated = session.inputs, session.outputs, card.output
    size = card.input.size
    assert size is not None  # a swap card has it
    form = CropFormat(size, card.input.layout, card.input.colour, card.input.range)
    shapes: dict[str, tuple[int, ...]] = {
        "face": form.shape(3),
        "blendshapes": (1, BLENDSHAPES),
        "pose": (1, 3),
        "lips": (1, 3),
        "morph": (1,),
    }
    for name, port in wants.items():
        if name not in shapes:
            raise unfit(card, f"its network asks for {name!r}; known are {', '.join(shapes)}")
        check_port(card.name, name, port, shapes[name])
    if "face" not in wants:
        raise unfit(card, "its network has no input 'face'")
    promised = {stated.face: form.shape(3), stated.mask: form.shape(1)}
    promised |= {name: form.shape(1) for name in (stated.driver_mask, stated.visible) if name}
    for name, shape in promised.items():
        if name not in gives:
            raise unfit(card, f"its network gives no {name!r}, but {', '.join(gives)} ([output] in the card)")
        check_port(card.name, name, gives[name], shape)
    return Wiring(
        form,
        face="face",
        drawn=stated.face,
        mask=stated.mask,
        driver_mask=stated.driver_mask,
        visible=stated.visible,
        blendshapes="blendshapes" if "blendshapes" in wants else None,
        pose="pose" if "pose" in wants else None,
        lips="lips" if "lips" in wants else None,
        morph="morph" if "morph" in wants else None,
    )


def _grown(mask: Floats, size: int) -> Floats:
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def check_port(model: str, name: str, port: TensorSpec, shape: tuple[int, ...]) -> None:
    """Raise ModelError unless `port` takes float32 of `shape`; dynamic sizes fit anything."""
    fits = len(port.shape) == len(shape) and all(
        have is None or have == want for have, want in zip(port.shape, shape, strict=True)
    )
    if not fits or port.dtype != np.float32:
        raise ModelError(
            f"model {model}: {name!r} is {_shape(port.shape)} {port.dtype}, "
            f"needed is {_shape(shape)} float32: correct the card or export it again"
        )


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"


def unfit(card: ModelCard, what: str) -> ModelError:
    return ModelError(f"model {card.name}: {what}: export it again")
