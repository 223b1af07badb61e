"""Eyes and mouth interior: eyeballs whose irises move, and a mouth with teeth, taken from one picture.

Each is a small picture of its own, made once for an avatar and laid into the opening frame by frame. What the picture
does not show (the white behind an iris, a mouth that is closed) is filled in from what it shows.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LIPS,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    MOUTH_CORNERS,
    OUTER_LIPS,
    UNDER_NOSE,
    EyePoints,
)
from realtime.frame import Doubles, Pixels

_SHIFT = 4
_NARROWER = np.clip(2 * np.arange(256) - 255, 0, 255).astype(np.uint8)
TEETH_UP_CM, TEETH_DOWN_CM = 0.9, 0.45  # how far the upper teeth reach beyond the line where lips meet
MOUTH_DARK = np.array([30.0, 22.0, 42.0])
TEETH = np.array([196.0, 212.0, 220.0])
TOOTH_GAPS_CM = (0.0, 0.86, 1.52, 2.25)  # where one tooth ends and the next begins, to either side of the middle
OPEN_CM = 0.25  # A mouth open less than this has nothing of its own to show


def filled(size: tuple[int, int], outline: Doubles) -> Pixels:
    """(h, w) uint8: 255 within `outline` (n, 2) pixels, smooth at its edge. `size` is (width, height)."""
    drawn = np.zeros((size[1], size[0]), np.uint8)
    corners = np.rint(np.clip(outline, -4096, 4096) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(drawn, [corners], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
    return drawn


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A picture behind an opening, `pixels` (h, w, 3) uint8 BGR, whose corner lies at `corner` (2,) of the crop.

    `cover` (h, w) uint8 is where it has something to show; None for everywhere.
    """

    pixels: Pixels
    corner: Doubles
    cover: Pixels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Eyeball:
    """The `white` of an eye and the `iris` to be laid over it; in pixels the eye's `width`, the iris' `radius` and how
    far it is from the middle between the eye's corners, `aside` (2,)."""

    white: Layer
    iris: Layer
    width: float
    radius: float
    aside: Doubles


def _box(points: Doubles, room: float, size: int) -> tuple[int, int, int, int]:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = room * float((high - low).max()) + 2
    x0, y0 = np.clip(np.floor(low - margin), 0, size - 2).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(high + margin), 1, size).astype(int).tolist()
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def eyeball(crop: Pixels, points: Doubles, eye: EyePoints) -> Eyeball:
    """One eye out of an avatar's crop (S, S, 3); `points` (478, 2) are its landmarks there."""
    width = float(np.linalg.norm(points[eye.corners[1]] - points[eye.corners[0]]))
    x0, y0, x1, y1 = _box(points[eye.ring], 0.6, crop.shape[0])
    corner, size = np.array([x0, y0], np.float64), (x1 - x0, y1 - y0)
    part = np.ascontiguousarray(crop[y0:y1, x0:x1])
    opening = filled(size, points[eye.ring] - corner) > 200
    centre = points[eye.iris] - corner
    radius = float(np.linalg.norm(points[eye.rim] - points[eye.iris], axis=1).mean()) + 0.5
    y, x = np.mgrid[: size[1], : size[0]]
    away = np.hypot(x - centre[0], y - centre[1])
    aside = points[eye.iris] - points[eye.corners].mean(axis=0)
    white = _white(part, opening, away > radius * 1.08)
    iris = _iris(part, opening, centre, away, radius)
    soft = np.clip((radius - away) / max(0.14 * radius, 1.0) + 0.5, 0.0, 1.0)
    return Eyeball(Layer(white, corner), Layer(iris, corner, (soft * 255).astype(np.uint8)), width, radius, aside)


def _white(part: Pixels, opening: npt.NDArray[np.bool_], off_iris: npt.NDArray[np.bool_]) -> Pixels:
    """The eyeball without its iris, spread over all of `part`."""
    inner = cv2.erode(opening.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    known = inner & off_iris
    if known.sum() < 6:
        known = opening & off_iris
    if known.sum() < 3:
        light = np.percentile(part.reshape(-1, 3), 85, axis=0)
        return np.broadcast_to(light, part.shape).astype(np.uint8)
    colours = part[known].astype(np.float64)
    # Lashes and shadows are no white: what is much darker than the rest is not spread.
    grey = colours.mean(axis=1)
    kept = known.copy()
    kept[known] = grey >= np.percentile(grey, 35)
    weight = kept.astype(np.float32)
    blurred = np.zeros(part.shape, np.float32)
    total = np.full(weight.shape, 1e-6, np.float32)
    for sigma, share in ((2.0, 1.0), (6.0, 1e-2), (20.0, 1e-4)):
        total += share * cv2.GaussianBlur(weight, (0, 0), sigma)
        blurred += share * cv2.GaussianBlur(part.astype(np.float32) * weight[..., None], (0, 0), sigma)
    mean = colours[grey >= np.percentile(grey, 35)].mean(axis=0)
    spread = (blurred + 1e-6 * mean) / total[..., None]
    return np.asarray(np.where(kept[..., None], part, np.clip(spread, 0, 255)), np.uint8)


def _iris(part: Pixels, opening: npt.NDArray[np.bool_], centre: Doubles, away: Doubles, radius: float) -> Pixels:
    """The iris made whole: what a lid hides is taken from below, then from the other side, else its mean."""
    within = away < radius
    seen = within & (cv2.erode(opening.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    out = part.copy()
    mean = part[seen].mean(axis=0) if seen.any() else np.array([40.0, 40.0, 40.0])
    height, width = within.shape
    ys, xs = np.nonzero(within & ~seen)
    filled_in = np.broadcast_to(mean, (len(ys), 3)).copy()
    for flip_x in (True, False):
        fy = np.rint(2 * centre[1] - ys).astype(int)
        fx = np.rint(2 * centre[0] - xs).astype(int) if flip_x else xs
        inside = (fy >= 0) & (fy < height) & (fx >= 0) & (fx < width)
        good = np.zeros(len(ys), bool)
        good[inside] = seen[fy[inside], fx[inside]]
        filled_in[good] = part[fy[good], fx[good]]
    out[ys, xs] = np.clip(filled_in, 0, 255).astype(np.uint8)
    outside = ~within
    out[outside] = np.clip(mean, 0, 255).astype(np.uint8)
    return out


def is_open(points: Doubles, px_per_cm: float) -> bool:
    """Whether a mouth of landmarks (478, 2) shows what is in it; landmarks keep lips that meet a little apart."""
    return float((points[INNER_LOWER_LIP, 1] - points[INNER_UPPER_LIP, 1]).mean()) / px_per_cm > OPEN_CM


def mouth(crop: Pixels, points: Doubles, px_per_cm: float) -> Layer:
    """What is behind an avatar's lips: its own teeth where its mouth is open, else drawn ones and the dark."""
    corner_l, corner_r = points[MOUTH_CORNERS]
    width = float(np.linalg.norm(corner_r - corner_l))
    seam = 0.5 * (points[INNER_UPPER_LIP] + points[INNER_LOWER_LIP])
    low = np.array([min(corner_l[0], corner_r[0]) - 0.3 * width, points[UNDER_NOSE, 1]])
    high = np.array([max(corner_l[0], corner_r[0]) + 0.3 * width, seam[:, 1].max() + 6.5 * px_per_cm])
    x0, y0 = np.clip(np.floor(low), 0, crop.shape[0] - 2).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(high), 1, crop.shape[0]).astype(int).tolist()
    x1, y1 = max(x1, x0 + 2), max(y1, y0 + 2)
    corner, size = np.array([x0, y0], np.float64), (x1 - x0, y1 - y0)
    face = crop[filled((crop.shape[1],) * 2, points[OUTER_LIPS]) > 128]
    light = float(np.clip(np.percentile(face, 75) / 150.0, 0.35, 1.1)) if len(face) else 0.8
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    x += x0
    y += y0
    middle = 0.5 * (corner_l + corner_r)
    aside = (x - middle[0]) / max(0.5 * width, 1.0)
    line = np.interp(x, np.r_[corner_l[0], seam[:, 0], corner_r[0]], np.r_[corner_l[1], seam[:, 1], corner_r[1]])
    below = (y - line) / px_per_cm + 0.12 * aside**2
    edge = 0.5 * px_per_cm / 10 + 0.06
    tooth = np.clip((TEETH_DOWN_CM - below) / edge + 0.5, 0, 1) * np.clip((1.0 - np.abs(aside)) / 0.3, 0, 1)
    shade = 1.0 - 0.5 * np.clip(np.abs(aside), 0, 1) ** 2
    for gap_cm in TOOTH_GAPS_CM:
        shade *= 1.0 - 0.16 * np.exp(-(((np.abs(x - middle[0]) / px_per_cm - gap_cm) / 0.06) ** 2))
    deep = np.exp(-((below - 2.6) ** 2) / 1.6) * np.clip(1.0 - aside**2, 0, 1)
    dark = MOUTH_DARK + deep[..., None] * np.array([38.0, 34.0, 78.0])
    painted = light * (dark * (1 - tooth[..., None]) + TEETH * (tooth * shade)[..., None])
    out = np.clip(painted, 0, 255).astype(np.uint8)
    if is_open(points, px_per_cm):
        own = cv2.GaussianBlur(filled(size, points[INNER_LIPS] - corner), (0, 0), 0.8)
        own = np.clip((own.astype(np.float64) - 128.0) / 127.0, 0, 1)[..., None]
        out = np.asarray(out * (1 - own) + crop[y0:y1, x0:x1] * own, np.uint8)
    return Layer(out, corner)


def without_openings(crop: Pixels, points: Doubles, shows_mouth: bool) -> Pixels:
    """An avatar's crop (S, S, 3) whose eyes, and mouth where it is open, are closed over with what is around them.

    This is what the mesh carries: where lids or lips meet, nothing that was between them can show. Lips that are closed
    keep their seam.
    """
    mask = np.zeros(crop.shape[:2], np.uint8)
    rings = [eye.ring for eye in EYES] + ([INNER_LIPS] if shows_mouth else [])
    for ring in rings:
        mask |= (filled((crop.shape[1], crop.shape[0]), points[ring]) > 160).astype(np.uint8)
    return np.asarray(cv2.inpaint(crop, mask, 3, cv2.INPAINT_TELEA), np.uint8)


def lay(
    pixels: Pixels,
    layer: Layer,
    there_from_here: Doubles,
    opening: Doubles,
    box: tuple[int, int, int, int],
    strength: float = 1.0,
) -> None:
    """Show a layer through an opening, in place.

    `there_from_here` (2, 3): from the still crop to the picture. `opening` (n, 2) and `box` in the picture's pixels.
    `strength` 0..1: how much of it is seen.
    """
    x0, y0, x1, y1 = box
    size = (x1 - x0, y1 - y0)
    matrix = there_from_here.copy()
    matrix[:, 2] += matrix[:, :2] @ layer.corner - (x0, y0)
    seen = cv2.warpAffine(layer.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # An edge is half a pixel wide on either side: without it, lips and lids that meet would leave a slit.
    window: Pixels = _NARROWER[filled(size, opening - (x0, y0))]
    if layer.cover is not None:
        cover = cv2.warpAffine(layer.cover, matrix, size)
        window = np.asarray(cv2.multiply(window, cover, scale=1 / 255), np.uint8)
    share = window.astype(np.float32)[..., None] * np.float32(strength / 255)
    part = pixels[y0:y1, x0:x1]
    part[...] = (part + (seen.astype(np.float32) - part) * share + 0.5).astype(np.uint8)


def opening_box(opening: Doubles, size: int) -> tuple[int, int, int, int] | None:
    """The pixels that an outline (n, 2) touches; None where there are none."""
    low, high = np.floor(opening.min(axis=0)).astype(int) - 1, np.ceil(opening.max(axis=0)).astype(int) + 2
    x0, y0 = np.clip(low, 0, size).tolist()
    x1, y1 = np.clip(high, 0, size).tolist()
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
