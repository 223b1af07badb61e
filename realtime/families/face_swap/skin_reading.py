"""Reads the skin of a face in a picture: its colours and normals at the mesh's vertices, and which of them to trust.

Colours are linear BGR. A camera's own curve is taken out first, a soft shoulder and more contrast than a screen's power
of 2.2: without that, bright skin reads darker than it is and dark skin darker still, and their light is another's.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from realtime.errors import ModelError
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, OUTER_LIPS, OVAL, VERTICES, Head, open_head
from realtime.frame import Doubles, Floats, Ints, Pixels
from realtime.inference.file_kind import read_arrays
from realtime.models.library import built_in_folder

REFLECTANCE_FILE = "reflectance.npz"
LUMA = np.array([0.0722, 0.7152, 0.2126], np.float32)  # of linear BGR, ITU-R BT.709
GAMMA = 2.2
_SHOULDER, _CONTRAST = 1.47, 1.17  # about Adobe's default curve for raw pictures: middle grey stays, darks are darker
_VALUES = np.arange(256) / 255.0
PICTURE = np.asarray(_VALUES**GAMMA, np.float32)
"""(256,) linear values of an identity's picture: reflectance, so no camera's curve."""
CAMERA = np.asarray((-np.log(1 - np.minimum(_VALUES**GAMMA, 0.985)) / _SHOULDER) ** (1 / _CONTRAST), np.float32)
"""(256,) linear values of a camera's picture, 0 to 2.5."""


def as_camera(y: npt.ArrayLike) -> Doubles:
    """0..1 what a camera makes of linear light: the other way round than `CAMERA`."""
    return np.asarray((1 - np.exp(-_SHOULDER * np.asarray(y, np.float64) ** _CONTRAST)) ** (1 / GAMMA))


GRID = 64  # the side at which a crop is read: a pixel is some four millimetres of the face
LEAST = np.float32(1e-3)
_BURNT = CAMERA[251]
_BROWS = np.array([70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285])
_NOSTRILS = np.array([2, 97, 326, 98, 327, 20, 250, 242, 462, 99, 328, 60, 290, 75, 305])
_NO_SKIN = [OVAL, _BROWS, _NOSTRILS, OUTER_LIPS, INNER_LIPS, *(ring for eye in EYES for ring in (eye.ring, eye.crease))]
SKIN: Ints = np.setdiff1d(np.arange(VERTICES), np.concatenate(_NO_SKIN))
"""Vertices that show bare skin, on nearly everybody."""
_BY_LIDS_CM = 0.9
_REACH_CM = 0.65


@dataclass(frozen=True, eq=False)
class FaceSkin:
    """What the skin of all faces has in common. Plain data, for any number of readers.

    `pattern` (468, 3) float32: log of a vertex's colour relative to the person's own skin, in even light (lips are
    redder, sockets darker). `head`: the mesh.
    """

    pattern: Floats
    head: Head

    @cached_property
    def corners(self) -> csr_array:
        """(468, triangles): 1 where a vertex is a corner of a triangle."""
        triangles = self.head.triangles
        rows, columns = triangles.ravel(), np.repeat(np.arange(len(triangles)), 3)
        return csr_array((np.ones(len(rows), np.float32), (rows, columns)), (VERTICES, len(triangles)))

    @cached_property
    def plain(self) -> Floats:
        """(468,): 1 where light is read, which is not beside lids: lashes and make-up are dark there."""
        rings = self.head.canonical[np.concatenate([eye.ring for eye in EYES])]
        away = np.linalg.norm(self.head.canonical[:, None] - rings[None], axis=2).min(axis=1)
        found = np.zeros(VERTICES, np.float32)
        found[SKIN] = np.clip(away[SKIN] / _BY_LIDS_CM - 0.5, 0, 0.5) * 2
        return found

    @cached_property
    def smoother(self) -> csr_array:
        """(468, 468): a Gaussian of the distance on the canonical head, each row's sum 1."""
        apart = np.linalg.norm(self.head.canonical[:, None] - self.head.canonical[None], axis=2)
        weight = np.exp(-0.5 * (apart / _REACH_CM) ** 2) * (apart < 3 * _REACH_CM)
        return csr_array((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))

    @cached_property
    def beside_eyes(self) -> tuple[Floats, Floats]:
        """For the right and the left eye, (468,): weights of the bare skin beside and below it."""
        canonical, found = self.head.canonical, []
        for eye in EYES:
            centre = canonical[eye.ring].mean(axis=0)
            near = np.exp(-0.5 * (np.linalg.norm(canonical - centre, axis=1) / 2.0) ** 2)
            weight = np.zeros(VERTICES, np.float32)
            weight[SKIN] = near[SKIN]
            weight[canonical[:, 1] > centre[1] + 0.8] = 0  # not the brow, which shades and is hair
            found.append(weight)
        return found[0], found[1]

    def normals(self, points: Floats) -> Floats:
        """(468, 3) unit normals of landmarks (478, 3): x right, y up, z to the viewer."""
        at = (points[:VERTICES] * (1, -1, -1)).astype(np.float32)[self.head.triangles]
        flat = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0])
        whole = self.corners @ flat
        whole /= np.sqrt((whole * whole).sum(axis=1, keepdims=True)) + 1e-9
        # A mirrored picture turns the triangles round; skin that looks away from the viewer is not seen.
        return np.asarray(whole if whole[SKIN, 2].sum() > 0 else -whole, np.float32)


def open_face_skin() -> FaceSkin:
    """What comes with the face bundle. Raises ModelError for a damaged file."""
    folder = built_in_folder()
    (pattern,) = read_arrays(folder / "face" / REFLECTANCE_FILE, "pattern")
    if pattern.shape != (VERTICES, 3):
        raise ModelError(f"{REFLECTANCE_FILE} holds a pattern of {pattern.shape}: reinstall masquerade")
    return FaceSkin(pattern.astype(np.float32), open_head(folder / "motion" / "mesh.npz"))


@dataclass(frozen=True, slots=True, eq=False)
class SkinReading:
    """One face: `colour` (468, 3) linear, `normals` (468, 3), `trust` (468,) 0..1 of what is bare skin and in view."""

    colour: Floats
    normals: Floats
    trust: Floats

    def log_skin(self, pattern: Floats) -> Floats:
        """(3,) mean log colour of the skin with the face's `pattern` taken out, without the tenths at both ends."""
        kept = self.trust > 0.25
        if not kept.any():
            kept = self.trust >= 0  # a face seen from behind: anything is better than no number
        x = (np.log(self.colour) - pattern)[kept]
        order = np.argsort(x @ LUMA, kind="stable")
        cut = len(order) // 10
        return np.asarray(x[order[cut : len(order) - cut]].mean(axis=0), np.float32)


def read_skin(
    skin: FaceSkin, picture: Pixels, points: Floats, table: Floats = CAMERA, visible: Floats | None = None
) -> SkinReading:
    """Read the face in a square picture (S, S, 3); `points` (478, 3) in its pixels.

    `visible` (S, S) 0..1: where nothing lies before the face. `table`: the picture's linear values.
    """
    scale = GRID / picture.shape[0]
    at = np.asarray((points[:VERTICES, :2] + 0.5) * scale - 0.5, np.float32)
    small = cv2.LUT(cv2.resize(picture, (GRID, GRID), interpolation=cv2.INTER_AREA), table)
    x, y = np.ascontiguousarray(at.T[:, None])
    colour = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    colour = np.maximum(colour, LEAST)
    normals = skin.normals(points)
    trust = skin.plain * np.clip((normals[:, 2] - 0.1) / 0.25, 0, 1)
    inside = ((at > -0.5) & (at < GRID - 0.5)).all(axis=1)  # what is beyond the crop was not seen
    trust *= inside
    if visible is not None:
        shown = cv2.resize(np.asarray(visible, np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
        seen = cv2.remap(shown, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        trust *= np.clip((seen.reshape(-1) - 0.6) / 0.3, 0, 1)
    trust *= np.where(colour.max(axis=1) > _BURNT, np.float32(0.3), np.float32(1))  # brighter than the camera can say
    grey = colour @ LUMA
    if (trust > 0.5).any():
        trust *= np.where(grey < 0.08 * np.median(grey[trust > 0.5]), np.float32(0.2), np.float32(1))  # hair, say
    return SkinReading(np.asarray(colour, np.float32), normals, trust)
