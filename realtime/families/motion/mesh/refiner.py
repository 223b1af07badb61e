"""The refiner network: paints what geometry cannot, i.e. teeth and tongue, lids, folds beside the mouth.

Its inputs are the mouth and both eyes as geometry drew them and as in the avatar's picture; its output is added.
"""

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, OUTER_LIPS, EyePoints
from realtime.families.motion.mesh.motion import Moved
from realtime.families.motion.mesh.source import (
    EYE_CHANNELS,
    EYE_SIDE,
    EYE_WINDOW,
    MOUTH_CHANNELS,
    MOUTH_SIDE,
    MOUTH_WINDOW,
    MeshSource,
    eye_feed,
    eye_guides,
    eye_place,
    mouth_feed,
    mouth_guides,
    mouth_place,
    put_back,
)
from realtime.frame import Doubles, Floats, Pixels
from realtime.inference.session import Array, Session

FULL_CM = 0.5  # A mouth that moved this far is refined in full
SHADE_SIDE = 11  # how wide, in pixels of the patch, what is added within a mouth is spread
MOUTH, EYES_NAME = "mouth", "eyes"
MOUTH_CHANGE, EYES_CHANGE = "mouth_change", "eyes_change"
INPUTS = {MOUTH: (1, MOUTH_CHANNELS, MOUTH_SIDE, MOUTH_SIDE), EYES_NAME: (2, EYE_CHANNELS, EYE_SIDE, EYE_SIDE)}
OUTPUTS = {MOUTH_CHANGE: (1, 3, MOUTH_SIDE, MOUTH_SIDE), EYES_CHANGE: (2, 3, EYE_SIDE, EYE_SIDE)}


class Refiner:
    """The network, loaded and warm. One thread.

    Raises ModelError for a network of another form.
    """

    def __init__(self, session: Session) -> None:
        for ports, wanted in ((session.inputs, INPUTS), (session.outputs, OUTPUTS)):
            found = {name: tuple(port.shape) for name, port in ports.items()}
            if found != wanted:
                raise ModelError(f"the refining network has {found}, wanted is {wanted}: replace the motion bundle")
        self.session = session
        self._mouth, self._eyes = (np.zeros(INPUTS[name], np.float32) for name in (MOUTH, EYES_NAME))
        self._feed: dict[str, Array] = {MOUTH: self._mouth, EYES_NAME: self._eyes}

    def refine(self, pixels: Pixels, source: MeshSource, points: Doubles, moved: Moved, strength: float) -> None:
        """Paint a drawn crop better, in place; `strength` 0..1 is how much of it. Raises ModelError."""
        place = mouth_place(points, source.rest.scale * moved.zoom)
        guides, chin = mouth_guides(place, points)
        mouth_feed(self._mouth[0], place.cut(pixels), source.patches.mouth, guides, chin)
        spots = []
        for number, (eye, ball) in enumerate(zip(EYES, source.eyes, strict=True)):
            spot = eye_place(points, eye, ball.width * moved.zoom)
            iris = source.iris_place(points, moved, eye)
            eyes_guides = eye_guides(spot, points, eye, iris, ball.radius * moved.zoom)
            eye_feed(self._eyes[number], spot.cut(pixels), source.patches.eyes[number], eyes_guides)
            spots.append(spot)
        given = self.session.run(self._feed)
        mouth = np.asarray(given[MOUTH_CHANGE], np.float32)
        eyes = np.asarray(given[EYES_CHANGE], np.float32)
        if not (np.isfinite(mouth).all() and np.isfinite(eyes).all()):
            raise ModelError("the refining network gave values that are no numbers: try --provider cpu")
        amount = strength * mouth_moved(source.rest.shape, moved.shape)
        if amount > 0:
            put_back(pixels, place, shaded(mouth[0], self._mouth[0, 6]) * np.float32(amount), MOUTH_WINDOW)
        for number, (eye, spot) in enumerate(zip(EYES, spots, strict=True)):
            amount = strength * eye_moved(source.rest.shape, moved.shape, eye)
            if amount > 0:
                put_back(pixels, spot, eyes[number] * np.float32(amount), EYE_WINDOW)


def mouth_moved(rest: Doubles, shape: Doubles) -> float:
    """0..1: how far a mouth is from how it is in the picture, where there is nothing to refine."""
    lips = np.concatenate([OUTER_LIPS, INNER_LIPS])
    return float(np.clip(np.abs(shape[lips] - rest[lips]).max() / FULL_CM, 0.0, 1.0))


def eye_moved(rest: Doubles, shape: Doubles, eye: EyePoints) -> float:
    """0..1: how far an eye's opening is from how it is in the picture."""
    own, now = (s[eye.upper, 1] - s[eye.lower, 1] for s in (rest, shape))
    return float(np.clip(2.0 * np.abs(now - own).mean() / max(float(own.mean()), 1e-6), 0.0, 1.0))


def shaded(change: Floats, opening: Floats) -> Floats:
    """A mouth's change, (3, s, s), smooth within the opening (s, s) 0..1.

    Which teeth a person has nobody can know from a closed mouth: a network asked to draw them draws the grey mean of
    all. The drawn ones keep their edges, and the network lights them.
    """
    size = (SHADE_SIDE, SHADE_SIDE)
    share = cv2.blur(opening, size, borderType=cv2.BORDER_CONSTANT) + np.float32(1e-3)
    out = change.copy()
    for channel, smooth in zip(change, out, strict=True):
        spread = cv2.blur(channel * opening, size, borderType=cv2.BORDER_CONSTANT) / share
        smooth += opening * (spread - channel)
    return out
