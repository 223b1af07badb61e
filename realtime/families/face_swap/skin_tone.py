"""Tones of skin: the driver's by the white of the eyes, the identity's by its pictures, one moved towards the other.

A tone is a reflectance, (3,) linear BGR. The identity's full tone on the driver's own neck looks like a mask, so that
by default no more than `KEPT` of the difference stays.
"""

from typing import Literal

import cv2
import numpy as np

from realtime.families.face_swap.skin_reading import CAMERA, GAMMA, LUMA, PICTURE, FaceSkin, SkinReading, read_skin
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, OUTER_LIPS
from realtime.frame import Doubles, Floats, Ints, Pixels

KEPT, KEPT_TINT = 0.35, 0.06
"""The difference of brightness, and of any colour relative to it, between face and neck that `auto` leaves: natural
logs. A darker or paler face may be one's own, a redder one is painted."""
_CERTAIN = 0.8  # a gap of this is most likely one; much smaller ones are errors of the guess
_LAB = {
    "pale": (70, 11, 16),
    "light": (65, 12, 18),
    "medium": (59, 13, 20),
    "tan": (52, 14, 20),
    "brown": (42, 14, 18),
    "dark": (31, 11, 11),
}
"""CIE L*a*b*, one in each class of the individual typology angle (Chardon and others, Skin colour typology and
suntanning pathways, 1991)."""
_ENDS = (80, 8, 13), (24, 8, 7)  # paler and darker than nearly everybody


def _linear(lab: tuple[int, int, int]) -> Floats:
    """(3,) linear BGR of a CIE L*a*b* colour."""
    return np.asarray(cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_LAB2LBGR)[0, 0], np.float32)


TONES = {name: _linear(lab) for name, lab in _LAB.items()}
_PLACES = np.log([_linear(lab) for lab in (_ENDS[0], *_LAB.values(), _ENDS[1])])
_AT = np.linspace(0, len(_PLACES) - 1, 36)
_LINE: Doubles = np.stack([np.interp(_AT, np.arange(len(_PLACES)), _PLACES[:, k]) for k in range(3)], axis=1)
"""(36, 3): log reflectance from the palest to the darkest skin."""
_WHITE = np.log([0.56, 0.58, 0.61])  # log reflectance of an eye's white as it is seen, BGR: lids shade it
_LEAST_OPEN = 0.16  # of an eye's width, between the lids
_LEAST_PX = 6
_CHROMA, _DARKER, _PALER = 0.20, 0.25, 0.65
"""Deviations of a measured tone's log. Lids and lashes darken the white, which makes skin seem paler than it is."""
_BRIGHTEST = np.log(2.0)  # light in which all that is half as pale as paper is burnt out: cameras are not set so
_BRIGHTNESS = 0.5


def white_to_skin(skin: FaceSkin, picture: Pixels, points: Floats, reading: SkinReading) -> Doubles | None:
    """(3,) log of skin over the white of the eye beside it, in the same light; None where too little white shows.

    `picture` is a camera's, `points` (478, 3) in its pixels, `reading` of the two.
    """
    height, width = picture.shape[:2]
    x = np.log(reading.colour) - skin.pattern
    total, weights = np.zeros(3), 0.0
    for eye, near in zip(EYES, skin.beside_eyes, strict=True):
        ring, iris = points[eye.ring, :2], points[eye.iris, :2]
        wide = float(np.linalg.norm(np.subtract(*points[eye.corners, :2])))
        apart = float(np.linalg.norm(points[eye.upper[2:5], :2] - points[eye.lower[2:5], :2], axis=1).mean())
        weight = reading.trust * near
        if apart < _LEAST_OPEN * wide or weight.sum() < 1.0:
            continue
        x0, y0 = np.floor(np.clip(ring.min(axis=0) - 1, 0, (width, height))).astype(int).tolist()
        x1, y1 = np.ceil(np.clip(ring.max(axis=0) + 2, 0, (width, height))).astype(int).tolist()
        if x1 - x0 < 3 or y1 - y0 < 3:
            continue
        shown = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(shown, [np.rint((ring - (x0, y0)) * 4).astype(np.int32)], 255, shift=2)
        radius = 1.2 * float(np.linalg.norm(points[eye.rim, :2] - iris, axis=1).mean())
        centre = np.rint((iris - (x0, y0)) * 4).astype(int)
        cv2.circle(shown, (int(centre[0]), int(centre[1])), int(radius * 4), 0, -1, shift=2)
        inner = cv2.erode(shown, np.ones((2, 2), np.uint8))  # not the lids' rim
        found = CAMERA[picture[y0:y1, x0:x1][inner > 0]]
        if len(found) < _LEAST_PX:
            continue
        grey = found @ LUMA
        low, high = np.percentile(grey, [55, 95])
        white = np.maximum(found[(grey >= low) & (grey <= high)].mean(axis=0), 1e-3)
        if white.max() > CAMERA[250]:
            continue
        sure = min(len(found), 60)
        total += sure * ((weight @ x) / weight.sum() - np.log(white))
        weights += sure
    return total / weights if weights else None


def likely_tone(over_white: Doubles | None, level: float) -> Floats:
    """(3,) the reflectance on the line of skin tones that explains what is seen best.

    `over_white`: `white_to_skin`, None where it is not known. `level`: log brightness of the skin in the picture.
    """
    grey = _LINE @ LUMA
    cost = (np.maximum(level - grey - _BRIGHTEST, 0) / _BRIGHTNESS) ** 2
    if over_white is not None:
        off = over_white + _WHITE - _LINE
        brighter = off @ LUMA
        chroma = off - brighter[:, None]
        cost += (brighter / np.where(brighter > 0, _PALER, _DARKER)) ** 2 + ((chroma / _CHROMA) ** 2).sum(axis=1)
    share = np.exp(-0.5 * np.minimum(cost - cost.min(), 60))
    return np.asarray(np.exp((share / share.sum()) @ _LINE), np.float32)


def mean_skin(skin: FaceSkin, pixels: Pixels, points: Floats) -> Floats:
    """(3,) the tone of an identity, by its resting picture (S, S, 3) and its points (478, 3)."""
    return np.exp(read_skin(skin, pixels, points, PICTURE).log_skin(skin.pattern))


def tone_gain(wanted: float | Literal["auto"], identity: Floats, driver: Floats) -> Floats:
    """(3,) log gain that brings the identity's tone towards the driver's: 0 not at all, 1 all the way."""
    gap = np.log(driver / identity)
    if wanted != "auto":
        return np.asarray(wanted * gap, np.float32)
    brighter = gap @ LUMA
    tint = gap - brighter
    left = KEPT * np.tanh(brighter / _CERTAIN)
    most = max(float(np.abs(tint).max()), 1e-6)
    return np.asarray(brighter - left + tint * (1 - KEPT_TINT * np.tanh(most / KEPT_TINT) / most), np.float32)


def retone(pixels: Pixels, skin_map: Pixels | None, gain: Floats) -> Pixels:
    """A picture (H, W, 3) whose skin has another tone: its log reflectance plus `gain` (3,).

    `skin_map` (H, W) uint8: 255 where a pixel is bare skin or lip; None: everything is.
    """
    if not np.abs(gain).max() > 1e-3:
        return pixels
    values = np.arange(256)[:, None] * np.exp(np.asarray(gain, np.float64) / GAMMA)
    changed = cv2.LUT(pixels, np.clip(values + 0.5, 0, 255).astype(np.uint8)[:, None])
    if skin_map is None:
        return np.asarray(changed, np.uint8)
    share = skin_map.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(changed, pixels, share, 1 - share), np.uint8)


def _drawn(points: Floats, ring: Ints, size: tuple[int, int]) -> Pixels:
    """(H, W) uint8: 1 within the outline of the landmarks `ring`."""
    return cv2.fillPoly(np.zeros(size, np.uint8), [np.rint(points[ring, :2] * 16).astype(np.int32)], 1, shift=4)  # type: ignore[return-value]


def skin_map(skin: FaceSkin, pixels: Pixels, points: Floats) -> Pixels:
    """(H, W) uint8: 255 where a picture shows the person's bare skin or lips, 0 on brows, eyes, teeth, stubble, hair.

    By colour: skin keeps its hue in light and shade. `points` (478, 3) in the picture's pixels.
    """
    own = np.log(mean_skin(skin, pixels, points))
    x = np.log(np.maximum(cv2.GaussianBlur(cv2.LUT(pixels, PICTURE), (0, 0), 0.7 * pixels.shape[0] / 320), 2e-3)) - own
    grey = x @ LUMA
    chroma = np.abs(x - grey[..., None]).max(axis=-1)
    found = (
        np.clip((0.50 - chroma) / 0.25, 0, 1) * np.clip((grey + 2.3) / 0.9, 0, 1) * np.clip((1.1 - grey) / 0.3, 0, 1)
    )
    size = pixels.shape[:2]
    lips, opening = _drawn(points, OUTER_LIPS, size), _drawn(points, INNER_LIPS, size)
    found[lips > 0] = 1  # they go with the skin, whatever their colour
    if opening.sum() > 0.12 * lips.sum():
        found[opening > 0] = 0  # teeth, tongue and the dark between
    for eye in EYES:
        found[_drawn(points, eye.ring, size) > 0] = 0
    soft = cv2.GaussianBlur(np.asarray(found, np.float32), (0, 0), 0.8 * pixels.shape[0] / 320)
    return np.asarray(np.rint(soft * 255), np.uint8)
