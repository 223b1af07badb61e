"""Small pieces of geometry that several files share."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles
from trained_models.recipes.people.assets import BODY_VERTICES, Floats, Ints
from trained_models.recipes.people.topology import topology


def smoothstep(low: float, high: float, x: Any) -> Any:
    """0 below `low`, 1 above `high`, smooth between; `high` may be the smaller one."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def rotation(pitch: float, yaw: float, roll: float) -> Floats:
    """(3, 3) turn in degrees: pitch + looks down, yaw + to the viewer's right, roll about the view axis."""
    a, b, c = np.radians([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)


def fit_affine(source: Floats, goal: Floats) -> Floats:
    """(4, 3) least-squares affine map: [source, 1] @ map ≈ goal."""
    solved = np.linalg.lstsq(np.c_[source, np.ones(len(source))], goal, rcond=None)[0]
    return np.asarray(solved, np.float32)


def fit_sphere(points: Floats) -> tuple[Doubles, float]:
    """Centre and radius of the least-squares sphere."""
    solved = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(1), rcond=None)[0]
    centre = solved[:3]
    return centre, float(np.sqrt(solved[3] + centre @ centre))


def look_at(eye: Any, target: Any, up: tuple[float, float, float] = (0, 1, 0)) -> Doubles:
    """(4, 4) view matrix of a camera at `eye` that looks at `target`."""
    forward = np.array(target, float) - eye
    forward /= np.linalg.norm(forward)
    side = np.cross(forward, up)
    side /= np.linalg.norm(side)
    view = np.eye(4)
    view[0, :3], view[1, :3], view[2, :3] = side, np.cross(side, forward), -forward
    view[:3, 3] = -view[:3, :3] @ np.array(eye, float)
    return view


def perspective(vertical_view_deg: float, aspect: float, near: float, far: float) -> Doubles:
    """(4, 4) OpenGL perspective projection."""
    t = 1 / np.tan(np.radians(vertical_view_deg) / 2)
    out = np.zeros((4, 4))
    out[0, 0], out[1, 1], out[3, 2] = t / aspect, t, -1
    out[2, 2], out[2, 3] = (far + near) / (near - far), 2 * far * near / (near - far)
    return out


def orthographic(left: float, right: float, bottom: float, top: float, near: float, far: float) -> Doubles:
    """(4, 4) OpenGL parallel projection."""
    out = np.eye(4)
    out[0, 0], out[0, 3] = 2 / (right - left), -(right + left) / (right - left)
    out[1, 1], out[1, 3] = 2 / (top - bottom), -(top + bottom) / (top - bottom)
    out[2, 2], out[2, 3] = -2 / (far - near), -(far + near) / (far - near)
    return out


def even_directions(count: int) -> Doubles:
    """(count, 3) unit vectors spread evenly on the sphere (a Fibonacci spiral)."""
    i = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * i / count), np.pi * (1 + 5**0.5) * i
    return np.stack([np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], 1)


LINE = np.array(
    [
        *([-2, 6.72], [-0.5, 6.72], [-0.15, 6.85], [0.1, 7.05], [0.25, 7.16], [0.42, 7.12], [0.54, 7.22]),
        *([0.62, 7.46], [0.74, 7.68], [0.9, 7.82], [1.1, 7.91], [1.6, 7.97]),
    ]
)
"""Depth z → height y of the hairline on the mean head, from nape over the ear to the forehead."""


def above_hairline(places: Any, recession: float = 0.0) -> Any:
    """Height over the hairline in dm, positive on the scalp; `recession` bares the temples."""
    line = np.interp(places[..., 2], LINE[:, 0], LINE[:, 1]).astype(np.float32)
    temples = 0.18 + 0.55 * np.exp(-(((np.abs(places[..., 0]) - 0.45) / 0.22) ** 2) * 0.5)
    line = line + recession * smoothstep(0.4, 1.0, places[..., 2]) * temples
    return places[..., 1] - line


NAMED = {
    "nose tip": (0.0, 6.93, 1.66),
    "chin": (0.0, 6.27, 1.43),
    "between the brows": (0.0, 7.42, 1.45),
    "left corner of the mouth": (0.255, 6.61, 1.30),
    "right corner of the mouth": (-0.255, 6.61, 1.30),
    "upper lip": (0.0, 6.67, 1.52),
    "lower lip": (0.0, 6.53, 1.50),
    "left outer eye corner": (0.45, 7.27, 1.16),
    "left inner eye corner": (0.155, 7.25, 1.25),
    "right outer eye corner": (-0.45, 7.27, 1.16),
    "right inner eye corner": (-0.155, 7.25, 1.25),
}
"""Where they lie on the mean head, dm; "left" is the person's own left, right in the picture."""
COUNT = 68


@cache
def landmark_vertices() -> Ints:
    """(68,) vertices: the `NAMED` in their order, then points spread over the front of the face. Each of the latter is
    the one farthest from all before it (Gonzalez 1985): the same on every machine."""
    skin = topology().template[:BODY_VERTICES]
    named = [int(((skin - place) ** 2).sum(1).argmin()) for place in NAMED.values()]
    moved = np.abs(topology().deltas).max((0, 2))[:BODY_VERTICES] > 1e-3
    front = (skin[:, 2] > 0.55) & (skin[:, 1] > 6.2) & (skin[:, 1] < 7.9) & (np.abs(skin[:, 0]) < 0.7)
    visible = np.flatnonzero(front & moved & ~_within_mouth(skin))
    chosen = list(named)
    distance = np.min([((skin[visible] - skin[k]) ** 2).sum(1) for k in chosen], 0)
    while len(chosen) < COUNT:
        chosen.append(int(visible[distance.argmax()]))
        distance = np.minimum(distance, ((skin[visible] - skin[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen, np.int64)


def _within_mouth(skin: Floats) -> npt.NDArray[np.bool_]:
    """(n,) bool: what lies behind the lips or in the nostrils."""
    mouth = (skin[:, 2] < 1.35) & (np.abs(skin[:, 0]) < 0.25) & (np.abs(skin[:, 1] - 6.6) < 0.2)
    nostrils = (skin[:, 2] < 1.48) & (np.abs(skin[:, 0]) < 0.17) & (np.abs(skin[:, 1] - 6.89) < 0.08)
    return np.asarray(mouth | nostrils, np.bool_)


def in_picture(points: Floats, view: Floats, size: tuple[int, int]) -> Floats:
    """(n, 2) pixel coordinates of points (n, 3) seen through the matrix `view` (4, 4); `size` is (w, h)."""
    seen = np.c_[points, np.ones(len(points))] @ view.T
    flat = seen[:, :2] / seen[:, 3:]
    return np.asarray((flat * [0.5, -0.5] + 0.5) * size, np.float32)
