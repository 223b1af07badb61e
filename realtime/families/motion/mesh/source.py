"""Encodes an avatar for the mesh model: its crop, pose and shape, eyes and mouth, the rings around it, its patches."""

from dataclasses import dataclass

import cv2
import numpy as np

from realtime.errors import ConfigError
from realtime.families.motion.canvas import border_mask
from realtime.families.motion.mesh.eyeglasses import Eyeglasses, find_eyeglasses, without_eyeglasses
from realtime.families.motion.mesh.flow import SIDE as FLOW_SIDE
from realtime.families.motion.mesh.head import (
    CHIN,
    EYES,
    INNER_LIPS,
    LEFT_EYE,
    OUTER_LIPS,
    OVAL,
    PIVOT,
    RIGHT_EYE,
    UNDER_NOSE,
    VERTICES,
    EyePoints,
    Head,
    Reading,
    read,
)
from realtime.families.motion.mesh.interior import Eyeball, Layer, eyeball, filled, is_open, mouth, without_openings
from realtime.families.motion.mesh.motion import Moved, freedom, levers, placed, still
from realtime.frame import Doubles, Floats, Ints, Pixels
from realtime.imaging.affine import Matrix, warp
from realtime.imaging.mesh_warp import MeshWarp
from realtime.tracking.face import Face

MOUTH_SIDE, EYE_SIDE = 112, 64
MOUTH_CM = 14.0
MOUTH_DOWN_CM = 3.8  # how far below the nose the middle of the mouth's patch is
EYE_WIDTHS = 2.2
EYE_UP = 0.16  # how far above an eye its patch's middle is, in eye widths
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


def eye_feed(out: Floats, drawn: Pixels, rest: Pixels, guides: Pixels) -> None:
    """Fill `out[:10]`, each (side, side): the eye as drawn and at rest, opening and iris, across and down."""
    for first, picture in ((0, drawn), (3, rest), (6, guides)):
        planes = picture.transpose(2, 0, 1)
        np.multiply(planes, np.float32(1 / 255), out=out[first : first + len(planes)])
    ramp = np.linspace(-1, 1, drawn.shape[0], dtype=np.float32)
    out[8], out[9] = ramp[None, :], ramp[:, None]


def mouth_feed(out: Floats, drawn: Pixels, rest: Pixels, guides: Pixels, chin: float) -> None:
    """Fill `out`, (11, side, side): the mouth drawn and at rest, opening, lips, across, down, up from the chin."""
    side = drawn.shape[0]
    eye_feed(out, drawn, rest, guides)
    out[10] = np.clip(2 * (np.arange(side, dtype=np.float32) / side - np.float32(chin)), -1, 1)[:, None]


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


COUNT = len(OVAL)
_MIDDLE = np.array([0.0, -0.5])


def surround(shape: Doubles) -> Doubles:
    """(72, 3) two rings around the face, hair and throat, in the head's frame, for a face of (478, 3) `shape`.

    The second lies as deep as the pivot: a turning head slides the face within an outline that hardly moves.
    """
    oval = shape[OVAL]
    away = oval[:, :2] - _MIDDLE
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    up = away[:, 1]
    above, below = np.maximum(up, 0.0), np.maximum(-up, 0.0)
    near = 0.7 + 1.1 * above + 1.4 * below
    far = 2.0 + 1.6 * above + 2.5 * below
    # Beside the face the head goes straight back; over it and under the chin it curves.
    back = np.minimum(oval[:, 2] - 2.0 - 1.2 * below, np.interp(up, [-0.7, -0.2, 0.3, 0.8], [9, PIVOT[2], PIVOT[2], 9]))
    first = np.column_stack([oval[:, :2] + away * near[:, None], np.maximum(back, PIVOT[2])])
    second = np.column_stack([oval[:, :2] + away * far[:, None], np.full(COUNT, PIVOT[2])])
    return np.concatenate([first, second])


def share_of_head(shape: Doubles) -> Doubles:
    """(72, 1) 0..1: how much of the head's motion each point of `surround(shape)` makes. Throats turn little."""
    up = (shape[OVAL, 1] - _MIDDLE[1]) / np.maximum(np.linalg.norm(shape[OVAL, :2] - _MIDDLE, axis=1), 1e-6)
    first = np.interp(up, [-1.0, -0.5, 0.0], [0.55, 0.8, 0.95])
    second = np.interp(up, [-1.0, -0.5, 0.0, 1.0], [0.1, 0.2, 0.45, 0.8])
    return np.concatenate([first, second])[:, None]


def share_of_face() -> Doubles:
    """(72, 1): how much of what the outline's own points do (a dropped jaw) the rings do too."""
    return np.repeat([0.7, 0.2], COUNT)[:, None]


def border(ring: Doubles, centre: Doubles, side: int) -> Doubles:
    """(36, 2) where rays from `centre` (2,) through the outer ring (36, 2), in pixels, meet the crop's border."""
    ray = ring - centre
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-6)
    last = side - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(ray > 0, (last - centre) / ray, np.where(ray < 0, -centre / ray, np.inf))
    return np.asarray(centre + ray * np.maximum(reach, 0.0).min(axis=1)[:, None])


def strips() -> Ints:
    """(216, 3) triangles between outline, rings and border, the border's first: their points follow the face's 478."""
    rows = [OVAL.astype(np.intp)] + [np.arange(COUNT) + 478 + k * COUNT for k in range(3)]
    found = []
    for inner, outer in zip(rows[2::-1], rows[:0:-1], strict=True):
        then = np.roll(np.arange(COUNT), -1)
        found.append(np.stack([inner, inner[then], outer], axis=1))
        found.append(np.stack([inner[then], outer[then], outer], axis=1))
    return np.concatenate(found)


assert OVAL.max() < VERTICES


SIDE_CM = 40.0  # the crop's side: the head, its hair and the shoulders' beginning, with room to move in
UP_CM = 0.8
LEAST, MOST = 256, 512  # the crop is drawn at its own size in the avatar's picture, within these
MAP_SIDE = 256


@dataclass(frozen=True, slots=True, eq=False)
class MeshSource:
    """An avatar; plain data. `rest` reads its picture in crop pixels (y up); `still` is its crop (S, S, 3),
    `skin` the same without eyes, without a mouth that is open (`shows_mouth`), and without `eyeglasses`; `tiny` the
    crop in 64 pixels."""

    size: int
    crop_from_avatar: Matrix
    still: Pixels
    skin: Pixels
    shows_mouth: bool
    rest: Reading
    free: Doubles
    rings: Doubles
    ring_share: Doubles
    ring_follow: Doubles
    edge: Doubles
    flat: Doubles
    weave: MeshWarp
    eyes: tuple[Eyeball, Eyeball]
    mouth: Layer
    patches: Patches
    eyeglasses: Eyeglasses | None
    tiny: Pixels
    mask: Floats

    def points(self, moved: Moved, exactly: bool = False) -> Doubles:
        """(478 + 108, 3) crop pixels, y down: the face, two rings and the border; z to the viewer.

        `exactly`: where they are on a head of that pose, its sides too, which no one picture shows.
        """
        rest, home = self.rest, still(self.rest)
        # By how much things swing, added to where they are: at rest nothing moves at all.
        swing = placed(levers(moved.shape), rest, moved) - placed(levers(rest.shape), rest, home)
        face = placed(moved.shape, rest, moved) if exactly else placed(rest.shape, rest, home) + swing
        rings = self.rings + self.ring_follow * np.tile((moved.shape - rest.shape)[OVAL], (2, 1))
        there = placed(self.rings, rest, home)
        around = there + self.ring_share * (placed(rings, rest, moved) - there)
        out = np.concatenate([face, around, self.edge])
        out[: len(face) + len(around), 1] *= -1
        return out

    def rigid(self, moved: Moved, here: Doubles, there: Doubles) -> Doubles:
        """(2, 3) how what is fixed to the skull goes in the crop, near the point `here` that went `there`."""
        turn = moved.zoom * (moved.turn @ self.rest.turn.T)[:2, :2] * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return np.column_stack([turn, there - turn @ here])

    def iris_place(self, points: Doubles, moved: Moved, eye: EyePoints) -> Doubles:
        """(2,) where the middle of an eye's iris is when the mesh is at `points`."""
        ball = self.eyes[EYES.index(eye)]
        middle = points[eye.corners, :2].mean(axis=0)
        turn = self.rigid(moved, middle, middle)[:, :2]
        return np.asarray(middle + turn @ (ball.aside + moved.gaze * (1.0, -1.0) * ball.width))


def make_source(head: Head, picture: Pixels, face: Face) -> MeshSource:
    """An avatar of a whole picture (H, W, 3) and the face in it. Raises ConfigError for a face that is none."""
    try:
        seen = read(head, face)
    except ValueError as error:
        raise ConfigError(f"the avatar's face cannot be read ({error}): choose another picture") from error
    side = SIDE_CM * seen.scale
    size = int(np.clip(32 * round(side / 32), LEAST, MOST))
    centre = face.landmarks[OVAL, :2].astype(np.float64)
    middle = 0.5 * (centre.min(axis=0) + centre.max(axis=0)) - (0.0, UP_CM * seen.scale)
    scale, half = size / side, 0.5 * (size - 1)
    crop_from_avatar = np.array([[scale, 0.0, half - scale * middle[0]], [0.0, scale, half - scale * middle[1]]])
    landmarks = face.landmarks * np.float32(scale)
    landmarks[:, :2] += crop_from_avatar[:, 2].astype(np.float32)
    return source_of_crop(head, warp(picture, crop_from_avatar, size, size, "edge"), landmarks, face, crop_from_avatar)


def source_of_crop(head: Head, crop: Pixels, landmarks: Floats, face: Face, crop_from_avatar: Matrix) -> MeshSource:
    """An avatar of its crop, (S, S, 3), and the landmarks (478, 3) in it; blendshapes are `face`'s."""
    size = crop.shape[0]
    rest = read(head, Face(landmarks, face.blendshapes, face.pose, face.score))
    rings = surround(rest.shape)
    around = placed(rings, rest, still(rest)) * (1.0, -1.0, 1.0)
    flat = landmarks[:, :2].astype(np.float64)
    outer = np.clip(around[COUNT:, :2], 0.03 * size, 0.97 * (size - 1))
    middle = flat[OVAL].mean(axis=0)
    edge = np.column_stack([border(outer, middle, size), np.zeros(COUNT)])
    points = np.concatenate([flat, around[:, :2], edge[:, :2]])
    to_map = MAP_SIDE / size
    weave = MeshWarp(MAP_SIDE, (points + 0.5) * to_map - 0.5, head.triangles, strips())
    eyes = (eyeball(crop, flat, EYES[0]), eyeball(crop, flat, EYES[1]))
    shows_mouth = is_open(flat, rest.scale)
    skin, glasses = without_openings(crop, flat, shows_mouth), find_eyeglasses(crop, flat, rest)
    return MeshSource(
        size=size,
        crop_from_avatar=crop_from_avatar,
        still=crop,
        skin=skin if glasses is None else without_eyeglasses(skin, glasses),
        shows_mouth=shows_mouth,
        rest=rest,
        free=freedom(rest.shape),
        rings=rings,
        ring_share=share_of_head(rest.shape),
        ring_follow=share_of_face(),
        edge=edge,
        flat=flat,
        weave=weave,
        eyes=eyes,
        mouth=mouth(crop, flat, rest.scale),
        patches=patches_at_rest(crop, flat, rest.scale, (eyes[0].width, eyes[1].width)),
        eyeglasses=glasses,
        tiny=np.asarray(cv2.resize(crop, (FLOW_SIDE, FLOW_SIDE), interpolation=cv2.INTER_AREA), np.uint8),
        mask=border_mask(size),
    )
