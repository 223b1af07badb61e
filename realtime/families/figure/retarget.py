"""From a tracked body to a figure's pose: directions of bones, how far they are foreshortened, what is before what.

A bone of the figure gets the direction that the driver's has in the picture and keeps its own length, so that any
proportions do. Angles are radians in the picture, 0 to the right, clockwise as seen. Left and right are the driver's
own. What is not seen is held, then eases to rest: nothing jumps.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles
from realtime.skeleton import JOINTS, Moment
from realtime.tracking.body import AT, Body
from realtime.tracking.smoothing import OneEuro

Side = Literal["l", "r"]
SIDES: tuple[Side, ...] = ("l", "r")
OUTWARDS: Mapping[Side, int] = {"l": 1, "r": -1}
"""The direction in the picture in which a side lies: the driver's left is at the right of an unmirrored picture."""
LIMBS: Mapping[str, tuple[str, str, str, str]] = {
    "arm": ("shoulder", "elbow", "wrist", "hand"),
    "leg": ("hip", "knee", "ankle", "toe"),
}
BONES = tuple(f"{side}_{joint}" for side in SIDES for limb in LIMBS.values() for joint in limb[:3])
"""A bone is named by the joint that it begins at, e.g. `l_elbow` for the left forearm."""

SURE = 0.45  # of a landmark's `seen`: below it is not followed
# Degrees below the horizontal, outwards: the arms of somebody whose arms are not seen.
HANGING_DEG = {"shoulder": 78.0, "elbow": 84.0, "wrist": 86.0}
SHORTEST = {"shoulder": 0.60, "elbow": 0.70, "wrist": 0.75, "hip": 0.35, "knee": 0.45}
"""The least share of its length that a bone pointing at the camera is drawn with."""
HELD_BELOW, FOLLOWED_ABOVE = (
    0.12,
    0.38,
)  # of a bone's length that is seen: one that points at the camera has no direction
STRETCH_S = 0.08  # the time constant of foreshortening
FOUND_S, LOST_S = 0.12, 0.45  # those of trust in a bone that is seen, and no longer seen
HANG_S = 0.6  # and of arms that go to rest
MOST_WRIST = 0.9  # radians between hand and forearm
LEAST_HAND = 0.6  # the share of a hand's length that is always drawn

BACK_DEG, FRONT_DEG = 100.0, 80.0  # turned further than this somebody is seen from behind, until they turn back
LEGS_SEEN, LEGS_S = 0.5, 0.8  # how sure legs must be for the whole figure, and how long before the view changes
MOST_LEAN, MOST_ROLL, MOST_YAW, MOST_PITCH = 0.9, 0.7, 1.1, 0.6
LEAN_OF_SHOULDERS = 0.6  # of the shoulders' tilt, where the hips are not seen
NARROWEST = 0.5  # the trunk of somebody who turns sideways
LEVEL_GAZE = 0.10  # the nose is so far (radians) below the ears' line in somebody who looks straight

# An arm is behind the trunk: metres that wrist and elbow are deeper than the shoulder, or a hand that the network says
# it cannot see while the wrist is not clearly nearer. Depth alone fails: hands behind the back read -0.03 to 0.01 m.
# Hands on hips are half hidden as well: there the upper arm points aside (the sine of its angle).
BEHIND_M, BEFORE_M, NEARER_M, CLEARLY_NEARER_M = 0.12, 0.05, -0.06, -0.16
HAND_HIDDEN, HAND_SEEN = 0.62, 0.72
CLOSE_ARM, AKIMBO = 0.38, 0.46
RAISED = 0.55  # the sine from which an arm counts as raised: it passes beside the head
TOUCHES_FACE = 0.85  # of the head's width: a hand nearer to its middle is at the face

_MIRRORED = np.array(
    [AT[name.replace("left", "right") if "left" in name else name.replace("right", "left")] for name in AT]
)
_SHOULDERS = AT["left_shoulder"], AT["right_shoulder"]
_HIPS = AT["left_hip"], AT["right_hip"]
_LEGS = [AT[f"{side}_{joint}"] for side in ("left", "right") for joint in ("knee", "ankle")]
SLOW = (1.0, 1.5, 1.0)  # One Euro of the trunk's and head's angles

AT_REST_ORDER: Mapping[str, float] = {
    "back": -9.0,
    "l_leg": -2.0,
    "r_leg": -2.0,
    "torso": 0.0,
    "l_arm": 3.0,
    "r_arm": 3.0,
}


@dataclass(frozen=True, slots=True)
class Bone:
    """A bone of the figure: its direction in the picture (radians; None: as drawn), the share of its length
    seen, and whether nobody drives it."""

    angle: float | None
    stretch: float = 1.0
    resting: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Contact:
    """A hand of the driver that touches: `on` the `hip` of its side, the `face`, or the other `hand`.

    `offset` (2,): of the wrist from the hip, or from the middle between both wrists, in torso lengths; of the hand from
    the middle of the face, in head radii. `share`: how sure that is, 0..1.
    """

    on: Literal["hip", "face", "hand"]
    offset: Doubles
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class FigurePose:
    """How a figure stands, independent of its proportions.

    `bones`: by name, see BONES. `lean`: of the trunk, to the right positive. `width`: the trunk's, 1 facing the
    camera. `raised`: by side, how far an arm is up, 0..1. `order`: by group (`torso`, `l_arm`, …), higher is nearer;
    the head is 1. `yaw`, `pitch`, `roll` of the head: to the right, down and clockwise positive. `whole`: legs are
    seen. `place` (2,): where the driver is, in torso lengths of their own from the picture's middle; None at rest.
    `touches_face`: by side, whether the hand is at the driver's face. `contacts`: by side, what a hand touches.
    """

    bones: Mapping[str, Bone]
    lean: float = 0.0
    width: float = 1.0
    raised: Mapping[Side, float] = field(default_factory=lambda: {"l": 0.0, "r": 0.0})
    order: Mapping[str, float] = field(default_factory=lambda: dict(AT_REST_ORDER))
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    whole: bool = True
    place: Doubles | None = None
    touches_face: Mapping[Side, bool] = field(default_factory=lambda: {"l": False, "r": False})
    contacts: Mapping[Side, Contact] = field(default_factory=dict)


def hanging(side: Side, joint: str) -> float:
    """The angle of an arm's bone at rest."""
    return math.pi / 2 - OUTWARDS[side] * math.radians(90 - HANGING_DEG[joint])


def at_rest(*, whole: bool = True) -> FigurePose:
    """A figure that nobody drives: arms hang, legs are as drawn."""
    bones = {bone: Bone(None, resting=True) for bone in BONES}
    for side in SIDES:
        for joint in LIMBS["arm"][:3]:
            bones[f"{side}_{joint}"] = Bone(hanging(side, joint), resting=True)
    return FigurePose(bones, whole=whole)


def pose_of(moment: Moment, size: tuple[int, int]) -> FigurePose:
    """The pose that recorded joints show, in a picture of `size`; what is NaN rests."""
    at = dict(zip(JOINTS, moment.joints.astype(np.float64), strict=True))
    longest = None if moment.longest is None else dict(zip(JOINTS, moment.longest.tolist(), strict=True))
    pose = at_rest(whole=moment.whole)
    bones, order = dict(pose.bones), dict(AT_REST_ORDER)
    for side in SIDES:
        for limb in LIMBS.values():
            for start, end in pairwise(limb):
                way = at[f"{side}_{end}"] - at[f"{side}_{start}"]
                if np.isfinite(way).all() and (start != "ankle" or moment.whole):
                    full = float(np.linalg.norm(way)) if longest is None else longest[f"{side}_{end}"]
                    share = float(np.linalg.norm(way)) / max(full, 1e-6)
                    stretch = float(np.clip(share, SHORTEST.get(start, LEAST_HAND), 1.0))
                    bones[f"{side}_{start}"] = Bone(float(np.arctan2(way[1], way[0])), stretch)
        if np.sin(bones[f"{side}_shoulder"].angle or 0.0) < -RAISED:
            order[f"{side}_arm"] = 0.5
    up, above = at["neck"] - at["hips"], at["head"] - at["neck"]
    lean = float(np.clip(np.arctan2(up[0], -up[1]), -MOST_LEAN, MOST_LEAN)) if np.isfinite(up).all() else 0.0
    roll = float(np.clip(np.arctan2(above[0], -above[1]), -MOST_ROLL, MOST_ROLL)) if np.isfinite(above).all() else 0.0
    root, torso = at["hips" if moment.whole else "neck"], float(np.linalg.norm(up))
    place = (root - np.array(size) / 2) / max(torso, 1.0) if np.isfinite(root).all() and np.isfinite(torso) else None
    raised = {side: float(np.clip(-np.sin(bones[f"{side}_shoulder"].angle or 0.0), 0, 1)) for side in SIDES}
    return FigurePose(bones, lean, 1.0, raised, order, roll=roll, whole=moment.whole, place=place)


class Retarget:
    """Turns bodies into poses, one a frame; keeps what was last seen. For one driver and one thread."""

    def __init__(self) -> None:
        self._angle: dict[str, float] = {}
        self._stretch: dict[str, float] = {}
        self._trust: dict[str, float] = {}
        self._behind: dict[Side, bool] = {"l": False, "r": False}
        self._from_behind = False
        self._whole: bool | None = None
        self._other_view_s = 0.0
        self._trunk = OneEuro(*SLOW)
        self._last: Body | None = None

    def __call__(self, body: Body | None, step_s: float, size: tuple[int, int]) -> FigurePose:
        """The pose now, `step_s` after the last one. `body` None: nobody is seen. `size`: the frame's, in pixels."""
        if body is not None and not (np.isfinite(body.landmarks).all() and np.isfinite(body.world).all()):
            body = None  # a fault of the network: as if nobody were seen
        if body is None and self._last is None:
            return at_rest()
        seen = np.zeros(len(AT)) if body is None else body.seen.astype(np.float64)
        self._last = body or self._last
        assert self._last is not None
        points, world = (a.astype(np.float64) for a in (self._last.landmarks[:, :2], self._last.world))
        points, world, seen = self._facing(points, world, seen)
        reach = 0.02 * np.array(size)
        inside = np.asarray(((points > -reach) & (points < np.array(size) + reach)).all(axis=1))
        driver = _Driver(points, world, seen * inside, seen, inside)
        self._choose_view(float(driver.sure[_LEGS].mean()), step_s)
        whole = bool(self._whole)
        bones = {bone: Bone(None, resting=not whole) for bone in BONES}
        for side in SIDES:
            self._limb(bones, driver, side, "arm", step_s)
            if whole:
                self._limb(bones, driver, side, "leg", step_s)
        lean, width, yaw, pitch, roll = self._trunk(_trunk_and_head(driver)[:, None], step_s)[:, 0].tolist()
        touches = {side: driver.touches_face(side) for side in SIDES}
        order = self._order(driver, bones, touches)
        raised = {side: float(np.clip(-np.sin(bones[f"{side}_shoulder"].angle or 0.0), 0, 1)) for side in SIDES}
        contacts = {side: contact for side in SIDES if (contact := driver.contact(side)) is not None}
        place = driver.place(size, whole, width)
        return FigurePose(bones, lean, width, raised, order, yaw, pitch, roll, whole, place, touches, contacts)

    def _facing(self, points: Doubles, world: Doubles, seen: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Left and right changed for somebody seen from behind: a drawing has one side, and its limbs follow those on
        the same side of the picture."""
        across = world[_SHOULDERS[0]] - world[_SHOULDERS[1]]
        turned_deg = abs(np.degrees(np.arctan2(across[2], across[0])))
        self._from_behind = bool(turned_deg > (FRONT_DEG if self._from_behind else BACK_DEG))
        if not self._from_behind:
            return points, world, seen
        return points[_MIRRORED], world[_MIRRORED] * (1, 1, -1), seen[_MIRRORED]

    def _choose_view(self, legs: float, step_s: float) -> None:
        """Whole or from the waist up, by whether legs are seen; changes only after LEGS_S on end."""
        wanted = legs > LEGS_SEEN
        if self._whole is None:
            self._whole = wanted
        self._other_view_s = self._other_view_s + step_s if wanted != self._whole else 0.0
        if self._other_view_s > LEGS_S:
            self._whole, self._other_view_s = wanted, 0.0

    def _limb(self, bones: dict[str, Bone], driver: "_Driver", side: Side, limb: str, step_s: float) -> None:
        names = LIMBS[limb]
        for start, end in pairwise(names[:3]):
            flat, deep, sure = driver.bone(f"{_long(side)}_{start}", f"{_long(side)}_{end}")
            bones[f"{side}_{start}"] = self._bone(side, start, flat, deep, sure, step_s)
        if limb == "leg":
            return  # feet keep the angle that they are drawn with
        flat, deep, sure = driver.hand(side)
        hand = self._bone(side, "wrist", flat, deep, sure, step_s)
        forearm = bones[f"{side}_elbow"].angle
        assert forearm is not None
        assert hand.angle is not None
        bent = np.clip(_wrapped(hand.angle - forearm), -MOST_WRIST, MOST_WRIST)
        bones[f"{side}_wrist"] = Bone(float(forearm + bent), max(hand.stretch, LEAST_HAND), hand.resting)

    def _bone(self, side: Side, joint: str, flat: Doubles, deep: Doubles, sure: float, step_s: float) -> Bone:
        """One bone: its direction is followed as far as it has one, held where it has none, and eases to rest."""
        name = f"{side}_{joint}"
        share = float(np.hypot(deep[0], deep[1]) / (np.linalg.norm(deep) + 1e-6))
        angle = float(np.arctan2(flat[1], flat[0]))
        is_seen = sure > SURE
        trust = self._trust.get(name, 0.0)
        self._trust[name] = trust = trust + (is_seen - trust) * min(step_s / (FOUND_S if is_seen else LOST_S), 1)
        held = self._angle.get(name, angle if is_seen or joint not in HANGING_DEG else hanging(side, joint))
        if is_seen:
            held = held + _smoothstep(share, HELD_BELOW, FOLLOWED_ABOVE) * _wrapped(angle - held)
        elif joint in HANGING_DEG:
            held = held + (1 - trust) * min(step_s / HANG_S, 1) * _wrapped(hanging(side, joint) - held)
        self._angle[name] = held = _wrapped(held)
        wanted = float(np.clip(share, SHORTEST[joint], 1)) if is_seen else 1.0
        stretch = self._stretch.get(name, wanted)
        self._stretch[name] = stretch = stretch + (wanted - stretch) * min(step_s / STRETCH_S, 1)
        return Bone(held, stretch, not is_seen)

    def _order(self, driver: "_Driver", bones: Mapping[str, Bone], touches: Mapping[Side, bool]) -> dict[str, float]:
        """What is before what: arms behind < legs < trunk < raised arms < head < arms before, the nearer on top."""
        order = dict(AT_REST_ORDER)
        for side in SIDES:
            shoulder, elbow, wrist = (driver.depth(side, joint) for joint in LIMBS["arm"][:3])
            deeper, wrist_deeper = (elbow + 2 * wrist) / 3 - shoulder, wrist - shoulder
            hand = driver.hand_seen(side)
            upper = bones[f"{side}_shoulder"].angle
            assert upper is not None
            aside = OUTWARDS[side] * math.cos(upper)
            if deeper > BEHIND_M or (wrist_deeper > NEARER_M and hand < HAND_HIDDEN and aside < CLOSE_ARM):
                self._behind[side] = True
            elif deeper < BEFORE_M and (hand > HAND_SEEN or wrist_deeper < CLEARLY_NEARER_M or aside > AKIMBO):
                self._behind[side] = False
            if self._behind[side]:
                order[f"{side}_arm"] = -3.0
            elif not touches[side] and np.sin(upper) < -RAISED:
                order[f"{side}_arm"] = 0.5
            else:
                order[f"{side}_arm"] = 3.0 - 0.5 * float(np.tanh(2 * wrist))
            knee_and_ankle = driver.depth(side, "knee") + driver.depth(side, "ankle")
            order[f"{side}_leg"] = -2.0 - 0.2 * float(np.tanh(knee_and_ankle))
        return order


@dataclass(frozen=True, slots=True, eq=False)
class _Driver:
    """What one frame says of the driver. `sure`: of each landmark, 0 where it is beside the picture."""

    points: Doubles
    world: Doubles
    sure: Doubles
    seen: Doubles
    inside: npt.NDArray[np.bool_]

    def point(self, name: str) -> Doubles:
        return np.asarray(self.points[AT[name]])

    def bone(self, start: str, end: str) -> tuple[Doubles, Doubles, float]:
        """The vector in the picture, that in metres, and how sure both ends are."""
        a, b = AT[start], AT[end]
        return self.points[b] - self.points[a], self.world[b] - self.world[a], float(min(self.sure[a], self.sure[b]))

    def hand(self, side: Side) -> tuple[Doubles, Doubles, float]:
        """The same from the wrist to the middle of the knuckles."""
        wrist, index, pinky = (AT[f"{_long(side)}_{name}"] for name in ("wrist", "index", "pinky"))
        flat, deep = ((a[index] + a[pinky]) / 2 - a[wrist] for a in (self.points, self.world))
        return flat, deep, float(min(self.sure[wrist], self.sure[index]))

    def depth(self, side: Side, joint: str) -> float:
        """Metres from the hips' middle, away from the camera."""
        return float(self.world[AT[f"{_long(side)}_{joint}"], 2])

    def hand_seen(self, side: Side) -> float:
        """How sure a hand is; 1 outside the picture, which says nothing of behind."""
        wrist, index = AT[f"{_long(side)}_wrist"], AT[f"{_long(side)}_index"]
        return float(self.seen[index]) if self.inside[wrist] and self.inside[index] else 1.0

    def touches_face(self, side: Side) -> bool:
        """Whether a hand is at the face."""
        left, right, nose = (self.point(name) for name in ("left_ear", "right_ear", "nose"))
        shoulders = np.linalg.norm(self.points[_SHOULDERS[0]] - self.points[_SHOULDERS[1]])
        width = max(float(np.linalg.norm(left - right)), 0.45 * float(shoulders))
        hand = (self.point(f"{_long(side)}_wrist") + self.point(f"{_long(side)}_index")) / 2
        return bool(np.linalg.norm(hand - (left + right + nose) / 3) < TOUCHES_FACE * width)

    def contact(self, side: Side) -> Contact | None:
        """What a hand that is seen touches: the nearest of hip, face and other hand."""
        wrist, index, hip = (AT[f"{_long(side)}_{name}"] for name in ("wrist", "index", "hip"))
        if min(self.sure[wrist], self.sure[index]) <= SURE:
            return None
        torso = self.torso
        left, right, nose = (self.point(name) for name in ("left_ear", "right_ear", "nose"))
        radius = max(float(np.linalg.norm(left - right)) * 0.75, 0.2 * torso)
        hand = (self.points[wrist] + self.points[index]) / 2
        found: list[tuple[float, Contact]] = []
        near = _nearness(float(np.linalg.norm(hand - (left + right + nose) / 3)) / radius, 1.7, 1.15)
        found.append((near, Contact("face", (hand - (left + right + nose) / 3) / radius, near)))
        if self.sure[hip] > SURE:
            away = (self.points[wrist] - self.points[hip]) / torso
            # An arm that hangs is near the hip as well: only a bent one touches it.
            near = _nearness(float(np.linalg.norm(away)), 0.42, 0.25) * self._bent(side)
            found.append((near, Contact("hip", away, near)))
        others = [AT[f"{word}_wrist"] for word in ("left", "right")]
        if self.sure[others].min() > SURE:
            middle = self.points[others].mean(axis=0)
            away = (self.points[wrist] - middle) / torso
            near = _nearness(float(np.linalg.norm(away)), 0.22, 0.12)
            found.append((near, Contact("hand", away, near)))
        share, contact = max(found, key=lambda item: item[0])
        return contact if share > 0.02 else None

    def _bent(self, side: Side) -> float:
        """How far an elbow is bent, 0..1."""
        upper, _, _ = self.bone(f"{_long(side)}_shoulder", f"{_long(side)}_elbow")
        lower, _, _ = self.bone(f"{_long(side)}_elbow", f"{_long(side)}_wrist")
        cosine = float(upper @ lower) / (float(np.linalg.norm(upper) * np.linalg.norm(lower)) + 1e-6)
        return _smoothstep(-cosine, -0.85, -0.4)

    @property
    def torso(self) -> float:
        """From the shoulders' middle to the hips', in pixels; from the shoulders' width where hips are not seen."""
        shoulders, hips = (self.points[list(pair)].mean(axis=0) for pair in (_SHOULDERS, _HIPS))
        across = float(np.linalg.norm(self.points[_SHOULDERS[0]] - self.points[_SHOULDERS[1]]))
        return max(float(np.linalg.norm(shoulders - hips)) if self.hips_seen else 1.4 * across, 40.0)

    @property
    def hips_seen(self) -> bool:
        return bool(self.sure[list(_HIPS)].min() > 0.5)

    def place(self, size: tuple[int, int], whole: bool, width: float) -> Doubles:
        """Where the driver is, from the picture's middle, in their own torso lengths."""
        shoulders, hips = (self.points[list(pair)].mean(axis=0) for pair in (_SHOULDERS, _HIPS))
        torso = self.torso if self.hips_seen else self.torso / max(width, NARROWEST)  # turned, shoulders are narrower
        return np.asarray(((hips if whole else shoulders) - np.array(size) / 2) / torso)


def _trunk_and_head(driver: _Driver) -> Doubles:
    """Lean, width, and the head's yaw, pitch and roll, (5,)."""
    world = driver.world
    line = driver.points[_SHOULDERS[0]] - driver.points[_SHOULDERS[1]]
    across = world[_SHOULDERS[0]] - world[_SHOULDERS[1]]
    facing = float(np.cos(np.arctan2(across[2], across[0])))
    width = float(np.clip(abs(facing), NARROWEST, 1))
    shoulders, hips = (driver.points[list(pair)].mean(axis=0) for pair in (_SHOULDERS, _HIPS))
    up = shoulders - hips
    tilt = float(np.arctan2(line[1], abs(line[0]) + 1e-6)) if abs(facing) > 0.4 else 0.0
    lean = float(np.arctan2(up[0], -up[1])) if driver.hips_seen else LEAN_OF_SHOULDERS * tilt
    look = world[AT["nose"]] - (world[AT["left_ear"]] + world[AT["right_ear"]]) / 2
    yaw = float(np.clip(np.arctan2(look[0], -look[2]), -MOST_YAW, MOST_YAW))
    pitch = float(np.arctan2(look[1], np.hypot(look[0], look[2]))) - LEVEL_GAZE
    eyes = driver.point("left_eye") - driver.point("right_eye")
    # In profile the eyes' line says nothing.
    roll = float(np.clip(np.arctan2(eyes[1], abs(eyes[0]) + 1e-6), -MOST_ROLL, MOST_ROLL)) * float(np.cos(yaw)) ** 2
    return np.array([np.clip(lean, -MOST_LEAN, MOST_LEAN), width, yaw, np.clip(pitch, -MOST_PITCH, MOST_PITCH), roll])


def _long(side: Side) -> str:
    return "left" if side == "l" else "right"


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _nearness(distance: float, far: float, near: float) -> float:
    """1 nearer than `near`, 0 beyond `far`."""
    return 1.0 - _smoothstep(distance, near, far)


def _smoothstep(value: float, low: float, high: float) -> float:
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)
