"""The parts of a face that the network mends, cut out upright, with what it is told of them, and put back.

The mouth's patch hangs on the nose, which does not open; an eye's lies about its corners, in eye widths, so that
drawn eyes of any size look alike. The right eye is mirrored: the network knows left ones only.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.families.motion.mesh.interior import filled
from realtime.families.motion.mesh.points import (
    CHIN,
    INNER_LIPS,
    LEFT_EYE,
    OUTER_LIPS,
    RIGHT_EYE,
    UNDER_NOSE,
    Doubles,
    EyePoints,
)
from realtime.frame import Floats, Pixels

MOUTH_SIDE, EYE_SIDE = 112, 64
MOUTH_CM = 14.0
MOUTH_DOWN_CM = 3.8
"""How far below the nose the middle of the mouth's patch is."""
EYE_WIDTHS = 2.2
EYE_UP = 0.16
"""How far above an eye its patch's middle is, in eye widths."""
MOUTH_CHANNELS, EYE_CHANNELS = 11, 10


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a patch lies: `patch_from_crop` (2, 3), maybe mirrored, and its side in pixels."""

    patch_from_crop: Doubles
    side: int

    def cut(self, crop: Pixels) -> Pixels:
        """The patch of a crop, (side, side, 3) uint8."""
        matrix, size = self.patch_from_crop, (self.side, self.side)
        seen = cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)

    def outline(self, points: Doubles) -> Doubles:
        """Points (n, 2) of the crop in the patch."""
        return np.asarray(points @ self.patch_from_crop[:, :2].T + self.patch_from_crop[:, 2])


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """An avatar's mouth and eyes at rest, as patches: `mouth` (112, 112, 3), `eyes` right and left (64, 64, 3)."""

    mouth: Pixels
    eyes: tuple[Pixels, Pixels]


def patches_at_rest(crop: Pixels, points: Doubles, px_per_cm: float, widths: tuple[float, float]) -> Patches:
    """The patches of a still crop; `widths` are the eyes' in pixels, right and left."""
    right, left = (
        eye_place(points, eye, width).cut(crop) for eye, width in zip((RIGHT_EYE, LEFT_EYE), widths, strict=True)
    )
    return Patches(mouth_place(points, px_per_cm).cut(crop), (right, left))


def upright(points: Doubles) -> float:
    """The angle in radians by which a face of landmarks (478, 2+) is tilted in the picture."""
    dx, dy = (points[LEFT_EYE.corners[0], :2] - points[RIGHT_EYE.corners[0], :2]).tolist()
    return float(np.arctan2(dy, dx))


def _place(centre: Doubles, angle: float, scale: float, side: int, mirrored: bool) -> Place:
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    turn = np.array([[c, s], [-s, c]])
    if mirrored:
        turn[0] *= -1
    shift = 0.5 * (side - 1) - turn @ centre
    return Place(np.column_stack([turn, shift]), side)


def mouth_place(points: Doubles, px_per_cm: float) -> Place:
    """The mouth's patch of a face whose landmarks (478, 2+) lie in a crop of so many pixels a centimetre."""
    angle = upright(points)
    down = np.array([-np.sin(angle), np.cos(angle)])
    centre = points[UNDER_NOSE, :2] + down * MOUTH_DOWN_CM * px_per_cm
    return _place(centre, angle, MOUTH_SIDE / (MOUTH_CM * px_per_cm), MOUTH_SIDE, False)


def eye_place(points: Doubles, eye: EyePoints, width: float) -> Place:
    """An eye's patch; `width` is the eye's in the crop's pixels, seen from the front."""
    angle = upright(points)
    up = np.array([np.sin(angle), -np.cos(angle)])
    centre = points[eye.corners, :2].mean(axis=0) + up * EYE_UP * width
    return _place(centre, angle, EYE_SIDE / (EYE_WIDTHS * width), EYE_SIDE, eye is RIGHT_EYE)


def mouth_guides(place: Place, points: Doubles) -> tuple[Pixels, float]:
    """(side, side, 2) uint8, the opening and the lips; and the row of the chin in sides."""
    size = (place.side, place.side)
    inner, outer = (filled(size, place.outline(points[ring, :2])) for ring in (INNER_LIPS, OUTER_LIPS))
    return np.dstack([inner, outer]), float(place.outline(points[[CHIN], :2])[0, 1] / place.side)


def eye_guides(place: Place, points: Doubles, eye: EyePoints, iris: Doubles, radius: float) -> Pixels:
    """(side, side, 2) uint8: the opening, and the iris' disc about `iris` (2,), `radius` crop pixels."""
    size = (place.side, place.side)
    opening = filled(size, place.outline(points[eye.ring, :2]))
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rim = iris + radius * np.column_stack([np.cos(turns), np.sin(turns)])
    return np.dstack([opening, filled(size, place.outline(rim))])


def _ramp(side: int) -> Floats:
    return np.linspace(-1, 1, side, dtype=np.float32)


def mouth_feed(out: Floats, drawn: Pixels, rest: Pixels, guides: Pixels, chin: float) -> None:
    """Fill `out`, (11, side, side): the mouth drawn and at rest, opening, lips, across, down, up from the chin."""
    side = drawn.shape[0]
    _pictures(out, drawn, rest, guides)
    out[8] = _ramp(side)[None, :]
    out[9] = _ramp(side)[:, None]
    out[10] = np.clip(2 * (np.arange(side, dtype=np.float32) / side - np.float32(chin)), -1, 1)[:, None]


def eye_feed(out: Floats, drawn: Pixels, rest: Pixels, guides: Pixels) -> None:
    """Fill `out`, (10, side, side): the eye as drawn and at rest, opening and iris, across and down."""
    side = drawn.shape[0]
    _pictures(out, drawn, rest, guides)
    out[8] = _ramp(side)[None, :]
    out[9] = _ramp(side)[:, None]


def _pictures(out: Floats, drawn: Pixels, rest: Pixels, guides: Pixels) -> None:
    level = np.float32(1 / 255)
    np.multiply(drawn.transpose(2, 0, 1), level, out=out[:3])
    np.multiply(rest.transpose(2, 0, 1), level, out=out[3:6])
    np.multiply(guides.transpose(2, 0, 1), level, out=out[6:8])


def window(side: int, middle: tuple[float, float], reach: tuple[float, float]) -> Floats:
    """(side, side, 1) float32: 1 in most of an ellipse, falling to 0 at its edge; in shares of the side, x first."""
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    away = np.hypot((at[None, :] - middle[0]) / reach[0], (at[:, None] - middle[1]) / reach[1])
    rise = np.clip((1.0 - away) / 0.4, 0.0, 1.0)
    return np.asarray((rise * rise * (3 - 2 * rise))[..., None], np.float32)


MOUTH_WINDOW = window(MOUTH_SIDE, (0.5, 0.47), (0.40, 0.42))
EYE_WINDOW = window(EYE_SIDE, (0.5, 0.56), (0.36, 0.25))


def put_back(pixels: Pixels, place: Place, change: Floats, soft: Floats) -> None:
    """Add a patch's `change`, (3, side, side) of 1, to a crop within its window, in place."""
    side, size = place.side, pixels.shape[0]
    crop_from_patch = cv2.invertAffineTransform(place.patch_from_crop)
    corners = np.array([(0, 0), (side, 0), (0, side), (side, side)], np.float64) @ crop_from_patch[:, :2].T
    corners += crop_from_patch[:, 2]
    x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    matrix = crop_from_patch.copy()
    matrix[:, 2] -= (x0, y0)
    shown = np.ascontiguousarray(change.transpose(1, 2, 0)) * (soft * np.float32(255))
    placed = cv2.warpAffine(shown, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    part = pixels[y0:y1, x0:x1]
    cv2.add(part, placed, dst=part, dtype=cv2.CV_8U)
