"""Makes picture sets of pictures: frames faces alike, sorts them by expression and view, makes what is missing.

What is missing is made as the motion family moves a still: the resting picture's mesh goes where the readings of
somebody else's expressions lead, and a network paints teeth and lids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from realtime.errors import ConfigError
from realtime.families.face_swap.light import flatten
from realtime.families.face_swap.skin_reading import LUMA, FaceSkin, open_face_skin, read_skin
from realtime.families.face_swap.skin_tone import mean_skin, retone, skin_map
from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LANDMARKS,
    OUTER_LOWER_LIP,
    OUTER_UPPER_LIP,
    OVAL,
    Reading,
)
from realtime.families.motion.mesh.interior import filled
from realtime.families.motion.mesh.model import MeshModel, open_mesh_model
from realtime.families.motion.mesh.source import MeshSource, source_of_crop
from realtime.families.motion.motion_model import Motion
from realtime.frame import Doubles, Floats, Pixels
from realtime.imaging.affine import Matrix, warp
from realtime.inference.file_kind import read_arrays
from realtime.models.avatar import Avatar
from realtime.models.card import Expression, View
from realtime.models.expressions import SMILES, expression_of, lips_apart, unrest, view_of
from realtime.models.library import load_bundle
from realtime.models.picture_set import KeyPicture, PictureSet
from realtime.tracking.face import Face

SIDE = 512
EYES_APART = 0.28  # the distance of the outer eye corners, in sides
EXPRESSIONS_FILE = "expressions.npz"
MADE: tuple[Expression, ...] = ("open", "smile", "closed")  # what a set gets where it lacks it
READ: tuple[Expression, ...] = ("rest", *MADE)  # what `EXPRESSIONS_FILE` holds, in its order
CLOSED_LIPS = 0.05  # lips further apart than this are no resting mouth
_FULL_SMILE = 0.95  # what is read of the smile in `EXPRESSIONS_FILE`
_MOST_TINT, _MOST_BRIGHTER = 0.12, 0.7  # logarithms
_LEAST_RED = 0.1  # the logarithm of red over green: of anybody's skin in any white light it is more
_SURELY_CM = 0.3
_TO_EACH_OTHER = ((INNER_UPPER_LIP, -0.3), (OUTER_UPPER_LIP, -0.22), (INNER_LOWER_LIP, 0.7), (OUTER_LOWER_LIP, 0.52))
_OUTER_EYES = (33, 263)
_OVER_OVAL = 1.04
_ROUND_BROWS, _ROUND_HAIR = 1, 7  # pixels of a key picture
_LEAST_HAIR, _MOST_HAIR = 0.004, 0.3  # shares of the face; where there is more, nobody knows what skin is
_BROWS = (
    np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46], np.intp),
    np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276], np.intp),
)
_AS_IT_IS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture of a person, (H, W, 3) uint8 BGR, and the face in it; None where nobody says what it shows."""

    pixels: Pixels
    face: Face
    expression: Expression | None = None
    view: View | None = None


def key_from_picture(landmarks: Floats, side: int = SIDE) -> Matrix:
    """The matrix from a picture to the square of a key picture: eyes level, of one size, the face in the middle."""
    points = landmarks.astype(np.float64)
    across = points[_OUTER_EYES[1]] - points[_OUTER_EYES[0]]
    scale = EYES_APART * side / max(float(np.linalg.norm(across)), 1e-6)  # with its depth: a turned head is no smaller
    angle = np.arctan2(across[1], across[0])
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    oval = points[OVAL, :2] @ turn.T
    middle = (oval.min(axis=0) + oval.max(axis=0)) / 2
    return np.column_stack([turn, 0.5 * (side - 1) - middle])


def framed(photo: Photo, side: int = SIDE) -> KeyPicture:
    """A picture as a key picture: its square, and its landmarks there."""
    matrix = key_from_picture(photo.face.landmarks, side)
    pixels = warp(photo.pixels, matrix, side, side, "edge")
    expression, view = photo.expression or "rest", photo.view or "front"
    return KeyPicture(pixels, moved_points(photo.face.landmarks, matrix), expression, view)


def moved_points(landmarks: Floats, to_from: Matrix) -> Floats:
    """Landmarks (478, 3) seen through a similarity, their depth scaled along."""
    flat = landmarks[:, :2] @ to_from[:, :2].T + to_from[:, 2]
    scale = float(np.hypot(to_from[0, 0], to_from[1, 0]))
    return np.column_stack([flat, scale * landmarks[:, 2]]).astype(np.float32)


def photos_of(avatar: Avatar) -> list[Photo]:
    """The pictures of an avatar whose face was found. Raises ConfigError where there was none."""
    if avatar.face is None:
        raise ConfigError(f"avatar {avatar.name}: there is no face in its picture: choose another")
    more = [Photo(one.pixels, one.face, one.expression, one.view) for one in avatar.more]
    return [Photo(avatar.pixels, avatar.face), *more]


def sorted_photos(photos: Sequence[Photo]) -> list[Photo]:
    """The pictures with their expression and view, the best of each kind; None what is left where it is between two.

    What a picture says of itself counts; the tracker sorts the others.
    """
    best: dict[tuple[Expression | None, View], Photo] = {}
    for photo in photos:
        expression = photo.expression or expression_of(photo.face.blendshapes, lips_apart(photo.face.landmarks))
        view = photo.view or view_of(photo.face)
        if view is None:
            continue
        known = best.get((expression, view))
        stated = photo.expression is not None
        if known is None or (not stated and unrest(photo.face) < unrest(known.face)):
            best[expression, view] = replace(photo, expression=expression, view=view)
    return list(best.values())


class KeyPictureMaker:
    """Makes picture sets of photographs. Owns the motion model that moves them; one thread."""

    def __init__(self, model: MeshModel, readings: Mapping[Expression, Reading], skin: FaceSkin) -> None:
        self._model, self._readings, self.skin = model, readings, skin
        self.sessions = model.sessions

    def __call__(self, name: str, photos: Sequence[Photo]) -> PictureSet:
        """The set of one person's pictures. Raises ConfigError, in which `name` says whose, where none can be worn."""
        found = sorted_photos(photos) or [min(photos, key=lambda photo: unrest(photo.face))]
        front = [photo for photo in found if photo.view == "front"]
        if not front:  # the one that looks aside least will do
            nearest = min(found, key=lambda photo: unrest(photo.face))
            front = [replace(nearest, view="front")]
        aside = [photo for photo in found if photo.view not in (None, "front") and photo.expression is not None]
        awake = [photo for photo in front if photo.expression != "closed"]
        if not awake:
            raise ConfigError(f"avatar {name}: its eyes are closed: take a picture with open eyes")
        base = next((photo for photo in awake if photo.expression == "rest"), None)
        calmest = base or min(awake, key=lambda photo: unrest(photo.face))
        first = self._flat(calmest)
        tone = np.log(mean_skin(self.skin, first.pixels, first.points))
        others = [photo for photo in (*front, *aside) if photo.expression is not None and photo is not base]
        keys = [self._at_rest(first, calmest), *(self._flat(photo, tone) for photo in others)]
        whole = self.complete(PictureSet(tuple(keys)))
        return PictureSet(tuple(self._with_skin(key) for key in whole.keys))

    def complete(self, pictures: PictureSet) -> PictureSet:
        """The set with an open mouth, a smile and closed lids, made of the resting picture where it has none."""
        missing = [expression for expression in MADE if pictures.find(expression) is None]
        if not missing:
            return pictures
        source = self._source(pictures.rest)
        made = [self._moved(source, self._readings["rest"], self._readings[name], name) for name in missing]
        return PictureSet((*pictures.keys, *made))

    def _at_rest(self, key: KeyPicture, photo: Photo) -> KeyPicture:
        """The key picture of a photograph as the one at rest, whatever its face does."""
        key = replace(key, expression="rest", view="front")
        if photo.expression == "rest" or lips_apart(key.points) < CLOSED_LIPS:
            return key
        shown: Expression = "open" if photo.expression == "open" else "smile"
        read = float(photo.face.blendshapes[SMILES].mean())
        share = 1.0 if shown == "open" else float(np.clip(read / _FULL_SMILE, 0.3, 1.0))
        source, rest = self._source(key), self._readings["rest"]
        # A motion model takes lips that are apart for speech, and lets them be: told to go further, they meet.
        further = (
            float((source.rest.shape[INNER_UPPER_LIP, 1] - source.rest.shape[INNER_LOWER_LIP, 1]).max()) + _SURELY_CM
        )
        shut = rest.shape.copy()
        for row, amount in _TO_EACH_OTHER:
            shut[row, 1] += amount * further
        return self._moved(source, self._readings[shown], replace(rest, shape=shut), "rest", share)

    def _flat(self, photo: Photo, tone: Floats | None = None) -> KeyPicture:
        """A picture framed, the light of its room divided out; its skin gets the `tone` (3,), log, or one of its own.

        That is its tone in the picture moved towards the most likely tone of somebody's skin, but not far: a marble
        bust and a green face keep their colour.
        """
        key = framed(photo)
        pixels = flatten(self.skin, key.pixels, key.points)
        likely = np.log(mean_skin(self.skin, pixels, key.points))
        shown = read_skin(self.skin, key.pixels, key.points).log_skin(self.skin.pattern)
        brighter = float((likely - shown) @ LUMA)
        tint = likely - shown - brighter
        if shown[2] - shown[1] < _LEAST_RED:
            pixels, tint = _as_bright(key.pixels, pixels), np.zeros(3)
            likely = np.log(mean_skin(self.skin, pixels, key.points))
        if tone is None:
            tint = np.clip(tint, -_MOST_TINT, _MOST_TINT)
            tone = np.asarray(shown + np.clip(brighter, -_MOST_BRIGHTER, _MOST_BRIGHTER) + tint, np.float32)
        return replace(key, pixels=self._without_fringe(retone(pixels, None, tone - likely), key.points))

    def _without_fringe(self, pixels: Pixels, points: Floats) -> Pixels:
        """A key picture without the hair that hangs into its forehead: skin is drawn over it from what is round it.

        Hair of one head does not fit on another's. What is below the eyes stays: a beard belongs to its face.
        """
        size = pixels.shape[:2]
        oval = filled((size[1], size[0]), _grown(points[OVAL, :2].astype(np.float64), _OVER_OVAL)) > 0
        bare = skin_map(self.skin, pixels, points) > 200
        eyes_y = float(points[_OUTER_EYES[0], 1] + points[_OUTER_EYES[1], 1]) / 2
        above = np.arange(size[0])[:, None] < eyes_y
        kept: Pixels = np.zeros(size, np.uint8)
        for part in (*_BROWS, *(eye.ring for eye in EYES)):
            cv2.fillConvexPoly(kept, cv2.convexHull(np.rint(points[part, :2]).astype(np.int32)), 1)
        kept = np.asarray(cv2.dilate(kept, _disc(_ROUND_BROWS)), np.uint8)
        hair = cv2.morphologyEx((oval & above & ~bare & (kept == 0)).astype(np.uint8), cv2.MORPH_OPEN, _disc(2))
        hair = cv2.dilate(hair, _disc(_ROUND_HAIR)) * above * (kept == 0)
        if not _LEAST_HAIR < hair.sum() / oval.sum() < _MOST_HAIR:
            return pixels
        known = (oval & bare & (hair == 0)).astype(np.float32)
        total, drawn = np.full(size, 1e-6, np.float32), np.zeros(pixels.shape, np.float32)
        for sigma, share in ((4.0, 1.0), (12.0, 1e-2), (40.0, 1e-4)):
            total += share * cv2.GaussianBlur(known, (0, 0), sigma)
            drawn += share * cv2.GaussianBlur(pixels * known[..., None], (0, 0), sigma)
        soft = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), 2.0)[..., None]
        return np.asarray(pixels + soft * (drawn / total[..., None] - pixels) + 0.5, np.uint8)

    def _with_skin(self, key: KeyPicture) -> KeyPicture:
        return replace(key, skin=skin_map(self.skin, key.pixels, key.points))

    def _source(self, key: KeyPicture) -> MeshSource:
        still = Face(key.points, np.zeros(52, np.float32), np.eye(4, dtype=np.float32), 1.0)
        return source_of_crop(self._model.head, key.pixels, key.points, still, _AS_IT_IS)

    def _moved(
        self, source: MeshSource, zero: Reading, driving: Reading, expression: Expression, strength: float = 1.0
    ) -> KeyPicture:
        """A key picture of a face that moves from one reading to another."""
        how = Motion(relative=True, adapt_scale=True, region="expression", strength=strength)
        drawn, points = self._model.moved(source, driving, zero, how)
        return KeyPicture(drawn, points[:LANDMARKS].astype(np.float32), expression)

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._model.close()


def _grown(outline: Doubles, factor: float) -> Doubles:
    middle = outline.mean(axis=0)
    return np.asarray(middle + factor * (outline - middle))


def _disc(radius: int) -> Pixels:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _as_bright(pixels: Pixels, like: Pixels) -> Pixels:
    """A picture in its own colours, each pixel as bright as in `like`."""
    own, wanted = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) + 1 for picture in (pixels, like))
    return np.asarray(np.clip(pixels * (wanted / own)[..., None] + 0.5, 0, 255), np.uint8)


def open_key_picture_maker(**options: Any) -> KeyPictureMaker:
    """The maker, its networks loaded and warm; `options` as of `opening_networks`. Raises ModelError."""
    bundle = load_bundle("motion")
    shapes, blinks = read_arrays(bundle.path(EXPRESSIONS_FILE), "shapes", "blinks")
    readings = {
        name: Reading(shape, np.eye(3), np.zeros(2), 1.0, blink)
        for name, shape, blink in zip(READ, shapes.astype(np.float64), blinks.astype(np.float64), strict=True)
    }
    return KeyPictureMaker(open_mesh_model(bundle, **options), readings, open_face_skin())
