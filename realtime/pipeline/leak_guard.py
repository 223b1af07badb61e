"""Looks at a picture before it leaves: no face that came in may be in it, unless the user allowed it.

It believes neither the tracker nor the effect. It searches every frame for faces itself (`tracking.face_search`); a
face that was to be replaced must lie where the search sees one, and the output must differ there by what a replacement
must differ; every other face is covered. Whatever is doubtful raises `Doubtful`, which is a miss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.config import Settings
from realtime.errors import MasqueradeError
from realtime.frame import Floats, Pixels
from realtime.imaging.align import FACE_OVAL
from realtime.imaging.cover import Oval, cover
from realtime.tracking.face import Face
from realtime.tracking.face_networks import Detection, Region, region_around
from realtime.tracking.face_search import FaceSearch

EYES_NOSE_MOUTH = ((33, 133), (362, 263), (1, 1), (13, 14))
"""Landmarks whose middles are the detector's first four points."""
_FEATURES = np.array(EYES_NOSE_MOUTH)
MOST_APART = 0.2  # of the face's height, of any of these points; 0.08 at most on the clips that it was measured on
UPRIGHT = (
    0.89  # the detector's score; of filmed and rendered faces that hang 0.87 at most, of upright ones 0.90 at least
)
LOOK = 1.5  # a look at a face alone: so many times `region_around`
CLOSE = 0.8  # of the face's height: a face that the detector sees so near to a replaced one is the same, or over it
STEADY = 0.4  # the same of the features of a face that no detector sees, from one frame to the next
HANGS = 1.0  # radians from upright: the detector misreads the features of such a face
SAME_PLACE, SAME_SIZE = 0.45, 1.5  # and sees it so far away, and so much larger or smaller, at most
AT_EASE = 0.1  # of a face that need not be looked at again
TRUSTED = 5  # frames in a row at most

PATCH = 48  # the side of the patches that are compared, 1.5 times the face
WINDOW = 7  # a neighbourhood in them
FINE_SIGMA = 3.0  # coarser than that is light and shade, which a replacement takes over
ALIKE = 0.95  # the correlation of a neighbourhood that was not replaced; with sharpening and colours changed, too
MOST_ALIKE = 0.5  # the share of such neighbourhoods: 0.2 at most for the built-in identities, 0.83 and more for nothing
LEAST_LEVELS = 0.75  # of 255: a patch that differs by less on average is the same
INNER = 0.8  # of the face's outline: beyond it lies hair, which stays

SMALL, SAME_PLACE = 24, 0.9  # the side of the patches of places, and the correlation of one that looks as it did
COVER_ACROSS, COVER_DOWN, COVER_UP = 0.7, 0.9, 0.1  # of the detector's box: radii of the cover, and how far it lies up
CERTAIN, UNCERTAIN, MOST_GROWN = 0.85, 0.6, 1.6  # the less sure the detector is, the less it knows where the face ends


class Doubtful(MasqueradeError):
    """A picture that may show a face that it should not: it does not leave, and nobody made an error."""


class OthersSeen(Doubtful):
    """There is another face in the picture, and the settings want the slate then."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A picture that may leave. `covered`: how many faces were covered in it. `raw`: one may be as it came in."""

    pixels: Pixels
    covered: int = 0
    raw: bool = False


class LeakGuard:
    """For one thread, called with the frames in their order. Owns `search`.

    `allow_raw`: a picture with the user's own face may leave, and is only marked.
    """

    def __init__(self, search: FaceSearch, *, allow_raw: bool = False) -> None:
        self._search, self._allow_raw = search, allow_raw
        self.sessions = search.sessions
        self._others: list[Detection] = []
        self._before: dict[int, Floats] = {}  # the features of replaced faces by track, in the frame before
        self._seen_at: dict[int, Floats] = {}  # and in the last one that was searched
        self._upright: dict[int, Floats] = {}  # how places looked where a face was seen to be the right way up
        self._trusted = 0
        self._replaced: list[tuple[Face, Floats]] = []  # faces that were replaced, and how their places looked

    def __call__(
        self,
        given: Pixels,
        made: Pixels,
        settings: Settings,
        *,
        replaced: Sequence[Face] = (),
        kept: Sequence[Face] = (),
        missed: Sequence[Face] = (),
    ) -> Checked:
        """`made` of the frame `given`, with every face covered that is neither `replaced` nor `kept` on purpose.

        `missed`: faces that the tracker knows of and the effect did not replace. Raises Doubtful.
        """
        expected = [face.box for face in (*replaced, *kept, *missed)]
        found = self._search(given, expected, at_ease=self._at_ease(replaced))
        if found is not None:
            own = [seen for seen in found if any(_is_of(seen, face) for face in (*replaced, *kept))]
            self._others = [seen for seen in found if not any(seen is other for other in own)]
            self._search.watch(self._others, own)
        raw = False
        try:
            self._check_replaced(given, made, replaced, found)
        except Doubtful:
            self._seen_at.clear()
            if not self._allow_raw:
                raise
            raw = True
        if found is not None:
            self._seen_at = {face.track: _features(face) for face in replaced}
            self._trusted = 0
        self._before = {face.track: _features(face) for face in replaced}
        self._upright = {track: patch for track, patch in self._upright.items() if track in self._before}
        left = self._left_behind(given, (*replaced, *kept, *missed))
        ovals = [_oval_of(seen) for seen in self._others] + [_oval_around(face) for face in (*missed, *left)]
        if settings.others == "show" or not ovals:
            return Checked(made, raw=raw)
        if settings.others == "card":
            raise OthersSeen("another face is in the picture")
        return Checked(cover(made, ovals), len(ovals), raw)

    def _left_behind(self, given: Pixels, faces: Sequence[Face]) -> list[Face]:
        """Faces that were replaced and are not among `faces` now, while their place looks as it did.

        The detector may not see them, a poster of a turned head say: the tracker did, and follows somebody else.
        """
        still = [
            (face, patch)
            for face, patch in self._replaced
            if not any(_overlap(face, other) for other in faces) and _alike(patch, _patch(given, face))
        ]
        self._replaced = still + [(face, _patch(given, face)) for face in faces]
        return [face for face, _ in still]

    def _at_ease(self, faces: Sequence[Face]) -> bool:
        """Whether all of these are about where they were when the detector last saw them, a frame or two ago."""
        self._trusted += 1
        if self._trusted > TRUSTED or {face.track for face in faces} != self._seen_at.keys():
            return False
        return all(_moved(face, self._seen_at[face.track]) <= AT_EASE for face in faces)

    def _check_replaced(
        self, given: Pixels, made: Pixels, faces: Sequence[Face], found: Sequence[Detection] | None
    ) -> None:
        """Raises Doubtful where one of the faces was not replaced, or there is none in its place."""
        before, self._before = self._before, {}
        for face in faces:
            if found is not None:
                self._check_place(given, face, found, before.get(face.track))
            if share_alike(given, made, face.landmarks) > MOST_ALIKE:
                raise Doubtful("the face is as it came in: the model or the mask's settings replace nothing")

    def _check_place(self, given: Pixels, face: Face, found: Sequence[Detection], before: Floats | None) -> None:
        """Raises Doubtful where the landmarks do not lie on a face as the detector sees it."""
        fitting = [seen.score for seen in found if _apart(seen, face) <= MOST_APART]
        fits, patch = bool(fitting), _patch(given, face)
        if fits and max(fitting) >= UPRIGHT:
            self._upright[face.track] = patch
        if fits and (known := self._upright.get(face.track)) is not None and _alike(known, patch):
            return
        # Turned upright, a face that lies or hangs is one for the detector, too; and one that hangs from where the
        # landmarks say that its chin is, is one the other way up.
        upright, hanging = (self._look_turned(given, face, turn) for turn in (0.0, math.pi))
        if hanging and hanging[0].score > max((seen.score for seen in upright), default=0.0):
            raise Doubtful("the landmarks hold the face for one the other way up")
        if fits or any(_apart(seen, face) <= MOST_APART for seen in upright):
            self._upright[face.track] = patch
            return
        if any(_apart(seen, face) <= CLOSE for seen in (*found, *upright)):
            raise Doubtful("the landmarks do not fit the face that is there")
        # A profile, or a hand before the face: no detector sees it, and the tracker follows it from frame to frame.
        if before is None or _moved(face, before) > STEADY:
            raise Doubtful("no face is seen where the landmarks are")
        # Unless it looks as it did when one saw it: then it is the search that fails, and others are overlooked, too.
        if (known := self._upright.get(face.track)) is not None and _alike(known, patch):
            raise Doubtful("the search for faces does not see what it saw")

    def _look_turned(self, given: Pixels, face: Face, turn: float) -> list[Detection]:
        around = region_around(face.landmarks)
        wide = LOOK * around.width
        return self._search.detect(given, Region(around.x, around.y, wide, wide, around.turn + turn))

    def close(self) -> None:
        """Free the network. May be called twice."""
        self._search.close()


def _patch(pixels: Pixels, face: Face) -> Floats:
    """A face's place, small and grey: (SMALL, SMALL) float32, its mean 0 and its length 1."""
    crop_from_frame = region_around(face.landmarks).crop_from_frame(PATCH)
    crop = cv2.warpAffine(pixels, crop_from_frame, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(crop, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)
    grey -= grey.mean()
    return np.asarray(grey / max(float(np.linalg.norm(grey)), 1e-6), np.float32)


def _alike(a: Floats, b: Floats) -> bool:
    return float((a * b).sum()) > SAME_PLACE


def _overlap(a: Face, b: Face) -> bool:
    """Whether either face holds the other's middle."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.box, b.box
    across, down = abs(ax0 + ax1 - bx0 - bx1) / 2, abs(ay0 + ay1 - by0 - by1) / 2
    return across < max(ax1 - ax0, bx1 - bx0) / 2 and down < max(ay1 - ay0, by1 - by0) / 2


def share_alike(given: Pixels, made: Pixels, landmarks: Floats) -> float:
    """The share 0..1 of a face that is in `made` as it is in `given`, whatever its colours and its sharpness."""
    crop_from_frame = region_around(landmarks).crop_from_frame(PATCH)
    patches = [
        cv2.warpAffine(pixels, crop_from_frame, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE)
        for pixels in (given, made)
    ]
    points = landmarks[list(FACE_OVAL), :2] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    middle = points.mean(axis=0)
    inner = np.zeros((PATCH, PATCH), np.uint8)
    cv2.fillConvexPoly(inner, cv2.convexHull(np.rint(middle + INNER * (points - middle)).astype(np.int32)), 1)
    inside = inner > 0
    if float(cv2.absdiff(*patches)[inside].mean()) < LEAST_LEVELS:
        return 1.0
    fine = []
    for patch in patches:
        light = np.asarray(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY), np.float32)
        fine.append(light - cv2.GaussianBlur(light, (0, 0), FINE_SIGMA))
    a, b = fine
    power = np.sqrt(_around(a * a) * _around(b * b))
    alike = _around(a * b) > ALIKE * np.maximum(power, 1e-3)
    return float(alike[inside].mean())


def _around(values: Floats) -> Floats:
    return np.asarray(cv2.boxFilter(values, -1, (WINDOW, WINDOW)), np.float32)


def _height(face: Face) -> float:
    return max(float(np.hypot(*(face.landmarks[10, :2] - face.landmarks[152, :2]))), 1e-6)


def _features(face: Face) -> Floats:
    """(4, 2): eyes, nose and mouth in frame pixels."""
    return np.asarray(face.landmarks[_FEATURES, :2].mean(axis=1), np.float32)


def _moved(face: Face, before: Floats) -> float:
    """How far the features are from where others were at most, in heights of the face."""
    return float(np.linalg.norm(_features(face) - before, axis=1).max()) / _height(face)


def _apart(seen: Detection, face: Face) -> float:
    """The same for those of a face that the detector saw."""
    return _moved(face, seen.points[:4])


def _is_of(seen: Detection, face: Face) -> bool:
    """True where the detector saw a face that is replaced: its features lie on it, or a hanging one's in its place."""
    hull = cv2.convexHull(face.landmarks[list(FACE_OVAL), :2].astype(np.float32))
    if all(cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in seen.points[:4]):
        return True
    if abs(region_around(face.landmarks).turn) < HANGS:
        return False
    (x0, y0, x1, y1), (u0, v0, u1, v1) = seen.box, face.box
    side = max((u1 - u0 + v1 - v0) / 2, 1e-6)
    away = math.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) / 2
    return away <= SAME_PLACE * side and 1 / SAME_SIZE <= (x1 - x0) / side <= SAME_SIZE


def _oval_of(seen: Detection) -> Oval:
    """What hides a face that the detector saw, forehead and ears included."""
    x0, y0, x1, y1 = seen.box
    unsure = float(np.clip((CERTAIN - seen.score) / (CERTAIN - UNCERTAIN), 0.0, 1.0))
    side = max(x1 - x0, y1 - y0) * (1.0 + unsure * (MOST_GROWN - 1.0))
    turn = seen.region.turn
    x, y = (x0 + x1) / 2 + COVER_UP * side * math.sin(turn), (y0 + y1) / 2 - COVER_UP * side * math.cos(turn)
    return Oval(x, y, COVER_ACROSS * side, COVER_DOWN * side, turn)


def _oval_around(face: Face) -> Oval:
    """The same for landmarks."""
    around = region_around(face.landmarks)
    return Oval(around.x, around.y, 0.5 * around.width, 0.5 * around.height, around.turn)
