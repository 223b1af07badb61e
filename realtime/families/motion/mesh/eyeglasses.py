"""Finds an avatar's eyeglasses once and draws them as a stiff layer before the face.

On the face's mesh they would bend with brows and lids, and stay behind when a head turns. They are found as two rims,
mirror images of each other, whose outer edge stands out from skin all round.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.families.motion.mesh.head import EYES, OVAL, PIVOT, Reading
from realtime.families.motion.mesh.interior import filled
from realtime.families.motion.mesh.motion import Moved, still
from realtime.frame import Doubles, Floats, Pixels

BEFORE_LIDS_CM, BEFORE_NOSE_CM = 1.2, 0.3
"""How far before the lids, and before the nose's bridge, lenses are: whichever is more."""
BOW = 0.016  # how much further back, in centimetres over centimetres squared, they are beside the nose
TEMPLE_SLOPE = 1.6  # how fast the arms go back beyond the rims
JUST_IN_CM, JUST_OUT_CM = 0.12, 0.22  # where an edge is looked for: frame within, skin without
CLEAR = 40.0  # A difference of colour (CIE Lab, lightness by half) beyond which an edge cannot be clearer
ENOUGH_BELOW, ENOUGH_ABOVE, ENOUGH_EACH = 0.38, 0.27, 0.32
"""The mean clearness of edges that eyeglasses have: below the eyes, where no brow is; elsewhere; and about either eye.
Of 51 rendered and filmed faces without any none passes."""
SEEN = 10.0  # A colour this far from skin belongs to bridge or arms where these can be
THICKEST_CM, ROOM_CM = 0.6, 0.1
DARK = 0.6  # the share of what is seen through a lens that has another colour than skin when the lens is a dark one
_TURNS = np.linspace(0, 2 * np.pi, 48, endpoint=False)
_BELOW = np.abs(_TURNS - 1.5 * np.pi) < 0.4 * np.pi


@dataclass(frozen=True, slots=True, eq=False)
class Eyeglasses:
    """A layer of the crop: `cover` (S, S) uint8 says where it shows `pixels` (S, S, 3). `dark`: lenses hide the eyes.

    `front`: depth of the bridge in the head's frame, `edge`: where the arms begin, in centimetres. `box`: (x0, y0, x1,
    y1) of the head's frame, all there is.
    """

    pixels: Pixels
    cover: Pixels
    dark: bool
    front: float
    edge: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Rim:
    """The outer edge of a rim in the head's frame, about the middle of an eye: `aside` outwards, `up`, half `width`,
    half `height` below (above: `top` times as much), `power` of the superellipse; its `score` 0..1."""

    aside: float
    up: float
    width: float
    height: float
    top: float
    power: float
    score: float

    def outline(self, eye: Doubles, sign: float, inward_cm: float = 0.0) -> Doubles:
        """(48, 2) centimetres; `sign` is 1 for the eye on the picture's right."""
        wide, tall = self.width - inward_cm, self.height - inward_cm
        c, s = np.cos(_TURNS), np.sin(_TURNS)
        x = wide * np.sign(c) * np.abs(c) ** (2 / self.power)
        y = tall * np.sign(s) * np.abs(s) ** (2 / self.power) * np.where(s > 0, self.top, 1.0)
        return np.column_stack([eye[0] + sign * (self.aside + x), eye[1] + self.up + y])


def find_eyeglasses(crop: Pixels, flat: Doubles, rest: Reading) -> Eyeglasses | None:
    """The eyeglasses in a crop (S, S, 3) of landmarks (478, 2) and their reading; None where there are none."""
    eyes = [rest.shape[eye.corners].mean(axis=0) for eye in EYES]
    lids = max(float(rest.shape[np.r_[eye.upper, eye.lower], 2].mean()) for eye in EYES)
    front = max(lids + BEFORE_LIDS_CM, float(rest.shape[[168, 6], 2].max()) + BEFORE_NOSE_CM)
    odd = _oddness(crop, flat)
    soft = np.asarray(cv2.GaussianBlur(odd, (0, 0), max(0.05 * rest.scale, 0.6)), np.float32)
    rim = _best(soft, eyes, rest, front)
    if rim is None:
        return None
    size = (crop.shape[1], crop.shape[0])
    place = _Place(rest, still(rest), front, rim.aside + rim.width + abs(eyes[0][0]))
    thick = _thickness(soft, rim, eyes, place)
    outer = [filled(size, place.there(rim.outline(eye, _sign(eye)))) for eye in eyes]
    inner = [filled(size, place.there(rim.outline(eye, _sign(eye), thick))) for eye in eyes]
    hollow = np.maximum(*inner)
    dark = bool((odd[hollow > 128] > SEEN).mean() > DARK)
    rims = np.maximum(*outer)
    cover = rims if dark else np.asarray(cv2.subtract(rims, hollow), np.uint8)
    cover = np.maximum(cover, _bridge_and_arms(odd, rims, rim, eyes, place))
    room = 2 * max(round(ROOM_CM * rest.scale), 1) + 1
    cover = cv2.dilate(cover, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (room, room)))
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(0.04 * rest.scale, 0.6)), np.uint8)
    reach = max(abs(eye[0]) for eye in eyes) + rim.aside + rim.width + 1.6
    middle = 0.5 * (eyes[0][1] + eyes[1][1]) + rim.up
    box = (-reach, middle - rim.height - 0.6, reach, middle + rim.height + 0.6)
    return Eyeglasses(crop, cover, dark, front, place.edge, box)


def without_eyeglasses(skin: Pixels, glasses: Eyeglasses) -> Pixels:
    """A crop (S, S, 3) with skin where the eyeglasses were, filled in from around them."""
    mask = cv2.dilate((glasses.cover > 8).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.inpaint(skin, mask, 3, cv2.INPAINT_TELEA), np.uint8)


def draw_eyeglasses(pixels: Pixels, glasses: Eyeglasses, rest: Reading, moved: Moved) -> None:
    """Lay the eyeglasses before a drawn crop (S, S, 3), in place."""
    here, there = (_Place(rest, at, glasses.front, glasses.edge) for at in (still(rest), moved))
    x0, y0, x1, y1 = glasses.box
    corners = there.there(np.array([(x, y) for x in (x0, 0.0, x1) for y in (y0, y1)]))
    size = pixels.shape[0]
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 3, 0, size).astype(int)
    if (high <= low).any():
        return
    x, y = there.back(low, high)
    across, down = here.map(x, y)
    seen = cv2.remap(glasses.pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.remap(glasses.cover, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    weight = share.astype(np.float32)[..., None] * np.float32(1 / 255)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    part[...] = (part + (seen.astype(np.float32) - part) * weight + 0.5).astype(np.uint8)


class _Place:
    """From the eyeglasses' surface to the crop's pixels (y down), and back."""

    def __init__(self, rest: Reading, moved: Moved, front: float, edge: float) -> None:
        turn = (rest.scale * moved.zoom) * moved.turn[:2] * np.array([[1.0], [-1.0]])
        self._flat, self._deep = turn[:, :2], turn[:, 2]
        origin = (rest.place + moved.shift * rest.scale) * (1.0, -1.0)
        self._origin = origin - turn @ PIVOT
        self._front, self.edge = front, edge

    def _depth(self, x: Doubles) -> Doubles:
        return np.asarray(self._front - BOW * x * x - TEMPLE_SLOPE * np.maximum(np.abs(x) - self.edge, 0.0))

    def map(self, x: Doubles, y: Doubles) -> tuple[Floats, Floats]:
        """Places in the head's frame in the crop's pixels."""
        z = self._depth(x)
        a, d, o = self._flat, self._deep, self._origin
        across, down = (a[k, 0] * x + a[k, 1] * y + d[k] * z + o[k] for k in (0, 1))
        return across.astype(np.float32), down.astype(np.float32)

    def there(self, points: Doubles) -> Doubles:
        """(n, 2) of the head's frame in the crop."""
        return np.column_stack(self.map(points[:, 0], points[:, 1])).astype(np.float64)

    def back(self, low: Doubles, high: Doubles) -> tuple[Doubles, Doubles]:
        """Where on the surface the crop's pixels from `low` to `high` are: three steps to a fixed point."""
        across, down = np.meshgrid(np.arange(low[0], high[0], dtype=np.float64), np.arange(low[1], high[1]))
        inverse = np.linalg.inv(self._flat)
        across, down = across - self._origin[0], down - self._origin[1]
        x = np.zeros_like(across)
        y = x
        z = np.full_like(x, self._front)
        for _ in range(4):
            u, v = across - self._deep[0] * z, down - self._deep[1] * z
            x, y = inverse[0, 0] * u + inverse[0, 1] * v, inverse[1, 0] * u + inverse[1, 1] * v
            z = 0.5 * (z + self._depth(x))
        return x, y


def _sign(eye: Doubles) -> float:
    return 1.0 if eye[0] > 0 else -1.0


def _oddness(crop: Pixels, flat: Doubles) -> Floats:
    """(S, S) how far each colour is from the face's skin."""
    lab = np.asarray(cv2.cvtColor(crop.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2Lab), np.float32)
    face = filled((crop.shape[1], crop.shape[0]), flat[OVAL]) > 128
    skin = np.median(lab[face], axis=0) if face.any() else np.zeros(3, np.float32)
    return np.asarray(np.linalg.norm((lab - skin) * np.array([0.6, 1, 1], np.float32), axis=2), np.float32)


def _best(odd: Floats, eyes: list[Doubles], rest: Reading, front: float) -> _Rim | None:
    """The rims whose edges are clearest; None where these are no eyeglasses'."""
    place = _Place(rest, still(rest), front, 99.0)
    best: _Rim | None = None
    steps = [np.arange(-0.2, 0.61, 0.2), np.arange(-1.0, 0.41, 0.2), np.arange(2.1, 4.2, 0.2), np.arange(1.3, 3.6, 0.2)]
    for power in (2.0, 2.6, 4.0):
        for top in (0.85, 1.0):
            found = _search(odd, eyes, place, steps, power, top)
            if best is None or found.score > best.score:
                best = found
    assert best is not None
    finer = [at + np.array([-0.1, -0.05, 0.0, 0.05, 0.1]) for at in (best.aside, best.up, best.width, best.height)]
    best = _search(odd, eyes, place, finer, best.power, best.top)
    clear = np.array([_edges(odd, best, eye, place) for eye in eyes])
    fine = (
        clear[:, _BELOW].mean() > ENOUGH_BELOW
        and clear[:, ~_BELOW].mean() > ENOUGH_ABOVE
        and clear.mean(axis=1).min() > ENOUGH_EACH
    )
    return best if fine else None


def _search(odd: Floats, eyes: list[Doubles], place: _Place, steps: list[Doubles], power: float, top: float) -> _Rim:
    """The best of all combinations of `steps` of aside, up, width and height."""
    aside, up, width, height = (v.ravel() for v in np.meshgrid(*steps, indexing="ij"))
    c, s = np.cos(_TURNS), np.sin(_TURNS)
    unit_x, unit_y = np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)
    unit_y = unit_y * np.where(s > 0, top, 1.0)
    total = np.zeros(len(aside))
    worst = np.full(len(aside), np.inf)
    for eye in eyes:
        sides = []
        for out in (-JUST_IN_CM, JUST_OUT_CM):
            x = eye[0] + _sign(eye) * (aside[:, None] + (width[:, None] + out) * unit_x)
            y = eye[1] + up[:, None] + (height[:, None] + out) * unit_y
            sides.append(_looked_up(odd, *place.map(x, y)))
        clear = np.clip((sides[0] - sides[1]) / CLEAR, 0.0, 1.0).mean(axis=1)
        total += 0.5 * clear
        worst = np.minimum(worst, clear)
    score = 0.5 * (total + worst)
    k = int(score.argmax())
    chosen = [float(v[k]) for v in (aside, up, width, height)]
    return _Rim(chosen[0], chosen[1], chosen[2], chosen[3], top, power, float(score[k]))


def _edges(odd: Floats, rim: _Rim, eye: Doubles, place: _Place) -> Doubles:
    """(48,) 0..1: how clear the edge is all round one rim."""
    sides = [place.there(rim.outline(eye, _sign(eye), inward)) for inward in (JUST_IN_CM, -JUST_OUT_CM)]
    within, without = (_looked_up(odd, points[:, 0], points[:, 1]) for points in sides)
    return np.asarray(np.clip((within - without) / CLEAR, 0.0, 1.0), np.float64)


def _looked_up(odd: Floats, x: Doubles | Floats, y: Doubles | Floats) -> Floats:
    size = odd.shape[0] - 1
    return odd[np.clip(np.rint(y), 0, size).astype(np.intp), np.clip(np.rint(x), 0, size).astype(np.intp)]


def _thickness(odd: Floats, rim: _Rim, eyes: list[Doubles], place: _Place) -> float:
    """How thick the frame is below the eyes, in centimetres."""
    inward = np.arange(0.05, THICKEST_CM + 0.01, 0.05)
    rows = []
    for by in inward:
        points = np.concatenate([place.there(rim.outline(eye, _sign(eye), float(by))[_BELOW]) for eye in eyes])
        rows.append(np.median(_looked_up(odd, points[:, 0], points[:, 1])))
    rows_of = np.array(rows)
    gone = np.flatnonzero(rows_of[2:] < 0.5 * rows_of.max())
    return float(inward[gone[0] + 2]) if len(gone) else THICKEST_CM


def _bridge_and_arms(odd: Floats, rims: Pixels, rim: _Rim, eyes: list[Doubles], place: _Place) -> Pixels:
    """(S, S) 0 or 255: what is not skin between the rims and beside them, as far as it hangs together with them."""
    size = (odd.shape[1], odd.shape[0])
    allowed = np.zeros(odd.shape, np.uint8)
    level = float(np.mean([eye[1] for eye in eyes])) + rim.up
    inner = [eye[0] + _sign(eye) * (rim.aside - rim.width) for eye in eyes]
    outer = [eye[0] + _sign(eye) * (rim.aside + rim.width) for eye in eyes]
    low, high = level - 0.15 * rim.height, level + 0.7 * rim.height
    spans = [
        (min(inner) - 0.4, max(inner) + 0.4),
        (min(outer) - 1.5, min(outer) + 0.4),
        (max(outer) - 0.4, max(outer) + 1.5),
    ]
    for left, right in spans:
        allowed |= filled(size, place.there(np.array([(left, low), (right, low), (right, high), (left, high)])))
    odd_enough = ((odd > SEEN) & (allowed > 128)) | (rims > 128)
    labels = cv2.connectedComponents(odd_enough.astype(np.uint8), connectivity=4)[1]
    mine = np.isin(labels, np.unique(labels[(rims > 128)])) & (labels > 0) & (allowed > 128)
    return np.asarray(mine * np.uint8(255), np.uint8)
