"""The lower face for lip sync: its crop and mask, a mouth made closed and steady as input, and an unseen seam.

Wav2Lip (Prajwal et al. 2020) cuts the detector's box, with a little more below, scales it to a square and pastes the
whole square back, which is visible. Here the box follows the landmarks, upright with the head, and only what lies
within the jaw is pasted. A network that opens a mouth adds to what is open already, and draws lips as wide as those in
the frame; so the speaker's own words would show through, were the mouth not closed and its shape averaged before.
"""

import math

import cv2
import numpy as np

from realtime.families.lip_sync.network import lip_outline
from realtime.families.motion.mesh.head import CHIN, UNDER_NOSE
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, Points
from realtime.tracking.face import Face
from realtime.tracking.smoothing import MAX_STEP_S, OneEuro

BELOW = 0.06  # more of the picture below the chin, in face heights: Wav2Lip's pad of 10 pixels on faces 170 pixels high
_PLACE = (1.0, 45.0, 1.0)  # as `smooth.WHOLE`: the box goes with the head
_EXTENT = (0.6, 1.5, 1.0)  # but does not breathe with the jaw
_ROLL = (1.0, 10.0, 1.0)
_EYE_OUTER = (33, 263)
_JAW = (323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93)
_NOSE_BASE = (98, 2, 327)
_CHIN = 152
_INWARD = 0.84
"""How far out the mask goes at the cheeks, of the way from the middle to the outline: its soft edge lies on skin."""
_DOWN = 0.03  # and beyond the chin, in box heights: an opening mouth takes the chin lower
_SOFT = 0.035  # the edge's Gaussian sigma, in sides of the crop
_BORDER = 0.04  # the crop's own border, where what is taken fades out in any case, in its sides
_LOWEST = 0.92  # how far down the mask's outline may go, in sides of the crop: its soft edge must end within


class FaceBox:
    """Follows one face's box: steady in size, quick in place. One person, frame by frame."""

    def __init__(self) -> None:
        self._track: int | None = None
        self._last_s = 0.0
        self._start()

    def _start(self) -> None:
        self._place, self._extent, self._roll = OneEuro(*_PLACE), OneEuro(*_EXTENT), OneEuro(*_ROLL)

    def __call__(self, face: Face, now_s: float, size: int, steadiness: float = 1.0) -> Matrix:
        """`crop_from_frame`, (2, 3) float64, for a crop of `size` x `size`: stretched, so no similarity.

        `now_s` is the picture's time in seconds. Another person or a jump in time starts afresh.
        """
        step_s = now_s - self._last_s
        if face.track != self._track or not 0.0 < step_s <= MAX_STEP_S:
            self._start()
            step_s = 0.0
        self._track, self._last_s = face.track, now_s
        points = np.asarray(face.landmarks[:, :2], np.float64)
        left, right = points[_EYE_OUTER[0]], points[_EYE_OUTER[1]]
        angle = math.atan2(right[1] - left[1], right[0] - left[0])
        turned = self._roll(np.array([[math.cos(angle), math.sin(angle)]]), step_s, steadiness)[0]
        angle = math.atan2(turned[1], turned[0])
        unturn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        low, high = (points @ unturn.T).min(axis=0), (points @ unturn.T).max(axis=0)
        # `low` and `high` are pixels' centres; the box reaches to their outer edges.
        extent = np.maximum(high - low + 1.0, 2.0)
        extent[1] *= 1.0 + BELOW
        middle = low - 0.5 + 0.5 * extent
        unit = float(extent.mean())
        in_frame = self._place((unturn.T @ middle)[None], step_s, steadiness, unit=unit)[0]
        extent = self._extent(extent[None], step_s, steadiness, unit=unit)[0]
        scale = size / extent
        linear = scale[:, None] * unturn
        return np.column_stack([linear, 0.5 * size - 0.5 - linear @ in_frame])


def lower_mask(landmarks: Points, crop_from_frame: Matrix, size: int) -> Floats:
    """The lower face in the crop, (size, size) float32 0..1, soft, 0 at the crop's border and above the nose's base.

    `landmarks` is (478, 3) in frame pixels.
    """
    points = np.asarray(landmarks, np.float64)[:, :2] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    jaw, nose = points[list(_JAW)], points[list(_NOSE_BASE)]
    middle_x = float(nose[:, 0].mean())
    line_y = float(nose[:, 1].mean())
    jaw[:, 0] = middle_x + _INWARD * (jaw[:, 0] - middle_x)
    jaw[:, 1] = np.maximum(jaw[:, 1], line_y)
    drop = np.clip((jaw[:, 1] - line_y) / max(float(points[_CHIN, 1]) - line_y, 1e-6), 0.0, 1.0)
    jaw[:, 1] += _DOWN * size * drop
    jaw[:, 1] = np.minimum(jaw[:, 1], _LOWEST * size)
    outline = np.clip(np.concatenate([nose, jaw]) * 16.0, -(2**20), 2**20).astype(np.int32)
    drawn = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(drawn, cv2.convexHull(outline), 255, lineType=cv2.LINE_AA, shift=4)
    hard = np.multiply(drawn, np.float32(1.0 / 255.0), dtype=np.float32)
    soft = cv2.GaussianBlur(hard, (0, 0), max(_SOFT * size, 0.3), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(soft * _inner(size), np.float32)


def _inner(size: int) -> Floats:
    """1 within the crop, 0 at its border."""
    away = np.minimum(np.arange(size), np.arange(size)[::-1]) / max(_BORDER * size, 1.0)
    rise = np.clip(away, 0.0, 1.0).astype(np.float32)
    return np.asarray(rise[:, None] * rise[None, :], np.float32)


_LEAST_GAP = 0.004  # lips that are nearer than that, in sides of the crop, meet: the tracker trembles as much
_RING = 20
_OVER, _UNDER = np.arange(1, 10), np.arange(11, 20)
_OUTER_TOP, _OUTER_BOTTOM = np.arange(11), np.append(np.arange(10, 20), 0)
"""Of a ring of `lip_outline`: the points of the upper lip and of the lower one, without and with the corners."""


def close_mouth(crop: Pixels, landmarks: Points, crop_from_frame: Matrix) -> tuple[Pixels, Floats]:
    """Close the mouth: `crop` with its lips together, (S, S, 3), and their outline in it, (40, 2) as `lip_outline`.

    `landmarks` (478, 2 or 3) are those of the frame. Where the lips meet already, `crop` itself.
    """
    size = crop.shape[0]
    from_y, outline = shutting(size, landmarks, crop_from_frame)
    if from_y is None:
        return crop, outline
    from_x = np.broadcast_to(np.arange(size, dtype=np.float32), (size, size))
    shut = cv2.remap(crop, np.ascontiguousarray(from_x), from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shut, np.uint8), outline


def shutting(size: int, landmarks: Points, crop_from_frame: Matrix) -> tuple[Floats | None, Floats]:
    """At what height of a crop each pixel of the shut mouth lies, (S, S), and the shut lips' outline, (40, 2).

    None for the heights where the lips meet already.
    """
    outline = lip_outline(landmarks, crop_from_frame)
    inner = outline[_RING:].astype(np.float64)
    x = np.arange(size, dtype=np.float64)
    above, below, seam = _lines(x, inner)
    rise = below - seam
    if float((below - above).max()) < _LEAST_GAP * size:
        return None, outline
    nose_y, chin_y = (
        float(np.asarray(landmarks[point, :2], np.float64) @ crop_from_frame[1, :2] + crop_from_frame[1, 2])
        for point in (UNDER_NOSE, CHIN)
    )
    y = x[:, None]
    # Where each pixel of the shut mouth comes from: the upper lip from above, the lower one from below.
    # Lips go as they are; the skin about them is what gives.
    top, bottom = (_along(x, outline[part].astype(np.float64)) for part in (_OUTER_TOP, _OUTER_BOTTOM))
    top, bottom = np.minimum(top + seam - above, seam), np.maximum(bottom - rise, seam)
    down = (seam - above) * _smooth((y - nose_y) / np.maximum(top - nose_y, 1.0)) * (y < seam)
    up = rise * (1.0 - _smooth((y - bottom) / np.maximum(chin_y - bottom, 1.0))) * (y >= seam)
    return (y - down + up).astype(np.float32), _met(outline, inner)


def _lines(x: Points, inner: Points) -> tuple[Points, Points, Points]:
    """The heights at each `x` of the upper lip's rim, the lower one's, and where they are to meet; `inner` (20, 2)."""
    corners = inner[[0, 10]]
    rims = (np.concatenate([corners[:1], inner[part], corners[1:]]) for part in (_OVER, _UNDER[::-1]))
    above, below, seam = (_along(x, line) for line in (*rims, corners))
    below = np.maximum(above, below)
    return above, below, np.clip(seam, above, below)


def _met(outline: Floats, inner: Points) -> Floats:
    """The outline of the shut mouth."""
    met = outline.copy()
    for part, rim in ((_OVER, 0), (_UNDER, 1)):
        lines = _lines(inner[part, 0], inner)
        way = (lines[2] - lines[rim]).astype(np.float32)
        met[part, 1] += way
        met[_RING + part, 1] += way
    return met


def _along(x: Points, line: Points) -> Points:
    """The height at each `x` of a line of points, (n, 2), from one corner of the mouth to the other; level beyond."""
    order = np.argsort(line[:, 0])
    return np.asarray(np.interp(x, line[order, 0], line[order, 1]))


def _smooth(share: Points) -> Points:
    """0 to 1 without a kink at either end."""
    held = np.clip(share, 0.0, 1.0)
    return np.asarray(held * held * (3.0 - 2.0 * held))


_LASTS_S = 1.0  # how long a shape counts: words are shorter, and a head has turned by then
_FARTHEST, _LEAST = 0.06, 0.002  # how far lips go, in sides of the crop, and from where on it is worth it
_ABOUT = 0.035  # how far about the lips the skin goes along, in sides of the crop (a Gaussian's sigma)
_GRID = 32
_CORNERS = (0, 10)  # of a `lip_outline`


class SmoothLips:
    """Closes a speaker's mouth and brings the lips to their mean shape of the last second, frame by frame."""

    def __init__(self) -> None:
        self._track: int | None = None
        self._last_s = 0.0
        self._seen = 0
        self._mean: Floats = np.zeros((0, 2), np.float32)

    def __call__(self, crop: Pixels, face: Face, crop_from_frame: Matrix, now_s: float) -> tuple[Pixels, Floats]:
        """`crop`, (S, S, 3), with lips that are shut and steady, and their outline in it, (40, 2) as `lip_outline`.

        `now_s` is the picture's time in seconds. Another person or a jump in time starts afresh.
        """
        size = crop.shape[0]
        from_y, outline = shutting(size, face.landmarks, crop_from_frame)
        wanted = self._steady(outline / np.float32(size), face.track, now_s) * np.float32(size)
        way = np.asarray(outline - wanted, np.float32)
        far = np.linalg.norm(way, axis=1, keepdims=True)
        way *= np.asarray(np.minimum(1.0, _FARTHEST * size / np.maximum(far, 1e-6)), np.float32)
        if float(far.max()) < _LEAST * size:
            way[:] = 0.0
        if from_y is None and not way.any():
            return crop, outline
        x = np.arange(size, dtype=np.float32)
        there = _spread(way, outline - way, size) + np.dstack(np.meshgrid(x, x))
        from_x, height = np.ascontiguousarray(there[..., 0]), np.ascontiguousarray(there[..., 1])
        if from_y is not None:  # where the shut mouth's pixels come from, at the places that the steady one asks for
            heights = cv2.remap(from_y, from_x, height, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            height = np.asarray(heights, np.float32)
        made = cv2.remap(crop, from_x, height, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(made, np.uint8), np.asarray(outline - way, np.float32)

    def _steady(self, outline: Floats, track: int, now_s: float) -> Floats:
        """The mean shape, about where the mouth is now; in sides of the crop."""
        middle = outline[list(_CORNERS)].mean(axis=0)
        step_s = now_s - self._last_s
        if track != self._track or not 0.0 < step_s <= MAX_STEP_S:
            self._seen, self._mean = 0, np.zeros_like(outline)
            step_s = 0.0
        self._track, self._last_s, self._seen = track, now_s, self._seen + 1
        # The first ones count alike: nobody knows which of them is the usual shape.
        newest = max(1.0 - math.exp(-step_s / _LASTS_S), 1.0 / self._seen)
        self._mean = self._mean + np.float32(newest) * (outline - middle - self._mean)
        return np.asarray(self._mean + middle, np.float32)


def _spread(ways: Floats, points: Floats, size: int) -> Floats:
    """(S, S, 2) ways that are `ways` at `points`, (40, 2) each, between them their mean, and nothing far away."""
    places = ((np.arange(_GRID) + 0.5) * size / _GRID - 0.5).astype(np.float32)
    off = -0.5 / (_ABOUT * size) ** 2
    across, down = (np.exp(off * (places[:, None] - points[:, k]) ** 2) for k in (0, 1))
    near = down[:, None] * across[None]  # (rows, columns, points): a Gaussian of both
    total = near.sum(axis=2, keepdims=True)
    grid = near @ ways / np.maximum(total, 1.0)
    return np.asarray(cv2.resize(grid.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


_WIDE = 0.10  # how far a difference found at the rim is carried, in sides of the crop (a Gaussian's sigma)
_MOST = 128  # the side at which tones are compared, of larger pictures too
_SHAPE = 30.0  # A difference much larger than this is one of shape (lips, teeth, what is behind a chin), not of tone

_SEEN_FROM, _SEEN_WHOLLY = 3.0, 11.0
"""Grey levels: a change below the first is none, one above the second is taken over as it is."""
_AROUND = 0.03  # how far about a change the new picture is taken over with it, in sides of the crop


def changed(new: Pixels, old: Pixels) -> Floats:
    """Where `new` says something else than `old`, (S, S) float32 0..1, soft; both are (S, S, 3) uint8.

    Elsewhere the frame itself is as good, and sharper: a network's picture is smaller than the face it goes back to.
    """
    size = new.shape[0]
    off = np.asarray(cv2.absdiff(new, old).max(axis=2), np.float32)
    reach = 2 * max(round(_AROUND * size), 1) + 1
    near = cv2.blur(cv2.dilate(cv2.blur(off, (3, 3)), np.ones((reach, reach), np.uint8)), (reach, reach))
    share = (np.asarray(near, np.float32) - _SEEN_FROM) / (_SEEN_WHOLLY - _SEEN_FROM)
    return np.asarray(np.clip(share, 0.0, 1.0), np.float32)


def match_seam(new: Pixels, old: Pixels, mask: Floats) -> Pixels:
    """`new`, (S, S, 3) uint8 BGR, with a smooth change of tone that takes it to `old` where the mask fades.

    A membrane as in Poisson editing (Pérez et al. 2003), by one normalised convolution (Knutsson and Westin 1993) in
    place of a system of equations: differences count at the rim only, and less where they are large.
    """
    side = mask.shape[0]
    size = min(side, _MOST)
    if size < side:  # what is smooth needs no fine picture
        small = (cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA) for part in (old, new, mask))
        tone = _tone(*(np.asarray(part, np.float32) for part in small))
        tone = np.asarray(cv2.resize(tone, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    else:
        tone = _tone(old.astype(np.float32), new.astype(np.float32), mask)
    toned = new.astype(np.float32) + tone + np.float32(0.5)
    return np.asarray(np.clip(toned, 0.0, 255.0), np.uint8)


def _tone(old: Floats, new: Floats, mask: Floats) -> Floats:
    """What to add to `new`, (S, S, 3)."""
    size = mask.shape[0]
    off = old - new
    rim = 4.0 * mask * (1.0 - mask)
    weight = np.asarray(rim * np.exp(-((np.abs(off).mean(axis=2) / _SHAPE) ** 2)), np.float32)
    four = cv2.merge([*cv2.split(off * weight[:, :, None]), weight])
    spread = np.asarray(cv2.GaussianBlur(four, (0, 0), _WIDE * size, borderType=cv2.BORDER_CONSTANT), np.float32)
    # What little weight reaches the middle still decides there: its tone goes with the rim's as a whole.
    tone = spread[:, :, :3] / (spread[:, :, 3:] + 1e-4 + 0.02 * float(spread[:, :, 3].max()))
    return np.asarray(tone, np.float32)
