"""Finds the driver's neutral pose while they talk, without a calibration step.

The first passable pose serves at once; the best of the first moments takes its place. Later a pose that is much
better for several frames does, for a driver who sits down differently, say. Works on faces alone.
"""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np

from realtime.frame import Pixels
from realtime.imaging.affine import Matrix, Points, cut
from realtime.imaging.align import FACE_OVAL
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

PORTRAIT_SIDE = 1.85
"""The square's side in heights of the face (chin to hairline).

Set by eye to the framing of VoxCeleb as cut for First Order Motion: the face takes about half of the height.
"""
PORTRAIT_UP = 0.06  # how far the square's centre lies above the face's, in sides


def portrait_square(landmarks: Points) -> tuple[float, float, float]:
    """(x, y, side) of the square around the head of (478, 3) landmarks: its centre and side, in their pixels.

    Raises ValueError for landmarks without extent or that are not finite.
    """
    oval = np.asarray(landmarks, np.float64)[_OVAL, :2]
    low, high = oval.min(axis=0), oval.max(axis=0)
    # A head that nods or turns looks smaller one way only; the larger of the two keeps the square steady.
    face = float(max(high[1] - low[1], 1.2 * (high[0] - low[0])))
    if not (np.isfinite(face) and face > 0):
        raise ValueError("landmarks without extent have no portrait")
    x, y = ((low + high) / 2).tolist()
    return x, y - PORTRAIT_UP * PORTRAIT_SIDE * face, PORTRAIT_SIDE * face


def crop_of_square(x: float, y: float, side: float, size: int) -> Matrix:
    """The matrix from the pixels where the square lies to a crop of `size` pixels; (0, 0) is a pixel's centre."""
    scale = size / side
    shift = 0.5 * (size - 1)
    return np.array([[scale, 0.0, shift - scale * x], [0.0, scale, shift - scale * y]])


def portrait_crop(landmarks: Points, size: int) -> Matrix:
    """`crop_from_picture`, (2, 3) float64: one scale and a shift. Raises as `portrait_square`."""
    return crop_of_square(*portrait_square(landmarks), size)


DrivingOf = TypeVar("DrivingOf")
TURN_DEG = 9.0  # the turn of the head (yaw, pitch, half the roll) that counts as one unit of badness
EXPRESSIONS = {
    9: 0.35, 10: 0.35,  # eyes closed
    17: 0.5, 18: 0.5, 11: 0.6, 12: 0.6, 13: 0.5, 14: 0.5, 15: 0.5, 16: 0.5,  # looking away
    25: 0.08, 23: 0.3, 24: 0.2, 26: 0.2,  # jaw
    44: 0.25, 45: 0.25, 30: 0.4, 31: 0.4, 32: 0.2, 38: 0.4,  # smile, frown, funnel, pucker
    33: 0.25, 39: 0.25, 34: 0.3, 35: 0.3, 48: 0.3, 49: 0.3,  # mouth to a side, lips apart
    3: 0.4, 4: 0.4, 5: 0.4, 1: 0.6, 2: 0.6, 21: 0.3, 22: 0.3, 6: 0.3,  # brows, wide eyes, cheeks
}  # fmt: skip
"""MediaPipe's blendshapes (by index) -> the value that counts as one unit. What rests well above 0 counts less."""
PASSABLE_AT_ONCE, PASSABLE = 4.0, 12.0
"""The badness up to which a first pose serves: at once (15 degrees of turn, say), rising over FIRST_MOMENTS_S to what
must do (25 degrees, or a talking mouth). A bad neutral pose bends all that comes after it.
"""
BLINK, LEFT_EYE, RIGHT_EYE = 0.5, 9, 10
FIRST_MOMENTS_S = 1.5  # how long the best of the first poses is looked for
CLEARLY_BETTER = 0.6  # what of the badness a pose of these moments must have to be taken before they are over
GLIDE_S, FIRST_GLIDE_S = 1.0, 0.5  # how long one neutral pose takes to give way to another, and in the first moments
LAST_RESORT_S = 3.0  # after so long without a passable pose the best so far will do
MUCH_BETTER = 0.5  # later a pose must halve the badness
WORTH_IT = 0.5  # and by so much at least: of two good poses either will do
FOR_FRAMES = 4  # and do so for so many frames on end: a single one may be the tracker's mistake
AT_MOST_EVERY_S = 5.0
HABIT_S = 3.0  # the time constant of where the driver usually is
PLACE_UNIT, SIZE_UNIT = 0.25, 0.2
"""The distance from there (in sides of the head's square) and the change in size that count as one unit."""
_SHARP_PX = 64
_OVAL = np.array(FACE_OVAL)
_INDICES = np.array(list(EXPRESSIONS))
_UNITS = np.array(list(EXPRESSIONS.values()))


@dataclass(frozen=True, slots=True, eq=False)
class _Pose(Generic[DrivingOf]):
    driving: DrivingOf
    badness: float
    place: tuple[float, float, float]


class ReferencePose(Generic[DrivingOf]):
    """Chooses one driver's neutral pose from frame to frame. `by_hand` ends the search: the driver has said it."""

    def __init__(self) -> None:
        self._chosen: _Pose[DrivingOf] | None = None
        self._best: _Pose[DrivingOf] | None = None
        self._first_seen_s: float | None = None
        self._first_chosen_s = 0.0
        self._settled = False
        self._better = 0
        self._habit: tuple[float, float, float] | None = None
        self._last_s = 0.0
        self._sharpest = 0.0
        self._by_hand = False

    def by_hand(self, driving: DrivingOf) -> DrivingOf:
        """Take this pose and keep it."""
        self._by_hand = True
        return driving

    @property
    def glide_s(self) -> float:
        """How long the pose chosen last should take to come into force."""
        return GLIDE_S if self._settled else FIRST_GLIDE_S

    def see(self, driving: DrivingOf, face: Face, pixels: Pixels, now_s: float) -> DrivingOf | None:
        """A new neutral pose, where this frame brings one; else None. `pixels` is the frame, (H, W, 3)."""
        if self._by_hand:
            return None
        place = portrait_square(face.landmarks)
        self._follow_habit(place, now_s)
        pose = _Pose(driving, badness(face) + self._blur(face, pixels), place)
        if self._first_seen_s is None:
            self._first_seen_s = now_s
        if self._chosen is None:
            return self._first(pose, face, now_s)
        if not self._settled:
            return self._early(pose, self._chosen, face, now_s)
        now = self._at_home(self._chosen)
        good = self._at_home(pose) < min(MUCH_BETTER * now, now - WORTH_IT) and not _blinks(face)
        self._better = self._better + 1 if good else 0
        if self._better < FOR_FRAMES or now_s - self._first_chosen_s < AT_MOST_EVERY_S:
            return None
        return self._choose(pose, now_s)

    def _first(self, pose: _Pose[DrivingOf], face: Face, now_s: float) -> DrivingOf | None:
        assert self._first_seen_s is not None
        if self._best is None or (pose.badness < self._best.badness and not _blinks(face)):
            self._best = pose
        waited_s = now_s - self._first_seen_s
        passable = PASSABLE_AT_ONCE + (PASSABLE - PASSABLE_AT_ONCE) * min(waited_s / FIRST_MOMENTS_S, 1.0)
        if self._best.badness <= passable:
            self._first_seen_s = now_s
            return self._choose(self._best, now_s)
        if waited_s >= LAST_RESORT_S:
            return self._choose(self._best, now_s)
        return None

    def _early(self, pose: _Pose[DrivingOf], chosen: _Pose[DrivingOf], face: Face, now_s: float) -> DrivingOf | None:
        """In the first moments: what is clearly better at once, and the best of all at their end."""
        assert self._first_seen_s is not None
        if pose.badness < (self._best or chosen).badness and not _blinks(face):
            self._best = pose
        best = self._best or chosen
        self._settled = now_s - self._first_seen_s >= FIRST_MOMENTS_S
        clearly = best.badness < min(CLEARLY_BETTER * chosen.badness, chosen.badness - WORTH_IT)
        return self._choose(best, now_s) if best is not chosen and (self._settled or clearly) else None

    def _choose(self, pose: _Pose[DrivingOf], now_s: float) -> DrivingOf:
        self._chosen, self._first_chosen_s, self._better = pose, now_s, 0
        return pose.driving

    def _at_home(self, pose: _Pose[DrivingOf]) -> float:
        """Badness, and how far the pose is from where the driver usually is."""
        if self._habit is None:
            return pose.badness
        (x, y, side), (hx, hy, hside) = pose.place, self._habit
        away = math.hypot(x - hx, y - hy) / (PLACE_UNIT * hside)
        return pose.badness + away**2 + (math.log(side / hside) / SIZE_UNIT) ** 2

    def _follow_habit(self, place: tuple[float, float, float], now_s: float) -> None:
        step_s, self._last_s = now_s - self._last_s, now_s
        if self._habit is None:
            self._habit = place
            return
        share = 1.0 - math.exp(-min(max(step_s, 0.0), 1.0) / HABIT_S)
        self._habit = tuple(a + share * (b - a) for a, b in zip(self._habit, place, strict=True))  # type: ignore[assignment]

    def _blur(self, face: Face, pixels: Pixels) -> float:
        """0 for the sharpest face so far, towards 2 for one smeared by motion."""
        oval = face.landmarks[_OVAL, :2]
        low, high = oval.min(axis=0).astype(np.float64), oval.max(axis=0).astype(np.float64)
        x, y = ((low + high) / 2).tolist()
        small = cut(pixels, crop_of_square(x, y, float((high - low).max()), _SHARP_PX), _SHARP_PX)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        sharp = float(np.std(np.asarray(cv2.Laplacian(grey, cv2.CV_32F))))
        self._sharpest = max(self._sharpest, sharp)
        return 2.0 * (1.0 - sharp / self._sharpest) if self._sharpest > 0 else 0.0


def badness(face: Face) -> float:
    """How far a face is from frontal and expressionless: 0 for the perfect neutral, about 1 for each unit off."""
    pitch, yaw, roll = (math.degrees(angle) for angle in head_angles(face.pose).tolist())
    turn = (yaw**2 + pitch**2 + (roll / 2) ** 2) / TURN_DEG**2
    shown = face.blendshapes[_INDICES].astype(np.float64) / _UNITS
    return turn + float(np.mean(shown**2) * 4.0)


def _blinks(face: Face) -> bool:
    return float(max(face.blendshapes[LEFT_EYE], face.blendshapes[RIGHT_EYE])) > BLINK
