"""What is seen between lids and lips: eyeballs behind lids, teeth that hang from the skull and stand in the jaw."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from realtime.families.face_swap.driver_motion import Pose
from realtime.families.face_swap.face_texture import Key
from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LIPS,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    MOUTH_CORNERS,
    UNDER_NOSE,
    EyePoints,
)
from realtime.families.motion.mesh.interior import Eyeball, eyeball, filled, lay, mouth, opening_box
from realtime.frame import Doubles, Floats, Pixels

SHADE, SHADE_WIDTHS = 0.4, 0.05  # how dark an eyeball is at its lids, and how far that reaches, in eye widths
SHOWS_TEETH = ("smile", "wide", "open", "rest")
WITH_LIP = 0.7  # how much of a lower lip's way upper teeth go along: none would be right, if landmarks were exact
INSET = 0.03  # of the mouth's width, so far within its lips a picture shows teeth and no lip
PARTED_CORNERS = 0.4  # of the widest gap: where lips are less apart, less shows of what is between
PARTED_CM = (0.04, 0.16)  # closed lips that went so far apart begin to show what is behind them, and show all of it
LIT_CM, DARKEST, LIT = 0.35, 0.3, 0.85  # of the skin's light, what falls behind a narrow gap, and behind one so wide
_NARROWER = np.clip(2 * np.arange(256) - 255, 0, 255).astype(np.uint8)


class Eyeballs:
    """The eyes of the resting picture, drawn behind lids that may be anywhere."""

    def __init__(self, rest: Key) -> None:
        flat = rest.picture.points[:, :2].astype(np.float64)
        self._rest, self._flat = rest, flat
        self._balls = [eyeball(rest.picture.pixels, flat, eye) for eye in EYES]

    def draw(self, pixels: Pixels, points: Doubles, pose: Pose, scale: float) -> None:
        """Lay both into a crop (S, S, 3), in place; `points` (478, 3) in it, `scale` crop pixels a frame pixel."""
        for eye, ball in zip(EYES, self._balls, strict=True):
            self._one(pixels, points[:, :2], pose, scale, eye, ball)

    def _one(self, pixels: Pixels, flat: Doubles, pose: Pose, scale: float, eye: EyePoints, ball: Eyeball) -> None:
        outline = flat[eye.ring]
        box = opening_box(outline, pixels.shape[0])
        if box is None:
            return
        rest, now = self._rest.reading, pose.reading
        wide = _width(pose.shape, eye) / max(_width(rest.shape, eye), 1e-6)
        turn = (now.scale * scale / rest.scale * wide) * (now.turn @ rest.turn.T)[:2, :2]
        turn = turn * np.array([[1.0, -1.0], [-1.0, 1.0]])
        here = self._flat[eye.corners].mean(axis=0)
        matrix = np.column_stack([turn, flat[eye.corners].mean(axis=0) - turn @ here])
        before = pixels[box[1] : box[3], box[0] : box[2]].copy()
        lay(pixels, ball.white, matrix, outline, box)
        looking = matrix.copy()
        looking[:, 2] += turn @ (pose.gaze * (1.0, -1.0) * ball.width)
        lay(pixels, ball.iris, looking, outline, box)
        _shade(pixels, before, outline, box, float(np.linalg.norm(outline[0] - outline[8])))


def _shade(pixels: Pixels, before: Pixels, outline: Doubles, box: tuple[int, int, int, int], width: float) -> None:
    """Darken the eyeball along its upper lid, in place, and keep the lids."""
    x0, y0, x1, y1 = box
    window = filled((x1 - x0, y1 - y0), outline - (x0, y0))
    down = max(round(SHADE_WIDTHS * width), 1)
    lower = np.zeros_like(window)
    lower[down:] = window[:-down] if down < len(window) else 0
    light = cv2.GaussianBlur(np.minimum(window, lower), (0, 0), max(SHADE_WIDTHS * width, 0.5)).astype(np.float32)
    inside = window.astype(np.float32) * np.float32(1 / 255)
    factor = 1.0 - inside * np.float32(SHADE) * (1.0 - light * np.float32(1 / 255))
    part = pixels[y0:y1, x0:x1]
    part[...] = (part * factor[..., None] + 0.5).astype(np.uint8)


def _width(shape: Doubles, eye: EyePoints) -> float:
    return float(np.linalg.norm(shape[eye.corners[1]] - shape[eye.corners[0]]))


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """A mouth's own axes in a picture: places are measured along the line of the eyes and down from `origin`."""

    origin: Doubles
    along: Doubles
    down: Doubles

    def of(self, flat: Doubles) -> Doubles:
        """(n, 2) along and down."""
        return np.asarray((flat - self.origin) @ np.stack([self.along, self.down], axis=1))


def _axes(flat: Doubles) -> _Axes:
    along = flat[263] - flat[33]
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    return _Axes(flat[UNDER_NOSE], along, np.array([-along[1], along[0]]))


@dataclass(frozen=True, slots=True, eq=False)
class _OpenMouth:
    """An open mouth's picture: its places along and down, how far open it is (of its width)."""

    key: Key
    axes: _Axes
    corners: Doubles
    top: float
    bottom: float
    gap: float


class MouthInterior:
    """Draws what is between the lips from the pictures with an open mouth; from none of them, painted teeth."""

    def __init__(self, rest: Key, keys: Sequence[Key]) -> None:
        self._rest = rest
        front = {key.picture.expression: key for key in keys if key.picture.view == "front" and key.open}
        if "smile" in front:  # its teeth are upper ones; those of an "ee" are both, which no lip between them parts
            front.pop("wide", None)
        shown = (front[name] for name in SHOWS_TEETH if name in front)
        self._open = sorted((_open_mouth(key) for key in shown), key=lambda m: m.gap)
        self._painted = None if self._open else mouth(rest.picture.pixels, rest.points[:478, :2], rest.reading.scale)

    def draw(self, pixels: Pixels, points: Doubles, pose: Pose, scale: float) -> None:
        """Lay it into a crop (S, S, 3), in place."""
        flat = points[:, :2]
        outline = flat[INNER_LIPS]
        box = opening_box(outline, pixels.shape[0])
        wide = float(np.linalg.norm(flat[MOUTH_CORNERS[1]] - flat[MOUTH_CORNERS[0]]))
        gap = float((_axes(flat).of(flat[[14]]) - _axes(flat).of(flat[[13]]))[0, 1]) / max(wide, 1e-6)
        strength, light = _seen(pose.shape, self._rest)
        if box is None or not strength > 0:
            return
        rest, now = self._rest.reading, pose.reading
        if self._painted is not None:
            turn = (now.scale * scale / rest.scale) * (now.turn @ rest.turn.T)[:2, :2]
            turn = turn * np.array([[1.0, -1.0], [-1.0, 1.0]])
            matrix = np.column_stack([turn, flat[UNDER_NOSE] - turn @ self._rest.points[UNDER_NOSE, :2]])
            lay(pixels, self._painted, matrix, outline, box, strength)
            return
        self._lay_pictures(pixels, flat, pose, scale, box, gap, strength, light)

    def _lay_pictures(
        self,
        pixels: Pixels,
        flat: Doubles,
        pose: Pose,
        scale: float,
        box: tuple[int, int, int, int],
        gap: float,
        strength: float,
        light: float,
    ) -> None:
        x0, y0, x1, y1 = box
        axes = _axes(flat)
        x, y = np.meshgrid(np.arange(x0, x1) - axes.origin[0], np.arange(y0, y1) - axes.origin[1])
        u, v = x * axes.along[0] + y * axes.along[1], x * axes.down[0] + y * axes.down[1]
        corners = axes.of(flat[MOUTH_CORNERS])
        upper, lower = (
            axes.of(flat[np.r_[MOUTH_CORNERS[0], row, MOUTH_CORNERS[1]]]) for row in (INNER_UPPER_LIP, INNER_LOWER_LIP)
        )
        top, bottom = (np.interp(u.ravel(), row[:, 0], row[:, 1]).reshape(u.shape) for row in (upper, lower))
        share = np.clip((v - top) / np.maximum(bottom - top, 1e-3), 0, 1)
        share = share * share * (3 - 2 * share)
        seen: Floats | None = None
        for mouth_, weight in self._chosen(gap):
            part = self._look(mouth_, pose, scale, axes.of(flat[[13, 14]]), corners, u, v, share)
            part = part * np.float32(weight * light)
            seen = part if seen is None else seen + part
        assert seen is not None
        window = _NARROWER[filled((x1 - x0, y1 - y0), flat[INNER_LIPS] - (x0, y0))]
        # Lips part from their middle on: at the corners they hang together.
        apart = np.clip((bottom - top) / max(PARTED_CORNERS * float((bottom - top).max()), 1e-3), 0, 1)
        cover = (window * apart * (strength / 255)).astype(np.float32)[..., None]
        under = pixels[y0:y1, x0:x1]
        under[...] = (under + (seen - under) * cover + 0.5).astype(np.uint8)

    def _chosen(self, gap: float) -> list[tuple[_OpenMouth, float]]:
        """The pictures whose mouths are as far open, one or two, and their weights."""
        mouths = self._open
        if gap <= mouths[0].gap:
            return [(mouths[0], 1.0)]
        for one, other in pairwise(mouths):
            if gap < other.gap:
                # Nearly all the way from one to the other: a quicker change is seen as a flash.
                share = np.clip(((gap - one.gap) / max(other.gap - one.gap, 1e-6) - 0.2) / 0.6, 0, 1)
                return [(m, float(w)) for m, w in ((one, 1 - share), (other, share)) if w > 0]
        return [(mouths[-1], 1.0)]

    def _look(
        self,
        mouth_: _OpenMouth,
        pose: Pose,
        scale: float,
        lips: Doubles,
        corners: Doubles,
        u: Doubles,
        v: Doubles,
        share: Doubles,
    ) -> Floats:
        """What a picture shows at each place (u, v) of the drawn mouth, (h, w, 3) float32."""
        key, now = mouth_.key, pose.reading
        size = now.scale * scale / key.reading.scale
        tall = size * float(np.clip(now.turn[1, 1] / max(key.reading.turn[1, 1], 0.3), 0.6, 1.2))
        across = size * float(np.clip(now.turn[0, 0] / max(key.reading.turn[0, 0], 0.3), 0.5, 1.2))
        # Teeth are as wide as they are; only a mouth wider than the picture's takes more.
        wide = float(corners[1, 0] - corners[0, 0])
        own = float(mouth_.corners[1, 0] - mouth_.corners[0, 0])
        across = max(across, wide / max(own, 1e-6))
        aside = (u - corners[:, 0].mean()) / across + mouth_.corners[:, 0].mean()
        # From the skull down; a lip that is higher than the picture's takes the teeth along, a lower one nearly so.
        up = float(lips[0, 1]) / tall - mouth_.top
        up *= 1.0 if up < 0 else WITH_LIP
        inset = INSET * own
        from_skull = v / tall - up + inset
        from_jaw = (v - lips[1, 1]) / tall + mouth_.bottom - inset
        down = from_skull + share * (from_jaw - from_skull)
        at = mouth_.axes
        x = at.origin[0] + aside * at.along[0] + down * at.down[0]
        y = at.origin[1] + aside * at.along[1] + down * at.down[1]
        seen = cv2.remap(
            key.picture.pixels,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(seen, np.float32)


def _seen(shape: Doubles, rest: Key) -> tuple[float, float]:
    """How far what is between the lips shows, and how much light falls on it, both 0..1."""
    gaps = shape[INNER_UPPER_LIP, 1] - shape[INNER_LOWER_LIP, 1]
    if not rest.open:  # landmarks keep lips that meet a little apart
        own = rest.reading.shape
        gaps = gaps - (own[INNER_UPPER_LIP, 1] - own[INNER_LOWER_LIP, 1])
    gap = float(gaps.max())
    shows = np.clip((gap - PARTED_CM[0]) / (PARTED_CM[1] - PARTED_CM[0]), 0, 1)
    return float(shows), float(np.clip(LIT * gap / LIT_CM, DARKEST, LIT))


def _open_mouth(key: Key) -> _OpenMouth:
    flat = key.points[:478, :2]
    axes = _axes(flat)
    corners, lips = axes.of(flat[MOUTH_CORNERS]), axes.of(flat[[13, 14]])
    gap = float((lips[1, 1] - lips[0, 1]) / max(corners[1, 0] - corners[0, 0], 1e-6))
    return _OpenMouth(key, axes, corners, float(lips[0, 1]), float(lips[1, 1]), gap)
