"""An identity's own skin: what pictures of it show and the network does not draw (`face_swap.skin_detail`).

Landmarks are off by a pixel or two from picture to picture, which is as large as a freckle: plain averages would wash
it out. So each face, unrolled, is laid onto the sharpest of its kind by optical flow before the mean is taken
(congealing: Learned-Miller, PAMI 2006). Pictures from the front and from both sides each tell most of what they face.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from realtime.families.face_swap.skin_detail import SIDE, UNCHANGED, unrolled
from realtime.families.motion.mesh.head import VERTICES, open_head
from realtime.frame import Doubles, Floats, Ints, Pixels
from realtime.imaging.mesh_warp import MeshWarp
from realtime.models.library import built_in_folder
from trained_models.autoencoder.crops import FINE_SIZE, REGIONS, FindOne
from trained_models.autoencoder.dataset import Pairs
from trained_models.autoencoder.network import SwapNetwork

VIEWS_RAD = (-0.35, 0.0, 0.35)
EACH = 24  # pictures a view: noise and highlights, which move, are down to a fifth
FINER_PX = 7.0
"""Detail is what a Gaussian of this sigma takes away, in pixels of a `FINE_SIZE` crop: the rest is drawn already."""
GAIN = 1.3  # of the detail: aligned as well as may be, a mean still keeps three quarters of a single picture's
LARGEST = 0.5  # of a logarithm; what is larger is no skin
NOSTRILS = (64, 98, 2, 327, 294, 19)
APART_PX = 18
"""Brows, eyes, nostrils and lips are left alone with half of this around them, unrolled: nearer, trackers take it for
theirs."""
_ROUNDS = 3
_STEADY_PX = 5.0
_FARTHEST_PX = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """`picture` and `drawn` (F, F, 3) uint8 BGR of one moment, `mask` (F, F) uint8 where the face is. `points` (468,
    3): the mesh's landmarks in the picture."""

    picture: Pixels
    drawn: Pixels
    mask: Pixels
    points: Floats


class Unroller:
    """Unrolls faces. `canonical` (468, 3) is MediaPipe's head, `triangles` (n, 3) its whole mesh."""

    def __init__(self, canonical: Doubles, triangles: Ints) -> None:
        self._rest, self._triangles = unrolled(canonical), triangles
        self._flat = np.concatenate([self._rest, np.zeros((VERTICES, 1))], axis=1)
        skin = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillPoly(skin, [np.rint(cv2.convexHull(self._rest.astype(np.float32))).astype(np.int32)], 1)
        skin = cv2.erode(skin, np.ones((9, 9), np.uint8))
        for outline in (*(points for _, _, points in REGIONS), NOSTRILS):
            part = np.zeros_like(skin)
            cv2.fillConvexPoly(
                part, np.rint(cv2.convexHull(self._rest[list(outline)].astype(np.float32))).astype(int), 1
            )
            skin[cv2.dilate(part, np.ones((APART_PX, APART_PX), np.uint8)) > 0] = 0
        self.skin: Floats = cv2.GaussianBlur(skin.astype(np.float32), (0, 0), 2.0)
        """(SIDE, SIDE) 0..1: no brows, eyes, nostrils or lips, which are drawn as they move."""

    def __call__(self, view: View) -> tuple[Floats, Floats, Floats]:
        """The picture's detail, the drawn one's (SIDE, SIDE, 3), and how much each pixel tells (SIDE, SIDE)."""
        mask = cv2.erode((view.mask > 200).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(np.float32)
        weave = MeshWarp(SIDE, view.points[:, :2].astype(np.float64), self._triangles, np.empty((0, 3), np.intp))
        x, y = weave(self._flat)
        # A part of the face seen from the front is as large unrolled as in the picture; one seen from the side is not.
        (x_down, x_across), (y_down, y_across) = np.gradient(x), np.gradient(y)
        told = np.clip((x_across * y_down - x_down * y_across) / 0.8, 0, 1) ** 2
        told *= np.clip(cv2.remap(mask, x, y, cv2.INTER_LINEAR), 0, 1) * (weave.shown > 0)
        told = cv2.GaussianBlur(told.astype(np.float32), (0, 0), 2.0) * self.skin
        both = (cv2.remap(finer(p, mask), x, y, cv2.INTER_CUBIC) for p in (view.picture, view.drawn))
        picture, drawn = (np.asarray(detail, np.float32) for detail in both)
        return picture, drawn, np.asarray(told, np.float32)


def finer(picture: Pixels, mask: Floats) -> Floats:
    """(F, F, 3): the logarithm of what is finer than `FINER_PX`, within the mask (F, F) 0 or 1."""
    tone = np.log(picture.astype(np.float32) + 6)
    share = cv2.GaussianBlur(mask, (0, 0), FINER_PX)[..., None] + 1e-3
    return np.clip(tone - cv2.GaussianBlur(tone * mask[..., None], (0, 0), FINER_PX) / share, -LARGEST, LARGEST)


def detail_of(network: SwapNetwork, pairs: Pairs, find: FindOne) -> Pixels | None:
    """What `network` does not draw of its identity's skin, as a bundle has it; None where `find` finds no face. (SIDE,
    SIDE, 3) uint8, from the targets of `pairs`."""
    kinds = views_of(network, pairs, find)
    if not kinds:
        return None
    head = open_head(built_in_folder() / "motion" / "mesh.npz")
    return texture(kinds, Unroller(head.canonical, head.triangles))


def as_png(detail: Pixels) -> bytes:
    return cv2.imencode(".png", detail, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def texture(kinds: Sequence[Sequence[View]], unroll: Unroller) -> Pixels:
    """The detail as a bundle has it, (SIDE, SIDE, 3) uint8, from pictures of some kinds: from the front, ..."""
    total, weight = np.zeros((SIDE, SIDE, 3)), np.full((SIDE, SIDE, 1), 1e-6)
    for views in kinds:
        detail, told = _congealed([unroll(view) for view in views])
        share = (told / len(views)) ** 2
        total += detail * share
        weight += share
    detail = GAIN * total / weight * unroll.skin[..., None]
    return np.clip(np.rint(UNCHANGED * np.exp(detail)), 0, 255).astype(np.uint8)


def _congealed(parts: Sequence[tuple[Floats, Floats, Floats]]) -> tuple[Floats, Floats]:
    """The mean of what the pictures show beyond the drawn ones, and the sum of what tells it (SIDE, SIDE, 1)."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    x, y = np.meshgrid(*2 * [np.arange(SIDE, dtype=np.float32)])
    like = max(parts, key=lambda p: float((np.abs(p[0]).mean(2) * p[2]).sum() / (p[2].sum() + 1)))[0]
    beyond, told = np.zeros((SIDE, SIDE, 3), np.float32), np.ones((SIDE, SIDE, 1), np.float32)
    for _ in range(_ROUNDS):
        shown, drawn_, told = (np.zeros((SIDE, SIDE, n), np.float32) for n in (3, 3, 1))
        for picture, drawn, tells in parts:
            shift = cv2.GaussianBlur(flow.calc(_grey(like), _grey(picture), None), (0, 0), _STEADY_PX)
            shift = np.clip(shift, -_FARTHEST_PX, _FARTHEST_PX)
            at = x + shift[..., 0], y + shift[..., 1]
            shown += cv2.remap(picture, *at, cv2.INTER_CUBIC) * tells[..., None]
            drawn_ += cv2.remap(drawn, *at, cv2.INTER_CUBIC) * tells[..., None]
            told += tells[..., None]
        like, beyond = shown / (told + 1), (shown - drawn_) / (told + 1)
    return beyond, told


def _grey(detail: Floats) -> Pixels:
    return np.clip(128 + 700 * detail.mean(2), 0, 255).astype(np.uint8)


@torch.no_grad()
def views_of(network: SwapNetwork, pairs: Pairs, find: FindOne) -> list[list[View]]:
    """For each view the pictures of `pairs` that are nearest to it with a resting face, and what is drawn of them."""
    told = pairs.readings()
    pose, lips = told[:, 52:55], told[:, 55:]
    kinds = []
    for yaw in VIEWS_RAD:
        far = np.abs(pose[:, 1] - yaw) + np.abs(pose[:, 0] - np.median(pose[:, 0])) + 2 * lips.max(1)
        batch = pairs.plain(np.argsort(far)[:EACH].tolist())
        drawn = network(batch.face, *batch.told)
        fine = batch.fine is not None
        made = network.decoder.fine(drawn.features) if fine else drawn.face
        sets = [_pictures(x) for x in (batch.fine if fine else batch.target, made, batch.mask)]
        views = []
        for picture, own, mask in zip(*sets, strict=True):
            if (face := find(picture)) is not None:
                views.append(View(picture, own, mask, face.landmarks[:VERTICES]))
        if views:
            kinds.append(views)
    return kinds


def _pictures(planes: torch.Tensor) -> list[Pixels]:
    """(n, c, S, S) 0..1 as pictures of `FINE_SIZE`, without a last axis where c is 1."""
    rows = (planes.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return [cv2.resize(row, (FINE_SIZE, FINE_SIZE), interpolation=cv2.INTER_CUBIC) for row in rows]
