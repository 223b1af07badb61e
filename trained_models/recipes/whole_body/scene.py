"""Draws a person before a wall with OpenGL, and spoils the picture as a webcam does."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from trained_models.recipes.whole_body.person import Floats, Person

SAMPLES = 4
NOISES = 5  # fields of noise, shifted at random

_VERTEX = """#version 330
in vec3 place; in vec3 normal; in vec3 colour; out vec3 n; out vec3 c; out vec3 p; uniform vec2 focal;
void main() {
    n = normal; c = colour; p = place;
    gl_Position = vec4(place.x * focal.x, -place.y * focal.y, (20.1 * place.z - 4.0) / 19.9, place.z);
}"""
_FRAGMENT = """#version 330
in vec3 n; in vec3 c; in vec3 p; out vec4 o; uniform vec3 key, fill;
void main() {
    vec3 m = normalize(n); if (dot(m, p) > 0.0) m = -m;
    float lit = 0.4 + 0.65 * max(dot(m, normalize(key)), 0.0) + 0.18 * max(dot(m, normalize(fill)), 0.0);
    o = vec4(pow(clamp(c * c * lit, 0.0, 1.0), vec3(0.5)), 1.0);
}"""


@dataclass(frozen=True, slots=True)
class Light:
    """`exposure` 1 is a lit room. `noise`: standard deviation in levels. `tint`: of red, green and blue."""

    exposure: float = 1.0
    noise: float = 2.5
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


DIM = Light(0.30, 6.0, (1.12, 0.98, 0.80))


class Camera:
    """Pictures of one person, (H, W, 3) uint8 RGB. `focal` in pixels."""

    def __init__(self, person: Person, size: tuple[int, int], focal: float, wall: Floats, light: Light) -> None:
        import moderngl

        self.size, self.focal, self._person, self._light = size, focal, person, light
        context: Any = moderngl.create_context(standalone=True, backend="egl")
        self._context, self._depth_test = context, moderngl.DEPTH_TEST
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._program["focal"] = 2 * focal / size[0], 2 * focal / size[1]
        side = -0.5 if light.exposure == 1.0 else -1.0
        self._program["key"], self._program["fill"] = (side, -0.7, -0.6), (0.8, -0.1, -0.5)
        self._buffer = context.buffer(reserve=len(person.rest) * 36)
        index = context.buffer(person.triangles.tobytes())
        content = [(self._buffer, "3f 3f 3f", "place", "normal", "colour")]
        self._array = context.vertex_array(self._program, content, index, index_element_size=4)
        colour = context.renderbuffer(size, 4, samples=SAMPLES)
        self._fine = context.framebuffer([colour], context.depth_renderbuffer(size, samples=SAMPLES))
        self._plain = context.framebuffer([context.renderbuffer(size, 4)])
        rng = np.random.default_rng(0)
        self._wall = wall
        self._noise = rng.normal(0, light.noise, (NOISES, size[1], size[0], 3)).astype(np.float32)

    def shoot(self, vertices: Floats, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """One picture; the noise is another each time."""
        normals = self._normals(vertices)
        vertices = vertices + normals * self._person.off[:, None]
        normals = self._normals(vertices)
        self._buffer.write(np.concatenate([vertices, normals, self._person.colours], 1).astype(np.float32).tobytes())
        self._fine.use()
        self._context.enable(self._depth_test)
        self._fine.clear(0, 0, 0, 0)
        self._array.render()
        self._context.copy_framebuffer(self._plain, self._fine)
        width, height = self.size
        read = np.frombuffer(self._plain.read(components=4), np.uint8).reshape(height, width, 4)[::-1]
        alpha = read[..., 3:].astype(np.float32) / 255
        picture = self._wall * (1 - alpha) + read[..., :3]
        if self._light.exposure != 1.0:
            linear = (picture / 255) ** 2.2 * self._light.exposure * np.array(self._light.tint, np.float32)
            picture = 255 * linear.clip(0, 1) ** (1 / 2.2)
        noise = self._noise[int(rng.integers(NOISES))]
        shift = rng.integers(0, (height, width))
        picture = picture.astype(np.float32) + np.roll(noise, tuple(shift.tolist()), (0, 1))
        return np.asarray(picture.clip(0, 255), np.uint8)

    def _normals(self, vertices: Floats) -> Floats:
        """(n, 3): area-weighted mean of the triangles around each."""
        corners = vertices[self._person.triangles]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        flat = self._person.triangles.ravel()
        three = np.repeat(across, 3, axis=0)
        summed = np.stack([np.bincount(flat, three[:, axis], len(vertices)) for axis in range(3)], 1)
        return np.asarray(summed / (np.linalg.norm(summed, axis=1, keepdims=True) + 1e-12))

    def pixels(self, points: Floats) -> Floats:
        """Where points (..., 3) are in the picture."""
        width, height = self.size
        return np.asarray(points[..., :2] / points[..., 2:] * self.focal + (width / 2, height / 2))

    def close(self) -> None:
        """Free what the card holds."""
        self._context.release()


def plain_wall(size: tuple[int, int]) -> Floats:
    """Light grey, darker at the rim."""
    width, height = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    grey = 205 - down * (36 / height) - np.abs(across - 0.4 * width) * (26 / width)
    return np.asarray(np.repeat(grey[..., None], 3, 2))


def cluttered_wall(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Shelves, frames, posts and things of all colours."""
    width = size[0]
    wall = np.ascontiguousarray(plain_wall(size) * rng.uniform(0.6, 0.95, 3))
    for _ in range(260):
        centre = rng.uniform((0, 0), size)
        extent = rng.uniform(0.01, 0.09, 2) * width * ((0.3, 1.6), (1.6, 0.3), (1, 1))[int(rng.integers(3))]
        colour = tuple(rng.uniform(10, 245, 3).tolist())
        if rng.random() < 0.3:
            cv2.ellipse(wall, (centre.tolist(), (2 * extent).tolist(), float(rng.uniform(0, 180))), colour, -1)
        else:
            low, high = np.rint(centre - extent / 2).astype(int), np.rint(centre + extent / 2).astype(int)
            cv2.rectangle(wall, low.tolist(), high.tolist(), colour, -1)
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), width / 900))
