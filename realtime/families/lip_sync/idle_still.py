"""An avatar that sits there: its picture with open eyes that blink, a head that sways, and a mouth as it was.

The mesh of the built-in motion model does it, without the network that mends what a driver asks for: nothing here goes
far enough to need it, and the time belongs to the lips.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from realtime.errors import MasqueradeError
from realtime.families.lip_sync.idle import IdleLife, IdlePose
from realtime.families.motion.canvas import Canvas, product
from realtime.families.motion.mesh.driving import Reading, turned
from realtime.families.motion.mesh.model import MESH_FILE, geometry
from realtime.families.motion.mesh.motion import AJAR, BLINK_SHUT, SHUT, move
from realtime.families.motion.mesh.points import EYES, INNER_LIPS, OUTER_LIPS, OVAL, Doubles, EyePoints, Head, open_head
from realtime.families.motion.mesh.source import MeshCast, make_cast
from realtime.families.motion.motion_model import Drawn, Motion
from realtime.frame import Pixels
from realtime.imaging.affine import Matrix, invert
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.models.library import load_bundle

log = logging.getLogger(__name__)

MODEL = "motion"
"""The bundle whose mesh it is."""

_FADES_BELOW = 0.2
_LEAST_OPENING = 0.10
"""Of an eye's width: eyes that are as good as shut in the picture, or laughing, do not blink."""

_LOWER = np.concatenate([OUTER_LIPS, INNER_LIPS, OVAL[(OVAL != 10)]])


class IdleStill:
    """One avatar on its stage, alive. Plain computing: nothing to close. Raises ConfigError for a face it cannot take.

    `stage` is placed for it: its `still` is what is shown where nothing moves.
    """

    def __init__(self, head: Head, avatar: Avatar, stage: Canvas, life: IdleLife) -> None:
        assert avatar.face is not None
        self._stage, self._life = stage, life
        self._cast = make_cast(head, stage.picture, avatar.face)
        stage.place(self._cast.crop_from_avatar, self._cast.size)
        self._jaw = np.column_stack([self._cast.flat[_LOWER], np.ones(len(_LOWER))])

    def __call__(self, at_s: float, strength: float) -> tuple[Pixels, Matrix]:
        """(the whole picture at that second, a new array; where its lower face went).

        The second is (2, 3): from the still canvas to this one. `strength` 0..1: how much of it, for beginning and
        ending; at 0 it is the still itself.
        """
        if not strength > 0:
            return self._stage.still.copy(), np.eye(2, 3)
        cast = self._cast
        driving = driven(cast.rest, self._life(at_s))
        moved = move(cast.rest, driving, cast.rest, Motion(strength=strength), cast.free)
        points = cast.points(moved)
        picture = self._stage.show(Drawn(geometry(cast, points, moved), cast.mask), strength / _FADES_BELOW)
        return picture, self._went(cast, points)

    def _went(self, cast: MeshCast, points: Doubles) -> Matrix:
        """The affine map of least squares that takes jaw and lips where they are now, in the canvas."""
        in_crop = np.linalg.lstsq(self._jaw, points[_LOWER, :2], rcond=None)[0].T
        canvas_from_crop = self._stage.canvas_from_crop
        return product(product(canvas_from_crop, in_crop), invert(canvas_from_crop))


def driven(rest: Reading, pose: IdlePose) -> Reading:
    """A driver who looks like the avatar and does what `pose` says."""
    shape = rest.shape.copy()
    blink = rest.blink.copy()
    for number, eye in enumerate(EYES):
        width = float(np.linalg.norm(rest.shape[eye.corners[1]] - rest.shape[eye.corners[0]]))
        for row in (np.array([eye.iris]), eye.rim):
            shape[row, :2] += pose.gaze * width
        if not _opening(rest.shape, eye, width) > _LEAST_OPENING:
            continue
        # `mesh_motion` reads an eye's openness off lids and blendshape, each with its own zero.
        share = AJAR + (1.0 - AJAR) * (1.0 - pose.shut)
        gap = _opening(rest.shape, eye, width)
        wanted = SHUT + share * (gap - SHUT) if pose.shut > 0 else gap
        shape[eye.upper, 1] += (wanted / gap - 1.0) * (rest.shape[eye.upper, 1] - rest.shape[eye.lower, 1])
        calm = min(float(rest.blink[number]), 0.35)
        blink[number] = BLINK_SHUT - share * (BLINK_SHUT - calm)
    return replace(
        rest,
        shape=shape,
        turn=turned(pose.turn) @ rest.turn,
        place=rest.place + pose.shift * rest.scale,
        scale=rest.scale * pose.zoom,
        blink=blink,
    )


def _opening(shape: Doubles, eye: EyePoints, width: float) -> float:
    """The mean height of an eye's opening where `mesh_motion` measures it, in its width."""
    middle = slice(1, 6)
    return float((shape[eye.upper[middle], 1] - shape[eye.lower[middle], 1]).mean()) / max(width, 1e-6)


def find_head(load: Callable[[str], Bundle] = load_bundle) -> Head | None:
    """The mesh of the built-in motion model; None, and that said once, where it is not there."""
    try:
        return open_head(load(MODEL).path(MESH_FILE))
    except MasqueradeError as error:
        log.warning("%s; a picture that speaks will not blink or move its head", error)
        return None


def bring_to_life(head: Head | None, avatars: Mapping[str, tuple[Avatar, Canvas]]) -> dict[str, IdleStill]:
    """Those of the avatars that can be moved, by name; what keeps one still is a warning."""
    alive = {}
    for name, (avatar, stage) in avatars.items():
        if head is None or avatar.face is None:
            continue
        try:
            alive[name] = IdleStill(head, avatar, stage, IdleLife())
        except MasqueradeError as error:
            log.warning("avatar %s stays still: %s", name, error)
    return alive
