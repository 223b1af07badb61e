"""Small pieces of geometry that several files share."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import Floats

Doubles = npt.NDArray[np.float64]


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
