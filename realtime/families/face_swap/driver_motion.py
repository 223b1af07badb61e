"""Carries a driver's motion over to an identity's face: its resting shape, and what the driver does with theirs.

How the driver looks at rest is found while they talk (`ReferencePose`). Until it is known, the driver's own shape is
drawn; then the identity's comes in softly.
"""

from dataclasses import dataclass, replace

import numpy as np

from realtime.families.motion.mesh.head import (
    EYES,
    LANDMARKS,
    MOUTH_CORNERS,
    OVAL,
    PIVOT,
    VERTICES,
    EyePoints,
    Head,
    Reading,
    between,
    read,
)
from realtime.families.motion.mesh.motion import WIDEST, eye_gap, gaze_of, set_lids, set_lips
from realtime.families.motion.reference_pose import ReferencePose
from realtime.frame import Doubles, Frame
from realtime.tracking.face import Face

OUTLINE_CM, OUTLINE = 2.6, 0.9
"""How far from its outline a face takes the driver's, so that it fills the head it is put on; and how much of it."""
SPREAD_CM = 2.2
CORNERS = (61, 291)  # of the mouth: an identity's own smile is wider than a shift of someone else's points
CORNER_GAIN, CORNER_CM = 1.35, 1.6
CALM, TREMBLE_CM = 0.3, 0.1  # of a small change, what is taken in a frame; all of one that is much larger
FORGET_S = 0.5
SHUTS = (0.33, 0.55)  # the reading of eyeBlink from which an eye may be shut, and at which lids that nearly meet are
NEARLY = 0.42  # of its usual opening: lids so near meet, where eyeBlink says so
TOGETHER = 0.2  # by less than so far from their mean, two openings are brought together: that is no wink
SQUINT = (0.72, 1.1)  # of its own opening at rest, how far an identity's eye may take after the driver's


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A face to be drawn: `points` (478, 3) in frame pixels, z smaller nearer; `shape` (478, 3), the same in the head's
    frame. `gaze` (2,) as in `Moved`; `opening` (2,) 0..1, how far right and left eye are open."""

    points: Doubles
    shape: Doubles
    gaze: Doubles
    opening: Doubles
    reading: Reading


class DriverMotion:
    """One driver's motion, on one identity whose resting picture reads `rest`."""

    def __init__(self, head: Head, rest: Reading) -> None:
        self._head, self._rest = head, rest
        self._search: ReferencePose[Reading] = ReferencePose()
        self._from: Reading | None = None
        self._zero: Reading | None = None
        self._since_s, self._glide_s = 0.0, 1.0
        self._shape: Doubles | None = None
        self._time_s = 0.0
        canonical = np.concatenate([head.canonical, np.zeros((LANDMARKS - VERTICES, 3))])
        away = np.linalg.norm(canonical[:, None] - canonical[None, OVAL], axis=2)
        near = np.exp(-((away / SPREAD_CM) ** 2))
        pull = np.exp(-((away.min(axis=1) / OUTLINE_CM) ** 2))
        face = (np.arange(LANDMARKS) < VERTICES).astype(np.float64)
        for eye in EYES:  # irises go with their eyes
            pull[np.r_[eye.iris, eye.rim]] = pull[eye.corners].mean()
        self._inner = 1.0 - OUTLINE * pull[:, None]
        self._spread = near / near.sum(axis=1, keepdims=True)
        from_corners = sum(
            np.exp(-((np.linalg.norm(canonical - canonical[c], axis=1) / CORNER_CM) ** 2)) for c in CORNERS
        )
        self._gain = (1.0 + (CORNER_GAIN - 1.0) * from_corners * face)[:, None]

    def __call__(self, frame: Frame, face: Face, share: float) -> Pose | None:
        """Where the identity's face is; `share` 0..1 of its own bones shows. None for landmarks that are none."""
        try:
            now = self._steadied(read(self._head, face), frame.time_s)
        except ValueError:
            return None
        found = self._search.see(now, face, frame.pixels, frame.time_s)
        if found is not None:
            self._glide_to(found, frame.time_s)
        zero, known = self._zero_at(frame.time_s)
        if zero is None:
            opening = np.array([np.clip(eye_gap(now.shape, eye) / 0.3, 0, 1) for eye in EYES])
            return Pose(_placed(now.shape, now), now.shape, np.zeros(2), opening, now)
        rest = self._like_driver(zero)
        shape = rest.shape + self._went(now, zero, rest)
        opening = _together(np.array([_opening(now, zero, number) for number in range(len(EYES))]))
        for eye, share_open in zip(EYES, opening, strict=True):
            set_lids(shape, rest.shape, eye, float(share_open), 1.0)
        set_lips(shape, rest.shape, now.shape, zero.shape, 1.0)
        gaze = gaze_of(now, zero)
        weight = share * known * self._inner
        out = now.shape + weight * (shape - now.shape)
        return Pose(_placed(out, now), out, gaze * known, opening, now)

    def _steadied(self, now: Reading, time_s: float) -> Reading:
        """The reading with its shape steadied: what moves by less than landmarks tremble does so slowly."""
        before, self._shape = self._shape, now.shape
        passed, self._time_s = time_s - self._time_s, time_s
        if before is None or not 0 <= passed < FORGET_S:
            return now
        went = now.shape - before
        far = np.linalg.norm(went, axis=1, keepdims=True)
        self._shape = before + went * np.clip(CALM + far / TREMBLE_CM, 0.0, 1.0)
        return replace(now, shape=self._shape)

    def _went(self, now: Reading, zero: Reading, rest: Reading) -> Doubles:
        """(478, 3) how far the points go: as the driver's, aside in proportion to the mouths' widths."""
        went = (now.shape - zero.shape) * self._gain
        wide = [
            float(np.linalg.norm(reading.shape[MOUTH_CORNERS[1]] - reading.shape[MOUTH_CORNERS[0]]))
            for reading in (rest, zero)
        ]
        ratio = float(np.clip(wide[0] / max(wide[1], 1e-6), 0.7, 1.4))
        below = np.clip((1.0 - rest.shape[:, 1]) / 3.0, 0.0, 1.0)  # 0 at the eyes, 1 at the mouth
        went[:, 0] *= 1.0 + (ratio - 1.0) * below
        return np.asarray(went)

    def _like_driver(self, zero: Reading) -> Reading:
        """The identity at rest, its eyes opened half as far as the driver's differ: who squints does not stare."""
        shape = self._rest.shape.copy()
        for eye in EYES:
            own = _height(shape, eye)
            share = float(np.clip(np.sqrt(_height(zero.shape, eye) / max(own, 1e-3)), *SQUINT))
            middle = 0.5 * (shape[eye.upper] + shape[eye.lower])
            down = (1.0 - share) * (shape[eye.upper, 1] - middle[:, 1])
            for row in (eye.upper, eye.lower):
                shape[row] = middle + share * (shape[row] - middle)
            shape[eye.crease, 1] -= 0.5 * down
        return replace(self._rest, shape=shape)

    def _glide_to(self, zero: Reading, now_s: float) -> None:
        self._from, self._zero = self._zero_at(now_s)[0], zero
        self._since_s, self._glide_s = now_s, self._search.glide_s

    def _zero_at(self, now_s: float) -> tuple[Reading | None, float]:
        """The driver at rest as far as is known now, and 0..1 how far that counts."""
        if self._zero is None:
            return None, 0.0
        share = float(np.clip((now_s - self._since_s) / self._glide_s, 0.0, 1.0))
        share = share * share * (3 - 2 * share)
        if self._from is None:
            return self._zero, share
        return (self._zero if share >= 1 else between(self._from, self._zero, share)), 1.0


def _opening(now: Reading, zero: Reading, number: int) -> float:
    """How far open the driver's eye is, as a share of the neutral: by its lids, near shut by eyeBlink too."""
    eye = EYES[number]
    lids = float(np.clip(eye_gap(now.shape, eye) / max(eye_gap(zero.shape, eye), 0.08), 0.0, WIDEST))
    shuts = float(np.clip((now.blink[number] - SHUTS[0]) / (SHUTS[1] - SHUTS[0]), 0.0, 1.0))
    return lids + shuts * (max(lids - NEARLY, 0.0) / (1.0 - NEARLY) - lids)


def _together(opening: Doubles) -> Doubles:
    """Both eyes' openings (2,): two eyes blink as one, and what little they differ by is the landmarks' noise."""
    both = opening.mean()
    apart = opening - both
    return np.asarray(both + apart * np.minimum(np.abs(apart) / TOGETHER, 1.0))


def _placed(shape: Doubles, now: Reading) -> Doubles:
    """(478, 3) a shape in frame pixels, z smaller nearer, as the reading's head is turned."""
    way = np.append(now.place, 0.0)
    return np.asarray((way + now.scale * ((shape - PIVOT) @ now.turn.T)) * (1.0, -1.0, -1.0))


def _height(shape: Doubles, eye: EyePoints) -> float:
    return float(np.linalg.norm(shape[eye.upper] - shape[eye.lower], axis=1).mean())
