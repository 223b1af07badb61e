"""An identity's skin as one texture: all key pictures brought to one layout, once.

So a frame needs one map and one resampling: expressions and views are mixed before it, where each belongs. The layout
is the resting picture's, but with closed eyes: a closed lid has its full size in it, an open eye's is enlarged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.families.face_swap.skin_reading import FaceSkin
from realtime.families.face_swap.skin_tone import retone, skin_map
from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LIPS,
    LANDMARKS,
    OUTER_LIPS,
    OVAL,
    UNDER_NOSE,
    EyePoints,
    Head,
    Reading,
    read,
)
from realtime.families.motion.mesh.interior import filled, is_open, without_openings
from realtime.frame import Doubles, Floats, Ints, Pixels
from realtime.imaging.affine import umeyama
from realtime.imaging.mesh_warp import affine_maps, paint_triangles
from realtime.models.picture_set import KeyPicture, PictureSet
from realtime.tracking.face import Face

RING, MIRRORED, OUTLINE = 1.22, 0.88, 0.95
"""Around a face skin is drawn out to `RING` distances of its outline from its middle. What is there is the skin within,
as far as `MIRRORED`; the outline itself is a little within a picture's, where nothing of the room shows.
"""
POINTS, RIM_CM = 240, 1.4  # of the mesh; none but its own so near the outline
LASHES = 0.14  # of an eye's opening, from its upper edge: lashes, which go with the lid
SLIT = 0.1  # between closed lids in the layout, in eye widths
AS_DARK, AS_BRIGHT = (0.35, 0.6), (1.05, 1.2)  # of the brightness around it: from where on a pixel is no skin
FACING = (0.15, 0.5)  # from which share of facing its camera, to which, a turned picture's skin is believed
BROWS = np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 336, 296, 334, 293, 300, 285, 295, 282, 283, 276], np.intp)
LIDS, VIEWS = ("right lid", "left lid"), ("left", "right", "up", "down")
MOUTH = np.unique(np.concatenate([OUTER_LIPS, INNER_LIPS]))


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One key picture read: `points` (514, 3), where the mesh takes its skin from; `skin`: it, its openings closed."""

    picture: KeyPicture
    points: Doubles
    reading: Reading
    skin: Pixels

    @property
    def open(self) -> bool:
        """Whether what is between the lips shows."""
        return is_open(self.picture.points[:, :2].astype(np.float64), self.reading.scale)


class FaceMesh:
    """The triangles of a face in a `layout`, (514, 2): of the landmarks that matter, and of a ring around them.

    Lids, lips and outline have all of theirs, cheeks and forehead some: each triangle costs time in every frame.
    """

    def __init__(self, head: Head, layout: Doubles) -> None:
        ring = np.arange(LANDMARKS, LANDMARKS + len(OVAL))
        found = _triangles(layout, np.concatenate([_that_matter(head), ring]))
        around = (found >= LANDMARKS).any(axis=1)
        lips = list(INNER_LIPS)
        mouth = [(lips[0], lips[k], lips[k + 1]) for k in range(1, len(lips) - 1)]
        eyes = [(eye.ring[0], eye.ring[k], eye.ring[k + 1]) for eye in EYES for k in range(1, len(eye.ring) - 1)]
        self.face: Ints = found[~around]
        self.behind: Ints = np.concatenate([found[around], mouth, eyes]).astype(np.intp)


def _that_matter(head: Head) -> Ints:
    """Lids, lips, brows, outline, and further landmarks, each as far as can be from those before it."""
    rows = [OVAL, OUTER_LIPS, INNER_LIPS, BROWS, *(row for e in EYES for row in (e.ring, e.crease, e.fold))]
    chosen = list(dict.fromkeys(np.concatenate(rows).tolist()))
    canonical = head.canonical
    near = np.linalg.norm(canonical[:, None] - canonical[None, chosen], axis=2).min(axis=1)
    # The outline is drawn in a little: what is beside it would be without.
    near[np.linalg.norm(canonical[:, None] - canonical[None, OVAL], axis=2).min(axis=1) < RIM_CM] = 0.0
    while len(chosen) < POINTS:
        chosen.append(int(near.argmax()))
        near = np.minimum(near, np.linalg.norm(canonical - canonical[chosen[-1]], axis=1))
    return np.array(chosen, np.intp)


def _triangles(layout: Doubles, rows: Ints) -> Ints:
    """(n, 3): Delaunay's triangles of the skin, without what is between lids and lips."""
    points = layout[rows].astype(np.float32)
    low = np.floor(points.min(axis=0)).astype(int) - 1
    width, height = (np.ceil(points.max(axis=0)).astype(int) + 2 - low).tolist()
    plane = cv2.Subdiv2D((int(low[0]), int(low[1]), width, height))
    plane.insert(points.tolist())
    numbers = {(float(x), float(y)): int(row) for row, (x, y) in zip(rows, points, strict=True)}
    corners = np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2)
    named = [[numbers.get((float(x), float(y))) for x, y in three] for three in corners]
    found = np.array([three for three in named if None not in three], np.intp)
    for ring in (INNER_LIPS, *(eye.ring for eye in EYES)):
        found = found[~np.isin(found, ring).all(axis=1)]
    return found


def with_ring(points: Doubles | Floats) -> Doubles:
    """(478, 3) landmarks and 36 points around them, (514, 3)."""
    points = np.asarray(points, np.float64)
    middle = points[[1, 168]].mean(axis=0)
    return np.concatenate([points, middle + RING * (points[OVAL] - middle)])


def read_key(head: Head, picture: KeyPicture) -> Key:
    """Raises ModelError for landmarks that are no face's."""
    face = Face(picture.points, np.zeros(52, np.float32), np.eye(4, dtype=np.float32), 1.0)
    flat = picture.points[:, :2].astype(np.float64)
    try:
        reading = read(head, face)
    except ValueError as error:
        raise ModelError(f"a key picture shows no face ({error}): make the pictures again") from error
    points = _within(picture.points)
    if picture.expression != "closed":
        for eye in EYES:
            points[eye.upper] += LASHES * (points[eye.lower] - points[eye.upper])
    skin = without_openings(picture.pixels, points[:LANDMARKS, :2], False)
    if is_open(flat, reading.scale):
        skin = np.asarray(cv2.inpaint(skin, _mouth_opening(picture), 3, cv2.INPAINT_TELEA), np.uint8)
    return Key(picture, points, reading, skin)


def _mouth_opening(picture: KeyPicture) -> Pixels:
    """(S, S) uint8: 255 between the lips of a picture, with the dark corners and rims."""
    opening = filled(picture.pixels.shape[1::-1], picture.points[INNER_LIPS, :2].astype(np.float64))
    return np.asarray(cv2.dilate(opening, np.ones((11, 11), np.uint8)), np.uint8)


def _skin_among_hairs(pixels: Pixels, bare: Pixels, points: Floats) -> Pixels:
    """A map of bare skin (S, S) with what is seen of it between the hairs of brows and beards.

    It and darker hairs take another tone together: else it stays behind as a pale patch. White hairs take none.
    """
    flat = points[:, :2].astype(np.float64)
    sigma = 0.15 * float(np.linalg.norm(flat[33] - flat[263]))
    brightness = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32) + 1
    weight = bare.astype(np.float32) + 1
    around = cv2.GaussianBlur(brightness * weight, (0, 0), sigma) / cv2.GaussianBlur(weight, (0, 0), sigma)
    ratio = brightness / around
    like = np.clip((ratio - AS_DARK[0]) / (AS_DARK[1] - AS_DARK[0]), 0, 1)
    like *= np.clip((AS_BRIGHT[1] - ratio) / (AS_BRIGHT[1] - AS_BRIGHT[0]), 0, 1)
    for ring in (INNER_LIPS, *(eye.ring for eye in EYES)):
        like[filled(pixels.shape[1::-1], flat[ring]) > 0] = 0
    return np.asarray(np.maximum(bare, 255 * like), np.uint8)


def _within(points: Floats) -> Doubles:
    """(514, 3) where a picture has the mesh's skin: the outline, and the ring mirrored inwards."""
    out = with_ring(points)
    middle = out[[1, 168]].mean(axis=0)
    for rows, share in ((np.arange(len(points), len(out)), MIRRORED), (OVAL, OUTLINE)):
        out[rows, :2] = middle[:2] + share * (points[OVAL, :2] - middle[:2])
    return out


def _layout(rest: Key, closed: Key | None) -> Doubles:
    """(514, 2) where the texture has the mesh: as the resting picture, its eyes as the closed ones'."""
    out = np.concatenate([rest.picture.points[:, :2].astype(np.float64), np.zeros((len(OVAL), 2))])
    out[OVAL] = rest.points[OVAL, :2]
    out[len(rest.picture.points) :] = with_ring(rest.picture.points)[len(rest.picture.points) :, :2]
    for eye in EYES:
        if closed is None:
            out[eye.upper] = out[eye.lower]
            _part(out, eye)
            continue
        fixed = np.r_[eye.corners, 168, 6]
        from_closed = umeyama(closed.points[fixed, :2], rest.points[fixed, :2])
        for row in (eye.upper, eye.crease, eye.fold, eye.lower):
            out[row] = closed.points[row, :2] @ from_closed[:, :2].T + from_closed[:, 2]
        _part(out, eye)
    return out


def _part(layout: Doubles, eye: EyePoints) -> None:
    """Open a slit between lids that meet, in place: what is along one must not show along the other."""
    half = 0.5 * SLIT * float(np.linalg.norm(layout[eye.corners[0]] - layout[eye.corners[1]]))
    middle = 0.5 * (layout[eye.upper, 1] + layout[eye.lower, 1])
    layout[eye.upper, 1], layout[eye.lower, 1] = middle - half, middle + half


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One key in the layout: its `skin` (S, S, 3) uint8 and its map (S, S) of what of it is bare skin.

    `where`: `rest`, a view, or the region that its expression changes. There, `share` (h, w, 1) says how much it
    counts in the box (x0, y0, x1, y1).
    """

    skin: Pixels
    skin_map: Pixels
    where: str
    box: tuple[int, int, int, int]
    share: Floats


class FaceTexture:
    """All keys' skin in one layout, (514, 2) in pixels as large as the resting picture's. `rest` is the resting key.

    `shapes`: for the regions `mouth` and `brows`, how far the region's points are from rest in each layer of it.
    """

    def __init__(self, head: Head, faces: FaceSkin, keys: PictureSet) -> None:
        self.keys = [read_key(head, picture) for picture in keys.keys]
        self.rest = self.keys[0]
        self._size = self.rest.skin.shape[0]
        self.layout = _layout(self.rest, next((k for k in self.keys if _shows(k, "closed")), None))
        self.mesh = FaceMesh(head, self.layout)
        self.layers: list[Layer] = []
        self.shapes: dict[str, list[Doubles]] = {"mouth": [], "brows": []}
        regions = self._regions()
        whole = (0, 0, self._size, self._size)
        for key in self.keys:
            x, y = self._map_to(key)
            skin = cv2.remap(key.skin, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            own = key.picture.skin
            if own is None:
                own = skin_map(faces, key.picture.pixels, key.picture.points)
            else:
                own = _skin_among_hairs(key.picture.pixels, own, key.picture.points)
            if key.open:  # what its opening was closed with is lips
                own = np.asarray(cv2.max(own, _mouth_opening(key.picture)), np.uint8)
            bare = cv2.remap(own, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            expression, view = key.picture.expression, key.picture.view
            if key is self.rest:
                self._add(skin, bare, "rest", np.ones((1, 1), np.float32), whole)
            elif view != "front" and expression == "rest":
                self._add(skin, bare, view, self._seen(key), whole)
            elif view == "front" and expression == "closed":
                for side in LIDS:
                    self._add(skin, bare, side, regions[side])
            elif view == "front":
                region, rows = ("brows", BROWS) if expression == "brows_up" else ("mouth", MOUTH)
                # An open mouth's lips are the resting ones, drawn apart: it has no picture of where lips meet.
                share = regions[region] * (1 - regions["lips"]) if region == "mouth" and key.open else regions[region]
                self._add(skin, bare, region, share)
                self.shapes[region].append(key.reading.shape[rows] - self.rest.reading.shape[rows])

    def _add(
        self,
        skin: npt.NDArray[Any],
        bare: npt.NDArray[Any],
        where: str,
        share: Floats,
        box: tuple[int, int, int, int] | None = None,
    ) -> None:
        if box is None:
            x, y, w, h = cv2.boundingRect((share > 1 / 255).astype(np.uint8))
            box = (x, y, x + w, y + h)
            share = np.ascontiguousarray(share[y : y + h, x : x + w])
        self.layers.append(Layer(np.asarray(skin, np.uint8), np.asarray(bare, np.uint8), where, box, share[..., None]))

    @cached_property
    def _numbers(self) -> npt.NDArray[np.int32]:
        numbers = np.empty((self._size, self._size), np.int32)
        paint_triangles(numbers, self.layout[self._triangles])
        return numbers

    @cached_property
    def _triangles(self) -> Ints:
        depth = self.rest.points[self.mesh.face, 2].sum(axis=1)
        return np.concatenate([self.mesh.behind, self.mesh.face[np.argsort(-depth, kind="stable")]])

    def _map_to(self, key: Key) -> tuple[Floats, Floats]:
        table = affine_maps(self.layout[self._triangles], key.points[self._triangles, :2])
        a, b, c, d, e, f = np.take(table, self._numbers, axis=1)
        grid = np.arange(self._size, dtype=np.float32)
        x, y = np.meshgrid(grid, grid)
        return (a * x + b * y + c).astype(np.float32), (d * x + e * y + f).astype(np.float32)

    def _seen(self, key: Key) -> Floats:
        """(S, S) 0..1: how well a turned picture shows each place of the resting one."""
        corners = key.points[self._triangles] * (1.0, -1.0, -1.0)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        flat = self.rest.points[self._triangles] * (1.0, -1.0, -1.0)
        way = np.sign(np.cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])[:, 2] + 1e-9)
        facing = normal[:, 2] * way / np.maximum(np.linalg.norm(normal, axis=1), 1e-6)
        share = np.clip((facing - FACING[0]) / (FACING[1] - FACING[0]), 0, 1)
        per_pixel = np.append(share, 0.0).astype(np.float32)[self._numbers]
        return np.asarray(cv2.GaussianBlur(per_pixel, (0, 0), self._size / 50), np.float32)

    def _regions(self) -> dict[str, Floats]:
        """(S, S) soft masks: where a mouth's picture counts, a raised brow's, a closed eye's."""
        flat, size = self.layout, (self._size, self._size)
        eyes = float(np.linalg.norm(flat[33] - flat[263]))
        out: dict[str, Floats] = {}
        # All that a mouth moves: from below the eyes to the chin, cheeks with their folds, not the outline.
        low = flat[UNDER_NOSE] - (0, 0.12 * eyes)
        cheeks = flat[[205, 425, 50, 280, 187, 411, 136, 365, 149, 378, 152]]
        mouth = filled(size, _hull(np.concatenate([cheeks, low[None]])))
        out["mouth"] = self._soft(mouth, 0.07 * eyes)
        red = cv2.dilate(filled(size, _hull(flat[OUTER_LIPS])), np.ones((3, 3), np.uint8), iterations=int(0.05 * eyes))
        out["lips"] = self._soft(np.asarray(red, np.uint8), 0.03 * eyes)
        top = np.concatenate([flat[[109, 67, 103, 338, 297, 332]], flat[[223, 443, 113, 342, 168]]])
        out["brows"] = self._soft(filled(size, _hull(top)), 0.06 * eyes)
        for name, eye in zip(LIDS, EYES, strict=True):
            around = np.concatenate([flat[eye.fold], flat[eye.ring], flat[eye.crease]])
            out[name] = self._soft(filled(size, _hull(around)), 0.02 * eyes)
        return out

    @staticmethod
    def _soft(mask: Pixels, sigma: float) -> Floats:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32) / np.float32(255)


def _hull(points: Doubles) -> Doubles:
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float64)


def _shows(key: Key, expression: str) -> bool:
    return key.picture.expression == expression and key.picture.view == "front"


class TonedTexture:
    """A texture whose skin has another tone, mixed for one face after another. One thread.

    A new tone comes in layer by layer, one a frame: nobody sees its steps, and no frame waits.
    """

    def __init__(self, texture: FaceTexture) -> None:
        self._layers = texture.layers
        self._gain: Floats | None = None
        self._waiting: list[int] = []
        self._base = self._layers[0].skin
        self._made: dict[int, Pixels | Floats] = {}

    def retone(self, gain: Floats) -> None:
        """Bring the skin's tone nearer to `gain`, (3,) as of `skin_tone.retone`; at once the first time."""
        first = self._gain is None
        if self._gain is None or not np.array_equal(gain, self._gain):
            self._gain, self._waiting = gain.copy(), list(range(len(self._layers)))[::-1]
        while self._waiting:
            self._make(self._waiting.pop())
            if not first:
                return

    def _make(self, number: int) -> None:
        assert self._gain is not None
        layer = self._layers[number]
        x0, y0, x1, y1 = layer.box
        part = np.s_[y0:y1, x0:x1]
        toned = retone(np.ascontiguousarray(layer.skin[part]), np.ascontiguousarray(layer.skin_map[part]), self._gain)
        if number == 0:
            self._base = toned
            return
        by = (toned.astype(np.float32) - self._base[part]) * layer.share
        self._made[number] = by if layer.where not in VIEWS else np.asarray(self._base + by + 0.5, np.uint8)

    def mixed(self, shares: Mapping[str, Sequence[float]]) -> Pixels:
        """The texture, (S, S, 3) uint8 BGR, with so much of each layer of each region or view, 0..1. Read-only."""
        out, left = self._base, {where: list(each) for where, each in shares.items()}
        by_box: dict[tuple[int, int, int, int], Floats] = {}
        for number, layer in enumerate(self._layers):
            share = left[layer.where].pop(0) if left.get(layer.where) else 0.0
            if number == 0 or share < 0.004:
                continue
            made = self._made[number]
            if layer.where in VIEWS:
                out = np.asarray(cv2.addWeighted(out, 1 - share, made, share, 0), np.uint8)
                continue
            sum_ = by_box.get(layer.box)
            new = made * np.float32(share) if sum_ is None else cv2.scaleAdd(made, share, sum_)
            by_box[layer.box] = np.asarray(new, np.float32)
        if by_box and out is self._base:
            out = out.copy()
        for (x0, y0, x1, y1), by in by_box.items():
            part = out[y0:y1, x0:x1]
            part[...] = cv2.add(part, by, dtype=cv2.CV_8U)
        return out


def shares(shapes: Sequence[Doubles], shape: Doubles) -> list[float]:
    """n numbers 0..1, together 1 at most: of which `shapes`, (k, 3) each, a `shape` (k, 3) is made; all from rest.

    Least squares without negative shares, by coordinate descent.
    """
    if not shapes:
        return []
    basis = np.stack([one.ravel() for one in shapes])
    gram, wanted = basis @ basis.T, basis @ shape.ravel()
    out = np.zeros(len(shapes))
    for _ in range(12):
        for k in range(len(shapes)):
            rest = wanted[k] - gram[k] @ out + gram[k, k] * out[k]
            out[k] = max(rest / max(gram[k, k], 1e-6), 0.0)
    return [float(share) for share in out / max(float(out.sum()), 1.0)]
