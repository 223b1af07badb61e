"""The built-in motion model (a `MotionModel`): a head as a mesh, moved by proportion, refined by small networks.

Nothing about a face's motion is learned: the tracker knows where lids and lips are on driver and avatar, so it is
geometry, and one network paints what geometry cannot, teeth, lids and folds. Another leads hair, neck and room.
"""

import cv2
import numpy as np

from realtime.errors import ConfigError, ModelError
from realtime.families.motion.mesh.eyeglasses import wear
from realtime.families.motion.mesh.flow import Around, open_around, pose_of
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
from realtime.families.motion.mesh.motion import Moved, lips_parted, move
from realtime.families.motion.mesh.refiner import Mender, open_mender
from realtime.families.motion.mesh.source import MAP_SIDE, MeshCast, make_cast
from realtime.families.motion.motion_model import Drawn, Motion
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face

MESH_FILE, REFINE_FILE, AROUND_FILE = "mesh.npz", "refine.onnx", "around.onnx"


class MeshPuppet:
    """Moves avatars by their mesh, and mends them where it has networks. One thread. Owns `mender` and `around`."""

    needs_face = True

    def __init__(self, head: Head, mender: Mender | None = None, around: Around | None = None) -> None:
        self._head = head
        self._mender = mender
        self._around = around

    @property
    def ran_on(self) -> str:
        """The provider that really ran the network; the mesh is always the processor's."""
        return self._mender.session.ran_on if self._mender else "CPU"

    @property
    def precision(self) -> str:
        return self._mender.session.precision if self._mender else "fp32"

    @property
    def spent_ns(self) -> int:
        return sum(network.session.spent_ns for network in (self._mender, self._around) if network is not None)

    def cast(self, picture: Pixels, face: Face | None) -> MeshCast:
        """The avatar of a whole picture, (H, W, 3) uint8 BGR. Raises ConfigError where there is no face in it."""
        if face is None:
            raise ConfigError("there is no face in the avatar's picture: this model moves faces only")
        return make_cast(self._head, picture, face)

    def perceive(self, frame: Frame, face: Face | None, steadiness: float) -> Reading | None:
        """The driver's reading; None without a face. The tracker's own filter is the one there is."""
        if face is None:
            return None
        try:
            return read(self._head, face)
        except ValueError:
            return None

    def between(self, a: Reading, b: Reading, share: float) -> Reading:
        return between(a, b, share)

    def draw(self, cast: MeshCast, driving: Reading, reference: Reading | None, how: Motion) -> Drawn:
        """The avatar's crop as the driver moves it. Raises ModelError where the network gives no numbers."""
        if not how.strength > 0:
            return Drawn(cast.still, cast.mask)
        moved = move(cast.rest, driving, reference, how, cast.free)
        points = cast.points(moved)
        if not np.isfinite(points).all():
            return Drawn(cast.still, cast.mask)
        pixels = geometry(cast, points, moved, self._around)
        if self._mender is not None:
            # The picture at rest is right as it is: what is mended grows with how far the face is from it.
            self._mender.mend(pixels, cast, points, moved, min(1.0, 2.0 * how.strength))
        return Drawn(pixels, cast.mask)

    def close(self) -> None:
        """Give the networks back. May be called twice."""
        for network in (self._mender, self._around):
            if network is not None:
                network.close()


def warped(cast: MeshCast, points: Doubles, moved: Moved, around: Around | None = None) -> Pixels:
    """The crop's skin with its mesh at `points` (n, 3), openings not yet filled; `around` leads what is not face."""
    to_map = MAP_SIDE / cast.size
    at = points.copy()
    at[:, :2] = (points[:, :2] + 0.5) * to_map - 0.5
    where = cast.weave(at)
    if around is not None:
        around.lead(where, cast.weave.shown, cast.tiny, pose_of(cast.rest, moved))
    x, y = where
    if cast.size != MAP_SIDE:
        x, y = (_grown(axis, cast.size, to_map) for axis in (x, y))
    seen = cv2.remap(cast.skin, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    folds = cast.weave.folds
    if folds.any():
        # A turned face's outline has steps as large as the map's pixels.
        along = cv2.resize(folds, (cast.size, cast.size), interpolation=cv2.INTER_NEAREST)
        width = 2 * round(cast.size / MAP_SIDE) + 1
        cv2.copyTo(cv2.blur(seen, (width, width)), along, seen)
    return np.asarray(seen, np.uint8)


def _grown(axis: Floats, size: int, to_map: float) -> Floats:
    """One axis of a map at the crop's size and in its pixels."""
    grown = cv2.resize(axis, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown * np.float32(1 / to_map) + np.float32(0.5 / to_map - 0.5), np.float32)


def geometry(cast: MeshCast, points: Doubles, moved: Moved, around: Around | None = None) -> Pixels:
    """The crop with its mesh at `points` and its openings filled, before the face is mended."""
    pixels = warped(cast, points, moved, around)
    open_eyes(pixels, cast, points, moved)
    open_mouth(pixels, cast, points, moved)
    if cast.worn is not None:
        wear(pixels, cast.worn, cast.rest, moved)
    return pixels


def open_eyes(pixels: Pixels, cast: MeshCast, points: Doubles, moved: Moved) -> None:
    """Lay the eyeballs into their openings, in place."""
    flat = points[:, :2]
    for eye, ball in zip(EYES, cast.eyes, strict=True):
        outline = flat[eye.ring]
        box = opening_box(outline, cast.size)
        if box is None:
            continue
        here = cast.flat[eye.corners].mean(axis=0)
        matrix = cast.rigid(moved, here, flat[eye.corners].mean(axis=0))
        lay(pixels, ball.white, matrix, outline, box)
        looking = matrix.copy()
        looking[:, 2] += matrix[:, :2] @ (moved.gaze * (1.0, -1.0) * ball.width)
        lay(pixels, ball.iris, looking, outline, box)


def open_mouth(pixels: Pixels, cast: MeshCast, points: Doubles, moved: Moved) -> None:
    """Lay the mouth's inside between the lips, in place: teeth hang from the skull, as deep as the lips' ends."""
    parted = 1.0 if cast.shows_mouth else lips_parted(cast.rest.shape, moved.shape)
    outline = points[INNER_LIPS, :2]
    box = opening_box(outline, cast.size)
    if box is None or not parted > 0:
        return
    here, there = cast.flat[UNDER_NOSE], points[UNDER_NOSE, :2]
    along = points[LEFT_EYE.corners[0], :2] - points[RIGHT_EYE.corners[0], :2]
    along /= max(float(np.linalg.norm(along)), 1e-6)
    lips_went = points[MOUTH_CORNERS, :2].mean(axis=0) - cast.flat[MOUTH_CORNERS].mean(axis=0)
    aside = float((lips_went - (there - here)) @ along)
    lay(pixels, cast.mouth, cast.rigid(moved, here, there + aside * along), outline, box, parted)


def open_mesh_puppet(
    bundle: Bundle, *, provider: str = "auto", precision: str = "auto", threads: int | None = None
) -> MeshPuppet:
    """The mesh model of a motion bundle. Raises ModelError for a bundle that is none."""
    card = bundle.card
    if card.family != "motion" or MESH_FILE not in card.files:
        raise ModelError(f"model {bundle.name} holds no {MESH_FILE}: a mesh motion model is needed here")
    head = open_head(bundle.path(MESH_FILE))
    mender: Mender | None = None
    if REFINE_FILE in card.files:
        mender = open_mender(bundle.path(REFINE_FILE), provider=provider, precision=precision, threads=threads)
    if AROUND_FILE not in card.files:
        return MeshPuppet(head, mender)
    try:
        around = open_around(bundle.path(AROUND_FILE), provider=provider, precision=precision, threads=threads)
    except ModelError:
        if mender is not None:
            mender.close()
        raise
    return MeshPuppet(head, mender, around)
