"""The face of a flat picture: lids in the colour around its eyes, and a mouth that opens, in the drawing's own ink.

It is painted into the picture that the figure's mesh is drawn from, so it bends and turns with the head.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.figure.expression import Expression
from realtime.families.figure.mesh import MARGIN_PX, Picture
from realtime.frame import Doubles, Floats
from realtime.models.figure import FaceMarks, Point

SHUT = 0.85  # of a blink: from here on the eye is a line
LID_RIM = 1.12  # radii: how far lids reach
CLOSED_AT = 0.4  # radii below an eye's middle: the line of closed lids
OPENS_AT, SHUTS_AT = 0.08, 0.05  # of the jaw: the mouth opens, and is as drawn again
MOST_GAP = 0.62  # of the mouth's width: how far it opens
BAND, BOX = 0.2, 0.6  # of the mouth's width: strokes that touch this far from its line are the mouth's, within the box
LEAST_CONTRAST = 30.0  # of a stroke against the skin, the three channels together
TEETH_FROM_PX = 7.0
TEETH = 0.24  # of the gap
INNER_DARK = np.array([38.0, 22.0, 62.0])  # BGR
SUBPIXEL = 4

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Patch:
    """A rectangle of the picture, as it was and with what is around painted over it."""

    at: tuple[slice, slice]
    drawn: Picture
    bare: Floats
    origin: Doubles


class FlatFace:
    """Eyes and mouth of a flat picture, painted anew in each frame. `picture` is changed in place; for one thread."""

    def __init__(self, picture: Picture, marks: FaceMarks, scale: float) -> None:
        self._picture = picture
        eyes = ((0, marks.l_eye), (1, marks.r_eye))
        self._eyes = [(which, _Eye(picture, mark, scale)) for which, mark in eyes if mark is not None]
        self._mouth = _Mouth(picture, *marks.mouth, scale) if marks.mouth is not None else None
        self._patches = [eye.patch for _, eye in self._eyes] + ([self._mouth.patch] if self._mouth is not None else [])

    def draw(self, face: Expression) -> None:
        """Paint this expression."""
        for patch in self._patches:  # all before any is painted: they overlap
            self._picture[patch.at] = patch.drawn
        for which, eye in self._eyes:
            eye.draw(self._picture, face.blink[which])
        if self._mouth is not None:
            self._mouth.draw(self._picture, face)


class _Eye:
    def __init__(self, picture: Picture, mark: tuple[float, float, float], scale: float) -> None:
        self._middle = np.array(mark[:2]) * scale + MARGIN_PX
        self._radius = float(np.clip(mark[2] * scale, 2.0, max(picture.shape)))
        self.patch = _patch(picture, self._middle, 2.0 * self._radius, _ring(1.25, 1.95, self._radius, self._radius))
        rows, columns = np.mgrid[: self.patch.bare.shape[0], : self.patch.bare.shape[1]]
        self._x = columns + self.patch.origin[0] - self._middle[0]
        self._y = rows + self.patch.origin[1] - self._middle[1]
        inside = np.hypot(self._x, self._y) < self._radius
        self._ink = _darkest(self.patch, inside)
        self._stroke = max(0.17 * self._radius, 1.2)

    def draw(self, picture: Picture, blink: float) -> None:
        out = picture[self.patch.at]
        if blink > 0.04:
            reach = LID_RIM * self._radius
            bow = np.sqrt(np.maximum(reach**2 - self._x**2, 0))
            share = min(blink / SHUT, 1.0)
            level = -1 + (1 + CLOSED_AT) * share
            disc = np.clip(reach - np.hypot(self._x, self._y) + 0.5, 0, 1)
            above = np.clip(level * bow - self._y + 0.5, 0, 1) if blink < SHUT else 1.0
            _lay(out, self.patch.bare, disc * above)
            line = np.clip((self._stroke + 1 - 2 * np.abs(self._y - level * bow)) / 2, 0, 1)
            _lay(out, self._ink, line * (np.abs(self._x) < 0.96 * reach) * min(blink / 0.3, 1.0))


class _Mouth:
    def __init__(self, picture: Picture, left: Point, right: Point, scale: float) -> None:
        a, b = (np.array(point) * scale + MARGIN_PX for point in (left, right))
        self._middle, way = (a + b) / 2, b - a
        self._width = float(np.clip(np.linalg.norm(way), 4.0, max(picture.shape)))
        self._along = way / max(float(np.linalg.norm(way)), 1e-6)
        self._down = np.array([-self._along[1], self._along[0]])
        w = self._width
        self.patch = _patch(picture, self._middle, 1.15 * w, _ring(0.6, 1.0, 0.72 * w, 0.55 * w))
        rows, columns = np.mgrid[: self.patch.bare.shape[0], : self.patch.bare.shape[1]]
        away = np.stack([columns, rows], -1) + self.patch.origin - self._middle
        t, v = away @ self._along / (w / 2), away @ self._down
        stroke = self._strokes(t, v)
        skin = (np.abs(t) < 1.3) & (np.abs(v) < 0.4 * w) & (_grown(stroke, max(0.04 * w, 2)) == 0)
        self.patch.bare = _surface(self.patch.drawn, skin & (self.patch.drawn[..., 3] > 250))
        self._is_open = False
        self._cover = np.asarray(cv2.GaussianBlur(_grown(stroke, max(0.02 * w, 2)), (0, 0), 0.8), np.float32)
        self._ink = _darkest(self.patch, stroke) if stroke.any() else np.array([40.0, 40.0, 40.0])
        self._inside = 0.55 * INNER_DARK + 0.25 * self._ink
        self._line_px = float(np.clip(stroke.sum() / (1.1 * w), 1.2, 0.09 * w)) if stroke.any() else 0.04 * w
        self._bow, self._level = self._curve(stroke, t, v)

    def _strokes(self, t: Doubles, v: Doubles) -> Mask:
        """The pixels of the drawn mouth: what differs from the skin and touches the line between its corners."""
        w = self._width
        opaque = self.patch.drawn[..., 3] > 200
        smooth = cv2.GaussianBlur(
            self.patch.drawn[..., :3].astype(np.float32), (0, 0), max(0.03 * w, 0.6)
        )  # wax is grainy
        away = np.abs(smooth - cv2.GaussianBlur(self.patch.bare, (0, 0), 3.0)).sum(axis=2)
        near = opaque & (np.abs(t) < 1.5) & (np.abs(v) < BOX * w)
        band = opaque & (np.abs(t) < 1.1) & (np.abs(v) < 1.5 * BAND * w)
        if not band.any():
            return band
        bytes_ = np.clip(away[band] / 3, 0, 255).astype(np.uint8)
        limit = max(3 * cv2.threshold(bytes_, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0], LEAST_CONTRAST)
        different = (near & (away > limit)).astype(np.uint8)
        _, labels = cv2.connectedComponents(different, connectivity=8)
        touching = np.unique(labels[(np.abs(v) < BAND * w) & (np.abs(t) < 0.9) & (labels > 0)])
        kept = np.isin(labels, touching)
        for label in touching.tolist():
            if (np.abs(t[labels == label]) > 1.45).any():  # runs on: the outline of the face
                kept &= (labels != label) | ((np.abs(t) < 1.15) & (np.abs(v) < 1.5 * BAND * w))
        return np.asarray(kept)

    def _curve(self, stroke: Mask, t: Doubles, v: Doubles) -> tuple[float, float]:
        """How far the drawn line bows down in its middle, and how far below the corners it begins."""
        if stroke.sum() < 8:
            return 0.1 * self._width, 0.0
        columns = np.clip(t[stroke], -1, 1)
        (bow, level), *_ = np.linalg.lstsq(np.stack([1 - columns**2, np.ones(len(columns))], 1), v[stroke], rcond=None)
        w = self._width
        return float(np.clip(bow, -0.4 * w, 0.4 * w)), float(np.clip(level, -0.1 * w, 0.1 * w))

    def draw(self, picture: Picture, face: Expression) -> None:
        jaw = max(face.jaw, 0.3 * face.round)
        self._is_open = jaw > (SHUTS_AT if self._is_open else OPENS_AT)
        out = picture[self.patch.at]
        if self._is_open:
            w, smile = self._width, max(face.smile, 0.0)
            _lay(out, self.patch.bare, self._cover)
            half = 0.5 * w * (1 + 0.14 * smile + 0.12 * face.wide) * (1 - 0.45 * face.round)
            gap = MOST_GAP * w * jaw * (1 - 0.25 * face.wide)
            t = np.linspace(-1, 1, 25)
            arch = 1 - t**2
            upper = self._level + self._bow * (1 - 0.5 * jaw) * arch - 0.12 * gap * arch - 0.06 * w * smile * t**2
            lower = upper + gap * arch**0.6
            mouth = self._placed(np.concatenate([half * t, half * t[::-1]]), np.concatenate([upper, lower[::-1]]))
            self._fill(out, mouth, self._inside)
            if gap > TEETH_FROM_PX:
                teeth = upper + np.minimum(TEETH * gap, lower - upper)
                band = self._placed(np.concatenate([half * t, half * t[::-1]]), np.concatenate([upper, teeth[::-1]]))
                self._fill(out, band, np.array([236.0, 244.0, 246.0]))
            cover = np.zeros(out.shape[:2], np.uint8)
            cv2.polylines(cover, [mouth], True, 255, max(round(self._line_px), 1), cv2.LINE_AA, SUBPIXEL)
            _lay(out, self._ink, cover / 255)

    def _placed(self, along: Doubles, down: Doubles) -> npt.NDArray[np.int32]:
        points = self._middle - self.patch.origin + along[:, None] * self._along + down[:, None] * self._down
        return np.asarray(np.rint(points * (1 << SUBPIXEL)), np.int32)

    def _fill(self, out: Picture, outline: npt.NDArray[np.int32], colour: Doubles) -> None:
        cover = np.zeros(out.shape[:2], np.uint8)
        cv2.fillPoly(cover, [outline], 255, cv2.LINE_AA, SUBPIXEL)
        _lay(out, colour, cover / 255)


def _ring(inner: float, outer: float, across: float, down: float) -> tuple[float, float, float, float]:
    return inner, outer, across, down


def _patch(picture: Picture, middle: Doubles, reach: float, ring: tuple[float, float, float, float]) -> _Patch:
    """The square around a place, cut to the picture, with a smooth surface of the colours of a ring around it."""
    height, width = picture.shape[:2]
    x0, y0 = np.clip(np.floor(middle - reach), 0, (width - 2, height - 2)).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(middle + reach), (x0 + 2, y0 + 2), (width, height)).astype(int).tolist()
    at = (slice(y0, y1), slice(x0, x1))
    drawn = picture[at].copy()
    rows, columns = np.mgrid[y0:y1, x0:x1]
    inner, outer, across, down = ring
    away = np.hypot((columns - middle[0]) / across, (rows - middle[1]) / down)
    around = (away > inner) & (away < outer) & (drawn[..., 3] > 250)
    return _Patch(at, drawn, _surface(drawn, around), np.array([x0, y0], np.float64))


def _surface(drawn: Picture, around: Mask) -> Floats:
    """(h, w, 3): a plane through the colours around, without the strokes there, with their grain."""
    height, width = around.shape
    rows, columns = np.mgrid[:height, :width]
    terms = np.stack([np.ones((height, width)), columns / width - 0.5, rows / height - 0.5], -1)
    colours = drawn[..., :3].astype(np.float64)
    if around.sum() < 12:
        around = drawn[..., 3] > 250 if (drawn[..., 3] > 250).any() else np.ones_like(around)
    middle = np.median(colours[around], axis=0)
    away = np.abs(colours - middle).sum(axis=2)
    kept = around & (away <= max(2.5 * float(np.median(away[around])), 12.0))
    fit, *_ = np.linalg.lstsq(terms[kept], colours[kept], rcond=None)
    plane = terms @ fit
    grain = float(np.sqrt(np.mean((colours[kept] - plane[kept]) ** 2)))
    noise = np.asarray(
        cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (height, width)), (0, 0), 1.0), np.float64
    )
    noise = noise / max(float(noise.std()), 1e-6) * min(grain, 12.0)
    return np.asarray(np.clip(plane + noise[..., None], 0, 255), np.float32)


def _darkest(patch: _Patch, where: Mask) -> Doubles:
    """(3,): the colour of the strokes there, which is what differs most from what is around."""
    if not where.any():
        return np.array([30.0, 30.0, 30.0])
    colours = patch.drawn[where][:, :3].astype(np.float64)
    away = np.abs(colours - patch.bare[where]).sum(axis=1) - 0.5 * colours.sum(axis=1)
    return np.asarray(np.median(colours[away >= np.percentile(away, 70)], axis=0))


def _grown(mask: Mask, by: float) -> Floats:
    """A mask and what is so near to it, 0 or 1."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away <= by, np.float32) if mask.any() else np.zeros(mask.shape, np.float32)


def _lay(out: Picture, colour: Doubles | Floats, share: Doubles | Floats) -> None:
    """Lay a colour over a picture whose colours are multiplied by alpha, which stays."""
    part = np.asarray(share, np.float64)[..., None]
    mixed = out[..., :3] * (1 - part) + colour * part * (out[..., 3:] / 255.0)
    out[..., :3] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
