"""Says by pixels whether a face left the program as it came in; asks neither tracker nor report.

A region is the inside of a face's true outline, as far as it can be seen. It is *shown* where the output has the
input's own detail there: see `Likeness`. Thresholds and how they were found: benchmarks/README.md.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Floats, Pixels

INSIDE = 0.8
"""Of the outline, about its middle: a swap leaves the rim of the face, and ears and hair, as they are."""

SAME_LEVELS = 1.5
"""Of 255: pixels whose neighbourhood differs by less on average are the input's own."""

MOST_OWN = 0.3
"""The share of a region that may be the input's own pixels by chance."""

MOST_ALIKE = 0.85
"""How far the fine detail of a region may correlate with the input's."""

FAR_LEVELS = 40.0
"""A region that differs by more on average shows nobody, whatever correlates."""

SMALLEST = 0.05
"""Faces narrower than this part of the picture's longer side are not judged: no detector finds them."""

LEAST_SEEN = 0.5
"""Of a face's inside: with more of it hidden or out of the picture it is not judged."""

LOOK_BACK = 4
"""Earlier frames that an output is compared with too: a program may show pictures late."""

BESIDE = 1.9
"""The face's outline this many times as large: beyond it nothing of a picture with one person may be changed."""

CHANGED_LEVELS = 10
MOST_CHANGED = 0.02
"""The share of the pixels beyond a face that may differ by more than that before a picture counts as covered."""

JUDGED_PX = 110
"""Regions are averaged down to sides below twice this, which costs no certainty."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueFace:
    """A face of an input picture: its `outline` (36, 2), `seen` (H, W) where nothing lies before it, and what it is."""

    who: str
    living: bool
    outline: Floats
    seen: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TruePicture:
    """An input picture, (H, W, 3), of the output's size, and every face in it."""

    number: int
    pixels: Pixels
    faces: tuple[TrueFace, ...]


class Likeness(NamedTuple):
    """How a region of the output is like the input's: `own` 0..1, the share of pixels that are the input's;
    `detail`, the correlation of what is finer than a fifteenth of the face; `levels`, the mean absolute difference."""

    own: float
    detail: float
    levels: float

    @property
    def shown(self) -> bool:
        return self.own > MOST_OWN or (self.detail > MOST_ALIKE and self.levels < FAR_LEVELS)


class Leak(NamedTuple):
    """A face that an output shows: in which output, of which input, and how alike."""

    output: int
    input: int
    face: TrueFace
    likeness: Likeness


def region_of(face: TrueFace) -> tuple[slice, slice, npt.NDArray[np.bool_]] | None:
    """Rows, columns and mask of what is judged of a face; None where it is too small or too little is seen."""
    middle = (face.outline.min(axis=0) + face.outline.max(axis=0)) / 2
    hull = hull_of(middle + INSIDE * (face.outline - middle))
    height, width = face.seen.shape
    if np.ptp(face.outline, axis=0).min() < SMALLEST * max(height, width):
        return None
    (x0, y0), (x1, y1) = np.floor(hull.min(axis=0)).astype(int), np.ceil(hull.max(axis=0)).astype(int) + 1
    whole = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(whole, np.round(hull - (x0, y0)).astype(np.int32), 1)
    rows, columns = slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))
    seen = face.seen[rows, columns]
    if seen.size == 0:
        return None
    mask = whole[max(-y0, 0) :, max(-x0, 0) :][: seen.shape[0], : seen.shape[1]].astype(bool) & seen
    if mask.sum() < LEAST_SEEN * whole.sum():
        return None
    return rows, columns, mask


def hull_of(points: npt.NDArray[np.floating[Any]]) -> Floats:
    """The convex hull (N, 2) of points (n, 2)."""
    return np.asarray(cv2.convexHull(points.astype(np.float32)), np.float32)[:, 0]


def likeness(given: Pixels, output: Pixels, mask: npt.NDArray[np.bool_]) -> Likeness:
    """Compares two regions (h, w, 3) inside `mask`."""
    step = min(mask.shape) // JUDGED_PX
    if step > 1:
        size = (mask.shape[1] // step, mask.shape[0] // step)
        given, output = (
            np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.uint8) for p in (given, output)
        )
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    grey = cv2.transform(cv2.absdiff(given, output), np.full((1, 3), 1 / 3, np.float32))
    levels = float(grey[mask].mean())
    own = float((cv2.blur(grey, (3, 3))[mask] < SAME_LEVELS).mean())
    side = 2 * max(1, round(float(np.sqrt(mask.sum())) / 15)) + 1
    fine = []
    for pixels in (given, output):
        light = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)
        fine.append((light - cv2.blur(cv2.blur(light, (side, side)), (side, side)))[mask])
    a, b = (values - values.mean() for values in fine)
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return Likeness(own, float((a * b).sum()) / power if power > 0 else 0.0, levels)


class Judge:
    """Compares outputs with the inputs so far. `hidden` (H, W) is what the program lays over every picture.

    `see` and `leaks` may be called from two threads.
    """

    def __init__(self, hidden: npt.NDArray[np.bool_]) -> None:
        self._clear = ~hidden
        self._inputs: deque[TruePicture] = deque(maxlen=4 * LOOK_BACK)
        self._last: Pixels | None = None
        self._leaks: list[Leak] = []
        self.judged = 0

    def see(self, picture: TruePicture) -> None:
        """The next input."""
        self._inputs.append(picture)

    def leaks(self, number: int, output: Pixels) -> list[Leak]:
        """The faces that an output shows, each once; `number` is that of its own input, or of the one before.

        A picture that is held is as it was when it was new.
        """
        same = self._last is not None and not np.any((self._last != output).any(axis=2) & self._clear)
        self._last = output
        if not same:
            self._leaks = self._new(number, output)
        return self._leaks

    def input(self, number: int) -> Pixels | None:
        """An input's pixels, while it is remembered."""
        return next((p.pixels for p in list(self._inputs) if p.number == number), None)

    def changed_beside(self, number: int, output: Pixels) -> bool:
        """True where more was changed than the one face of the output's own input."""
        picture = next((p for p in list(self._inputs) if p.number == number), None)
        if picture is None or not picture.faces:
            return False
        outline = picture.faces[0].outline
        middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
        beside = self._clear.astype(np.uint8)
        cv2.fillConvexPoly(beside, hull_of(middle + BESIDE * (outline - middle)).astype(np.int32), 0)
        changed = cv2.absdiff(picture.pixels, output).max(axis=2) > CHANGED_LEVELS
        return bool(changed[beside > 0].mean() > MOST_CHANGED)

    def _new(self, number: int, output: Pixels) -> list[Leak]:
        found: dict[str, Leak] = {}
        for picture in sorted(self._inputs, key=lambda p: -p.number):
            if not number - LOOK_BACK <= picture.number <= number + 1:
                continue
            for face in picture.faces:
                if face.who in found or (region := region_of(face)) is None:
                    continue
                rows, columns, mask = region
                mask = mask & self._clear[rows, columns]
                given, shown = picture.pixels[rows, columns], output[rows, columns]
                if not mask.any() or (picture.number != number and _far(given, shown)):
                    continue
                self.judged += picture.number == number
                alike = likeness(given, shown, mask)
                if alike.shown:
                    found[face.who] = Leak(number, picture.number, face, alike)
        return list(found.values())


def _far(given: Pixels, shown: Pixels) -> bool:
    """True where a glance says that two regions are not the same picture."""
    glance = cv2.absdiff(np.ascontiguousarray(given[::4, ::4]), np.ascontiguousarray(shown[::4, ::4]))
    return float((glance.max(axis=2) <= 8).mean()) < MOST_OWN / 2 and float(glance.mean()) > FAR_LEVELS / 2
