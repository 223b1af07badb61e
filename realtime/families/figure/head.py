"""A drawn head: layers that slide over each other as it turns, with eyes, brows and a mouth of their own.

Where an artist drew it for other turns too, one drawing passes into the next: its features glide to where they are in
the other one while that comes out of it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from realtime.families.figure.expression import MOUTHS, Expression, choose_mouth
from realtime.families.figure.mesh import Picture, turn
from realtime.families.figure.painter import lay_moved
from realtime.families.figure.spring import Spring
from realtime.frame import Doubles
from realtime.models.figure import HeadSpec, LayerSpec

SLIDE = 0.62  # of the radius: how far a layer of depth 1 moves with a turn by 90°
NARROWS, FORESHORTENS = 0.10, 0.22  # of the width, with the turn: all in front, and what is off the middle
NEAR = 0.3  # the depth from which a layer lies on the front of the head
SHUT_FROM = 0.72  # of a blink: from here on the closed eye is drawn
SHUT_AGAIN = 0.60  # and until it opens to here
MOUTH_STAYS = 2  # pictures at least: a mouth that is seen for one only is flicker
BROW_RISE = 0.16  # of the radius
BROW_TURN = 0.42
OPENS, OPENS_WITHIN = 0.9, (0.75, 1.3)  # how much a drawn mouth is stretched between its own opening and the next
NECK_YAW, NECK_PITCH = 0.085, 0.097  # of the radius: how far the whole head goes along with a turn
RIM_SHARE = 0.042  # of the radius: the outline of an eye, which the iris stays within

FRONT = "front"
# The turn (yaw to the right, pitch down; degrees) that a view is drawn at. Left is the figure's own.
DRAWN_AT = {
    FRONT: (0.0, 0.0), "left_quarter": (36.0, 0.0), "right_quarter": (-36.0, 0.0), "left_profile": (74.0, 0.0),
    "right_profile": (-74.0, 0.0), "upward": (0.0, -26.0), "downward": (0.0, 26.0),
}  # fmt: skip
# And the turn that it is chosen for: few people in a call turn further than 60°.
CHOSEN_AT = DRAWN_AT | {"left_profile": (66.0, 0.0), "right_profile": (-66.0, 0.0)}
VIEW_STAYS_DEG = 8.0  # another view must be so much nearer
FADE_S = 0.32

SPRING_HZ, SPRING_DAMPING = 2.4, 0.22
SWINGS = 1.3  # radians for each radian that the head is ahead
BY_YAW, BY_PITCH, BY_PLACE = 0.7, 0.5, 0.35  # how much of a turn, and of a torso length aside, moves what hangs loose
MOST_SWING = 0.4
_SIDE = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    spec: LayerSpec
    picture: Picture
    at: Doubles
    centre: Doubles

    @property
    def middle(self) -> Doubles:
        """Of its picture, on the sheet."""
        return self.at + self.size / 2

    @property
    def size(self) -> Doubles:
        """Width and height of its picture."""
        return np.array(self.picture.shape[1::-1], np.float64)


class _View:
    """The layers of one drawing of the head, and the sheet that they are composed on."""

    def __init__(self, name: str, layers: list[_Layer], sheet: Picture) -> None:
        self.name, self.layers, self.sheet = name, layers, sheet
        self.by_name = {layer.spec.name: layer for layer in layers}
        self.mouths = {layer.spec.mouth.lower() for layer in layers if layer.spec.mouth is not None}
        self.closing = {layer.spec.closed for layer in layers}  # eyes that have closed lids to show
        self.clips = {layer.spec.clip for layer in layers}
        yaw, pitch = np.radians(DRAWN_AT[name])
        self.turn = float(np.sin(yaw)), float(np.sin(pitch))


@dataclass(slots=True, eq=False)
class HeadState:
    """What a head remembers from frame to frame, whatever its size."""

    mouth: str | None = None
    mouth_shown: int = MOUTH_STAYS
    shut: dict[str, bool] = field(default_factory=lambda: {"eyeBlinkLeft": False, "eyeBlinkRight": False})
    view: str | None = None
    before: str | None = None  # the view that is passing into `view`
    passed_s: float = 0.0
    springs: tuple[Spring, ...] = field(default_factory=lambda: tuple(Spring(SPRING_HZ, SPRING_DAMPING) for _ in "xyr"))
    swing: tuple[float, float, float] = (0.0, 0.0, 0.0)  # across, down and around: how far what hangs loose is away


class DrawnHead:
    """The head of a figure in one size. `load` gives the picture of a layer, scaled."""

    def __init__(self, spec: HeadSpec, scale: float, load: Callable[[str], Picture], state: HeadState) -> None:
        self.spec, self.scale, self.state = spec, scale, state
        self.radius = spec.radius * scale
        self.centre = np.array(spec.centre) * scale
        self._size = round(spec.size[1] * scale), round(spec.size[0] * scale), 4
        self._views: dict[str, _View] = {}
        for name, layers in ((FRONT, spec.layers), *((view.turn, view.layers) for view in spec.views)):
            loaded = [
                _Layer(
                    layer,
                    load(layer.image),
                    np.array(layer.at) * scale,
                    np.array(layer.centre if layer.centre is not None else spec.centre) * scale,
                )
                for layer in layers
            ]
            self._views[name] = _View(name, loaded, np.zeros(self._size, np.uint8))
        for name in list(self._views):
            other = _other_side(name)
            if other not in self._views:
                mirrored = [self._mirrored(layer) for layer in self._views[name].layers]
                self._views[other] = _View(other, mirrored, np.zeros(self._size, np.uint8))

    def _mirrored(self, layer: _Layer) -> _Layer:
        spec, (x, y) = layer.spec, layer.at
        name = spec.name if spec.mouth is not None else _other_side(spec.name)  # L and R are shapes of a mouth too
        changed = {"name": name, "clip": _other_side(spec.clip) if spec.clip else None}
        swap = {"eyeBlinkLeft": "eyeBlinkRight", "eyeBlinkRight": "eyeBlinkLeft", "Left": "Right", "Right": "Left"}
        changed |= {key: swap.get(getattr(spec, key)) for key in ("open", "closed", "brow")}
        twice = 2 * float(self.centre[0])
        return _Layer(
            spec.model_copy(update=changed),
            np.ascontiguousarray(layer.picture[:, ::-1]),
            np.array([twice - x - layer.picture.shape[1], y]),
            np.array([twice - layer.centre[0], layer.centre[1]]),
        )

    def compose(
        self, face: Expression, turned: tuple[float, float, float], step_s: float, aside: float = 0.0
    ) -> Picture:
        """The head upright on its sheet; the same array every time.

        `turned`: yaw, pitch and roll, to the right, down and clockwise positive. `aside`: where the driver is, in torso
        lengths from the picture's middle.
        """
        state = self.state
        self._choose_view(*turned[:2], step_s)
        assert state.view is not None
        now = self._views[state.view]
        best = choose_mouth(face, now.mouths, state.mouth)
        state.mouth_shown += 1
        if best != state.mouth and state.mouth_shown > MOUTH_STAYS:
            state.mouth, state.mouth_shown = best, 1
        for eye, shut in zip(("eyeBlinkLeft", "eyeBlinkRight"), face.blink, strict=True):
            state.shut[eye] = eye in now.closing and shut > (SHUT_AGAIN if state.shut[eye] else SHUT_FROM)
        self._swing(turned, step_s, aside)
        before = self._views.get(state.before or "")
        if before is None:
            return self._compose(now, face, turned)
        share = state.passed_s / FADE_S
        share = share * share * (3 - 2 * share)
        drawn = self._compose(before, face, turned, now, share), self._compose(now, face, turned, before, 1 - share)
        return np.asarray(cv2.addWeighted(drawn[0], 1 - share, drawn[1], share, 0.0), np.uint8)

    def _choose_view(self, yaw: float, pitch: float, step_s: float) -> None:
        """The view drawn for the nearest turn; each passes into the next before another one is chosen."""
        state = self.state

        def away(name: str) -> float:
            at = np.array(CHOSEN_AT[name]) - np.degrees((yaw, pitch))
            return float(np.linalg.norm(at)) - (VIEW_STAYS_DEG if name == state.view else 0.0)

        best = min(self._views, key=away)
        if state.before is not None:
            state.passed_s += step_s
            if best == state.before:  # back again
                state.view, state.before, state.passed_s = best, state.view, FADE_S - min(state.passed_s, FADE_S)
            elif state.passed_s >= FADE_S:
                state.before = None
        elif best != state.view:
            state.view, state.before, state.passed_s = best, state.view, step_s
        if state.before is not None and state.passed_s >= FADE_S:
            state.before = None

    def _swing(self, turned: tuple[float, float, float], step_s: float, aside: float) -> None:
        """Move what hangs loose on."""
        yaw, pitch, roll = turned
        aims = BY_YAW * yaw + BY_PLACE * aside, BY_PITCH * pitch, roll
        behind = [spring(aim, step_s) - aim for spring, aim in zip(self.state.springs, aims, strict=True)]
        across, down, around = (float(np.clip(SWINGS * v, -MOST_SWING, MOST_SWING)) for v in behind)
        self.state.swing = across, down, around

    def _compose(
        self,
        view: _View,
        face: Expression,
        turned: tuple[float, float, float],
        other: _View | None = None,
        share: float = 0.0,
    ) -> Picture:
        """One view on its sheet, its features `share` of the way to where, and how large, they are in the other one."""
        sheet, state = view.sheet, self.state
        sheet[:] = 0
        blink = dict(zip(("eyeBlinkLeft", "eyeBlinkRight"), face.blink, strict=True))
        wide = dict(zip(("eyeBlinkLeft", "eyeBlinkRight"), face.wide_eyes, strict=True))
        mouth = state.mouth if state.mouth in view.mouths else choose_mouth(face, view.mouths, state.mouth)
        whites: dict[str, Picture] = {}
        for layer in view.layers:
            spec = layer.spec
            shut = state.shut[spec.open or spec.closed or "eyeBlinkLeft"]
            if (spec.open is not None and shut) or (spec.closed is not None and not shut):
                continue
            if spec.mouth is not None and spec.mouth.lower() != mouth:
                continue
            across, down, angle = self._shape(layer, face, turned[0], view)
            if spec.open is not None and spec.mouth is None:
                down = 1 - 0.85 * blink[spec.open] + 0.12 * wide[spec.open]
            move = self._slid(layer, turned, view)
            if other is not None and (there := other.by_name.get(spec.name)) is not None:
                goal = there.middle + self._slid(there, turned, other)
                fit = 1 + share * (there.size / layer.size - 1)
                across, down = across * fit[0], down * fit[1]
                move = move + share * (goal - layer.middle - move) - (fit - 1) * (layer.middle - layer.centre)
            if spec.gaze:
                move = move + spec.gaze * self.scale * np.array(face.gaze)
            if spec.brow is not None:
                move = move + (0.0, -BROW_RISE * self.radius * face.brows[spec.brow == "Right"])
            matrix = np.diag([across, down]) @ turn(angle)
            shift = layer.centre + move - matrix @ (layer.centre - layer.at)
            placed = np.column_stack([matrix, shift])
            lay_moved(sheet, layer.picture, placed, whites.get(spec.clip) if spec.clip else None)
            if spec.name in view.clips:
                whites[spec.name] = self._inside(layer.picture, placed)
        return sheet

    def _slid(self, layer: _Layer, turned: tuple[float, float, float], view: _View) -> Doubles:
        """How far a layer is moved by what the head is turned beyond the turn that it is drawn at."""
        return SLIDE * self.radius * layer.spec.depth * (np.sin(turned[:2]) - view.turn)

    def _shape(self, layer: _Layer, face: Expression, yaw: float, view: _View) -> tuple[float, float, float]:
        """A layer's width, height and turn now."""
        spec, across, down, angle = layer.spec, 1.0, 1.0, 0.0
        off = (layer.centre - self.centre) / self.radius
        if spec.depth > 0:
            # What is on the front of the ball narrows with the turn, most at the far side.
            beyond = float(np.sin(yaw)) - view.turn[0]
            across -= NARROWS * (abs(np.sin(yaw)) - abs(view.turn[0]))
            across -= FORESHORTENS * beyond * float(off[0]) if spec.depth > NEAR else 0.0
        if spec.spring:
            swung, flapped, rolled = self.state.swing
            upright = 1.0 if layer.middle[1] < layer.centre[1] else -1.0
            angle = spec.spring * (upright * swung + rolled + float(np.sign(off[0])) * upright * flapped)
        if spec.brow is not None:
            angle += (-1 if spec.brow == "Right" else 1) * -BROW_TURN * face.frown
        if spec.mouth is not None:
            smile = max(face.smile, 0.0)
            if spec.mouth.lower() == "open":  # one drawing for every opening
                across *= (1 + 0.35 * smile + 0.25 * face.wide) * (1 - 0.5 * face.round)
                down = 0.25 + face.jaw
            elif spec.mouth.lower() in ("closed", "smile"):
                across *= (0.85 + 0.3 * smile) * (1 - 0.5 * face.round)
            elif (drawn_open := MOUTHS.get(spec.mouth.lower(), (0.0,))[0]) > 0:
                down = float(np.clip(1 + OPENS * (face.jaw - drawn_open), *OPENS_WITHIN))
        return across, down, angle

    def _inside(self, picture: Picture, placed: Doubles) -> Picture:
        """An eye without its outline, on the sheet: the iris is cut by it."""
        height, width = self._size[:2]
        moved = cv2.warpAffine(picture, placed, (width, height), flags=cv2.INTER_LINEAR)
        side = 2 * max(round(RIM_SHARE * self.radius), 1) + 1
        return np.asarray(cv2.erode(moved, np.ones((side, side), np.uint8)), np.uint8)

    def place(self, neck: Doubles, yaw: float, pitch: float, roll: float) -> Doubles:
        """(2, 3): from the sheet's pixels to the frame's, where the neck joint is at `neck`."""
        rotation = turn(roll)
        up = (np.array(self.spec.place) - self.spec.pivot) * self.scale
        follows = self.radius * np.array([NECK_YAW * yaw, NECK_PITCH * pitch])
        centre = neck + rotation @ (up + follows)
        return np.column_stack([rotation, centre - rotation @ self.centre])


def _other_side(name: str) -> str:
    """A name with left and right exchanged."""
    return _SIDE.sub(lambda side: _OTHER[side[0]], name)
