"""A drawn head: layers that slide over each other as it turns, with eyes, brows and a mouth of their own."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.families.figure.expression import Expression, choose_mouth
from realtime.families.figure.mesh import Picture, turn
from realtime.families.figure.painter import lay_moved
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
NECK_YAW, NECK_PITCH = 0.085, 0.097  # of the radius: how far the whole head goes along with a turn
RIM_SHARE = 0.042  # of the radius: the outline of an eye, which the iris stays within


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    spec: LayerSpec
    picture: Picture
    at: Doubles
    centre: Doubles


class DrawnHead:
    """The head of a figure in one size. `load` gives the picture of a layer, scaled. Keeps its mouth and lids."""

    def __init__(self, spec: HeadSpec, scale: float, load: Callable[[str], Picture]) -> None:
        self.spec, self.scale = spec, scale
        self.radius = spec.radius * scale
        self.centre = np.array(spec.centre) * scale
        self._sheet = np.zeros((round(spec.size[1] * scale), round(spec.size[0] * scale), 4), np.uint8)
        self._layers = [
            _Layer(
                layer,
                load(layer.image),
                np.array(layer.at) * scale,
                np.array(layer.centre if layer.centre is not None else spec.centre) * scale,
            )
            for layer in spec.layers
        ]
        self._mouths = {layer.mouth.lower() for layer in spec.layers if layer.mouth is not None}
        self._closing = {layer.closed for layer in spec.layers}  # eyes that have closed lids to show
        self.mouth: str | None = None
        self._mouth_shown = MOUTH_STAYS
        self._shut = {"eyeBlinkLeft": False, "eyeBlinkRight": False}

    def compose(self, face: Expression, yaw: float, pitch: float) -> Picture:
        """The head upright on its sheet; the same array every time. Angles: to the right and down positive."""
        self._sheet[:] = 0
        best = choose_mouth(face, self._mouths, self.mouth)
        self._mouth_shown += 1
        if best != self.mouth and self._mouth_shown > MOUTH_STAYS:
            self.mouth, self._mouth_shown = best, 1
        blink = dict(zip(("eyeBlinkLeft", "eyeBlinkRight"), face.blink, strict=True))
        wide = dict(zip(("eyeBlinkLeft", "eyeBlinkRight"), face.wide_eyes, strict=True))
        for eye, shut in blink.items():
            self._shut[eye] = eye in self._closing and shut > (SHUT_AGAIN if self._shut[eye] else SHUT_FROM)
        whites: dict[str, Picture] = {}
        clipped = {layer.spec.clip for layer in self._layers}
        for layer in self._layers:
            spec = layer.spec
            if (spec.open is not None and self._shut[spec.open]) or (
                spec.closed is not None and not self._shut[spec.closed]
            ):
                continue
            if spec.mouth is not None and spec.mouth.lower() != self.mouth:
                continue
            across, down, angle = self._shape(layer, face, yaw)
            if spec.open is not None and spec.mouth is None:
                down = 1 - 0.85 * blink[spec.open] + 0.12 * wide[spec.open]
            move = SLIDE * self.radius * spec.depth * np.array([np.sin(yaw), np.sin(pitch)])
            if spec.gaze:
                move = move + spec.gaze * self.scale * np.array(face.gaze)
            if spec.brow is not None:
                move = move + (0.0, -BROW_RISE * self.radius * face.brows[spec.brow == "Right"])
            matrix = np.diag([across, down]) @ turn(angle)
            shift = layer.centre + move - matrix @ (layer.centre - layer.at)
            placed = np.column_stack([matrix, shift])
            lay_moved(self._sheet, layer.picture, placed, whites.get(spec.clip) if spec.clip else None)
            if spec.name in clipped:
                whites[spec.name] = self._inside(layer.picture, placed)
        return self._sheet

    def _shape(self, layer: _Layer, face: Expression, yaw: float) -> tuple[float, float, float]:
        """A layer's width, height and turn now."""
        spec, across, down, angle = layer.spec, 1.0, 1.0, 0.0
        if spec.depth > 0:
            # What is on the front of the ball narrows with the turn, most at the far side.
            off = float((layer.centre - self.centre)[0]) / self.radius
            across -= NARROWS * abs(np.sin(yaw)) + (FORESHORTENS * np.sin(yaw) * off if spec.depth > NEAR else 0.0)
        if spec.brow is not None:
            angle = (-1 if spec.brow == "Right" else 1) * -BROW_TURN * face.frown
        if spec.mouth is not None:
            smile = max(face.smile, 0.0)
            if spec.mouth.lower() == "open":  # one drawing for every opening
                across *= (1 + 0.35 * smile + 0.25 * face.wide) * (1 - 0.5 * face.round)
                down = 0.25 + face.jaw
            elif spec.mouth.lower() in ("closed", "smile"):
                across *= (0.85 + 0.3 * smile) * (1 - 0.5 * face.round)
        return across, down, angle

    def _inside(self, picture: Picture, placed: Doubles) -> Picture:
        """An eye without its outline, on the sheet: the iris is cut by it."""
        height, width = self._sheet.shape[:2]
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
