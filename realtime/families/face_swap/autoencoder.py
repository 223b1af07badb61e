"""A swap network: draws an identity's face over the driver's, in the driver's pose and expression.

Our own networks take `face` and, where they have them, `blendshapes` (1, 52), `pose` (1, 3), `lips` (1, 3) and `morph`
(1,), and give a face and masks by the names of the card. A .dfm differs only in its wiring (see `dfm`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.config import Settings
from realtime.families.effect import FINE_FILE, unfit
from realtime.families.face_swap.skin_detail import SkinDetail
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped
from realtime.inference.image_format import CropFormat, check_port
from realtime.inference.session import Array, Session
from realtime.models.card import ModelCard
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

BLENDSHAPES = 52
UPPER, LOWER = (82, 13, 312), (87, 14, 317)
OUTER_EYES = (33, 263)
"""Landmarks; those of the inner lips from the picture's left to its right in a face that is not mirrored."""

# Brows down, inner up, outer up, and eyes squinting: what the skull's shape and thick brows look like to a tracker.
# Lids, jaw, lips and gaze come back to nothing by themselves.
_BIASED = np.array([1, 2, 3, 4, 5, 19, 20])
USUAL = np.array([0.1, 0.1, 0.25, 0.25, 0.25, 0.3, 0.3], np.float32)
"""What these read on most people at rest; the identities were trained on that, and only what is beyond it goes."""
_DOWN = 0.15
"""The share of a reading below the bias that is taken in each frame: raised brows at the start are soon corrected."""
SHARE = 0.4  # how much of the bias is taken away
_UP = 0.00015  # How far the bias rises a frame: 0.27 in a minute at 30 frames a second. A long frown remains a frown.
KNOWN = 8  # the biases of so many people are kept: those seen last


def inner_lips(landmarks: Floats) -> Floats:
    """(3,) float32: the inner lips' distance left of the middle, there and right of it, in outer-eye distances.

    `landmarks` (478, 3) in any unit. Unlike `jawOpen`, this is 0 on any face with closed lips, and as large on the next
    one whose lips are as far apart.
    """
    points = landmarks.astype(np.float64)
    eyes = float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
    apart = np.linalg.norm(points[list(UPPER)] - points[list(LOWER)], axis=1)
    return np.asarray(apart / max(eyes, 1e-6), np.float32)


class NeutralBias:
    """Corrects blendshapes for what a driver's own face reads at rest, by `Face.track`.

    A tracker reads heavy brows as a frown that never ends (browDown 0.45 to 0.62 through one man's whole clip, where
    most people's are under 0.1 at rest). The bias is the least that was read, slowly rising; it is known from the first
    frame on, so nothing jumps.
    """

    def __init__(self) -> None:
        self._biases: dict[int, Floats] = {}

    def __call__(self, face: Face) -> Floats:
        """(52,) float32 0..1: the blendshapes without what is the driver's own and unusual."""
        corrected = np.array(face.blendshapes, np.float32)
        read = corrected[_BIASED]
        bias = self._biases.pop(face.track, read)
        below = read - bias
        bias = bias + np.where(below < 0, _DOWN * below, np.minimum(below, _UP)).astype(np.float32)
        self._biases[face.track] = bias
        while len(self._biases) > KNOWN:
            del self._biases[next(iter(self._biases))]
        corrected[_BIASED] = np.maximum(read - SHARE * np.maximum(bias - USUAL, 0), 0)
        return corrected


@dataclass(frozen=True, slots=True, eq=False)
class HiresHead:
    """The fine variant: a second network that draws the face larger, from the first one's last feature map.

    `features` is the name of its one input, and of the first network's output. Raises ModelError where it, the card and
    the `first` network disagree.
    """

    session: Session
    form: CropFormat
    features: str
    output: str

    @classmethod
    def of(cls, session: Session, card: ModelCard, first: Session) -> "HiresHead":
        names = card.output
        if names.fine is None or names.fine_size is None or names.features is None:
            raise unfit(card, f"it has {FINE_FILE}, so [output] in its card must say fine, fine_size and features")
        form = CropFormat(names.fine_size, card.input.layout, card.input.colour, card.input.range)
        if set(session.inputs) != {names.features} or names.fine not in session.outputs:
            raise unfit(card, f"{FINE_FILE} must take {names.features!r} and give {names.fine!r}")
        given = first.outputs.get(names.features)
        if given is None or given.shape != session.inputs[names.features].shape:
            raise unfit(card, f"its first network does not give the {names.features!r} that {FINE_FILE} takes")
        if session.outputs[names.fine].shape != form.shape(3):
            raise unfit(card, f"{FINE_FILE} gives {session.outputs[names.fine].shape}, its card says {form.shape(3)}")
        return cls(session, form, names.features, names.fine)

    def __call__(self, features: Array) -> Pixels:
        """The face, (F, F, 3) uint8 BGR, a new array. Raises ModelError."""
        return self.form.pixels(self.session.run({self.features: features})[self.output])


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
    """One identity's networks, loaded and warm (a `Swapper`). Owns the sessions of both networks.

    `fine` draws where `Settings.variant` asks for it; `detail` is laid over what either draws.
    """

    def __init__(
        self,
        session: Session,
        wiring: Wiring,
        *,
        title: str,
        face_type: str,
        coverage: float | None = None,
        fine: HiresHead | None = None,
        detail: SkinDetail | None = None,
    ) -> None:
        self.title = title
        self.face_type = face_type
        self.coverage = coverage
        self.size = wiring.form.size
        self.sessions: Sequence[Session] = [session] if fine is None else [session, fine.session]
        self._session = session
        self._wiring = wiring
        self._fine = fine
        self._detail = detail
        self._bias = NeutralBias()
        # One set of arrays for all calls: the engine's thread is the only caller, and `run` has read them
        # when it returns.
        self._face: Floats = np.empty(wiring.form.shape(3), np.float32)
        self._feed: dict[str, Array] = {wiring.face: self._face}

    def crop(self, landmarks: Floats) -> tuple[Matrix, int]:
        """`crop_from_frame` for a face, and the crop's side in pixels."""
        return crop_from_frame(landmarks, self.face_type, self.size, coverage=self.coverage), self.size

    def __call__(
        self, crop: Pixels, face: Face, crop_from_frame: Matrix, settings: Settings, _frame: Frame | None = None
    ) -> Swapped:
        """The identity's face in place of the one in `crop`, (S, S, 3) uint8 BGR.

        Raises ModelError when the network gives another shape or values that are no numbers.
        """
        wiring, feed = self._wiring, self._feed
        wiring.form.fill(self._face, crop)
        if wiring.blendshapes:
            feed[wiring.blendshapes] = self._bias(face).reshape(1, BLENDSHAPES)
        if wiring.pose:
            feed[wiring.pose] = head_angles(face.pose)[None]
        if wiring.lips:
            feed[wiring.lips] = inner_lips(face.landmarks)[None]
        if wiring.morph:
            feed[wiring.morph] = np.array([settings.morph], np.float32)
        given = self._session.run(feed)
        form = wiring.form
        fine = self._fine if settings.variant == "fine" else None
        pixels = form.pixels(given[wiring.drawn]) if fine is None else fine(given[fine.features])
        if self._detail is not None:
            pixels = self._detail(pixels, face.landmarks, crop_from_frame, self.size)
        names = (wiring.mask, wiring.driver_mask, wiring.visible)
        masks = [None if name is None else form.mask(given[name]) for name in names]
        if fine is not None:
            masks = [None if mask is None else _resized(mask, fine.form.size) for mask in masks]
        mask, driver_mask, visible = masks
        assert mask is not None
        return Swapped(pixels, mask, driver_mask, visible)

    def close(self) -> None:
        """Close the networks. May be called twice."""
        for session in self.sessions:
            session.close()


def own_wiring(session: Session, card: ModelCard) -> Wiring:
    """How to feed a network of our own kind. Raises ModelError where network and card do not agree.

    The network must have `face`; `blendshapes`, `pose`, `lips` and `morph` are fed if it asks for them; any other input
    is refused, as nothing here could fill it.
    """
    wants, gives, names = session.inputs, session.outputs, card.output
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
    promised = {names.face: form.shape(3), names.mask: form.shape(1)}
    promised |= {name: form.shape(1) for name in (names.driver_mask, names.visible) if name}
    for name, shape in promised.items():
        if name not in gives:
            raise unfit(card, f"its network gives no {name!r}, but {', '.join(gives)} ([output] in the card)")
        check_port(card.name, name, gives[name], shape)
    inputs = {name: name for name in shapes if name in wants}
    return Wiring(
        form, **inputs, drawn=names.face, mask=names.mask, driver_mask=names.driver_mask, visible=names.visible
    )


def _resized(mask: Floats, size: int) -> Floats:
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
