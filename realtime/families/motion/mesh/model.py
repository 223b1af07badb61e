"""The built-in motion model (a `MotionModel`): a head as a mesh, moved by proportion, refined by small networks.

Nothing about a face's motion is learned: the tracker knows where lids and lips are on driver and avatar, so it is
geometry, and one network paints what geometry cannot, teeth, lids and folds. Another leads hair, neck and room.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from realtime.errors import ConfigError
from realtime.families.motion.mesh.eyeglasses import draw_eyeglasses
from realtime.families.motion.mesh.flow import FlowNetwork, pose_of
from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LIPS,
    LEFT_EYE,
    MOUTH_CORNERS,
    RIGHT_EYE,
    UNDER_NOSE,
    Head,
    Reading,
    between,
    open_head,
    read,
)
from realtime.families.motion.mesh.interior import lay, opening_box
from realtime.families.motion.mesh.motion import Moved, lips_parted, move, still
from realtime.families.motion.mesh.refiner import Refiner
from realtime.families.motion.mesh.source import MAP_SIDE, MeshSource, make_source
from realtime.families.motion.motion_model import DrawnCrop, Motion
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.inference.session import Session, opening_networks
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face

MESH_FILE, REFINE_FILE, FLOW_FILE = "mesh.npz", "refine.onnx", "around.onnx"


class MeshModel:
    """Moves avatars by their mesh, and refines them where it has networks. One thread. Owns the networks."""

    needs_face = True

    def __init__(self, head: Head, refiner: Refiner | None = None, flow: FlowNetwork | None = None) -> None:
        self.head = head
        self._refiner = refiner
        self._flow = flow
        self.sessions: Sequence[Session] = [network.session for network in (refiner, flow) if network is not None]

    def encode_source(self, picture: Pixels, face: Face | None) -> MeshSource:
        """The avatar of a whole picture, (H, W, 3) uint8 BGR. Raises ConfigError where there is no face in it."""
        if face is None:
            raise ConfigError("there is no face in the avatar's picture: this model moves faces only")
        return make_source(self.head, picture, face)

    def encode_driving(self, frame: Frame, face: Face | None, steadiness: float) -> Reading | None:
        """The driver's reading; None without a face. The tracker's own filter is the one there is."""
        if face is None:
            return None
        try:
            return read(self.head, face)
        except ValueError:
            return None

    def between(self, a: Reading, b: Reading, share: float) -> Reading:
        return between(a, b, share)

    def draw(self, source: MeshSource, driving: Reading, reference: Reading | None, how: Motion) -> DrawnCrop:
        """The avatar's crop as the driver moves it. Raises ModelError where the network gives no numbers."""
        return DrawnCrop(self.moved(source, driving, reference, how)[0], source.mask)

    def moved(
        self, source: MeshSource, driving: Reading, reference: Reading | None, how: Motion
    ) -> tuple[Pixels, Doubles]:
        """The crop that `draw` gives, and its points: (478 or more, 3) in its pixels, y down. Raises as `draw`."""
        moved = move(source.rest, driving, reference, how, source.free)
        points = source.points(moved)
        if not how.strength > 0 or not np.isfinite(points).all():
            return source.still, source.points(still(source.rest))
        pixels = geometry(source, points, moved, self._flow)
        if self._refiner is not None:
            # The picture at rest is right as it is: what is refined grows with how far the face is from it.
            self._refiner.refine(pixels, source, points, moved, min(1.0, 2.0 * how.strength))
        return pixels, points

    def close(self) -> None:
        """Close the networks. May be called twice."""
        for session in self.sessions:
            session.close()


def warped(source: MeshSource, points: Doubles, moved: Moved, flow: FlowNetwork | None = None) -> Pixels:
    """The crop's skin with its mesh at `points` (n, 3), openings not yet filled; `flow` moves what is not face."""
    to_map = MAP_SIDE / source.size
    at = points.copy()
    at[:, :2] = (points[:, :2] + 0.5) * to_map - 0.5
    where = source.weave(at)
    if flow is not None:
        flow.correct(where, source.weave.shown, source.tiny, pose_of(source.rest, moved))
    x, y = where
    if source.size != MAP_SIDE:
        x, y = (_grown(axis, source.size, to_map) for axis in (x, y))
    seen = cv2.remap(source.skin, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    folds = source.weave.folds
    if folds.any():
        # A turned face's outline has steps as large as the map's pixels.
        along = cv2.resize(folds, (source.size, source.size), interpolation=cv2.INTER_NEAREST)
        width = 2 * round(source.size / MAP_SIDE) + 1
        cv2.copyTo(cv2.blur(seen, (width, width)), along, seen)
    return np.asarray(seen, np.uint8)


def _grown(axis: Floats, size: int, to_map: float) -> Floats:
    """One axis of a map at the crop's size and in its pixels."""
    grown = cv2.resize(axis, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown * np.float32(1 / to_map) + np.float32(0.5 / to_map - 0.5), np.float32)


def geometry(source: MeshSource, points: Doubles, moved: Moved, flow: FlowNetwork | None = None) -> Pixels:
    """The crop with its mesh at `points` and its openings filled, before the face is refined."""
    pixels = warped(source, points, moved, flow)
    open_eyes(pixels, source, points, moved)
    open_mouth(pixels, source, points, moved)
    if source.eyeglasses is not None:
        draw_eyeglasses(pixels, source.eyeglasses, source.rest, moved)
    return pixels


def open_eyes(pixels: Pixels, source: MeshSource, points: Doubles, moved: Moved) -> None:
    """Lay the eyeballs into their openings, in place."""
    flat = points[:, :2]
    for eye, ball in zip(EYES, source.eyes, strict=True):
        outline = flat[eye.ring]
        box = opening_box(outline, source.size)
        if box is None:
            continue
        here = source.flat[eye.corners].mean(axis=0)
        matrix = source.rigid(moved, here, flat[eye.corners].mean(axis=0))
        lay(pixels, ball.white, matrix, outline, box)
        looking = matrix.copy()
        looking[:, 2] += matrix[:, :2] @ (moved.gaze * (1.0, -1.0) * ball.width)
        lay(pixels, ball.iris, looking, outline, box)


def open_mouth(pixels: Pixels, source: MeshSource, points: Doubles, moved: Moved) -> None:
    """Lay the mouth's inside between the lips, in place: teeth hang from the skull, as deep as the lips' ends."""
    parted = 1.0 if source.shows_mouth else lips_parted(source.rest.shape, moved.shape)
    outline = points[INNER_LIPS, :2]
    box = opening_box(outline, source.size)
    if box is None or not parted > 0:
        return
    here, there = source.flat[UNDER_NOSE], points[UNDER_NOSE, :2]
    along = points[LEFT_EYE.corners[0], :2] - points[RIGHT_EYE.corners[0], :2]
    along /= max(float(np.linalg.norm(along)), 1e-6)
    lips_went = points[MOUTH_CORNERS, :2].mean(axis=0) - source.flat[MOUTH_CORNERS].mean(axis=0)
    aside = float((lips_went - (there - here)) @ along)
    lay(pixels, source.mouth, source.rigid(moved, here, there + aside * along), outline, box, parted)


def open_mesh_model(bundle: Bundle, **options: Any) -> MeshModel:
    """The mesh model of a motion bundle; `options` as of `opening_networks`. Raises ModelError."""
    head = open_head(bundle.path(MESH_FILE))
    with opening_networks(**options) as open_network:
        files = bundle.card.files
        refiner = Refiner(open_network(bundle.path(REFINE_FILE))) if REFINE_FILE in files else None
        flow = FlowNetwork(open_network(bundle.path(FLOW_FILE))) if FLOW_FILE in files else None
        return MeshModel(head, refiner, flow)
