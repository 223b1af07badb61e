"""OpenGL without a window: one context a process, shaders from files, and the three kinds of things drawn.

Works on any EGL; on a machine without a graphics card that is Mesa's llvmpipe. Set LP_NUM_THREADS=1 and run a process
a core: that draws a third more pictures than one process with all threads.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.geometry import even_directions, look_at, orthographic
from trained_models.recipes.people.surroundings import harmonics

SHADERS = Path(__file__).parent / "shaders"


@cache
def context() -> Any:
    """The process's context; moderngl's are not for several threads. Only here is it imported."""
    import moderngl

    return moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]


def shader(name: str) -> str:
    """The text of a shader with its `#include "file"` lines filled in."""

    def include(match: "re.Match[str]") -> str:
        return (SHADERS / match[1]).read_text(encoding="utf-8")

    return re.sub(r'^#include "(.+)"$', include, (SHADERS / name).read_text(encoding="utf-8"), flags=re.M)


def program(vertex: str, fragment: str, **replaced: str) -> Any:
    """A program of two shader files; `replaced` exchanges words in the vertex shader (`PROJECTION`)."""
    text = shader(vertex)
    for word, by in replaced.items():
        text = text.replace(word, by)
    return context().program(vertex_shader=text, fragment_shader=shader(fragment))


def set_uniforms(target: Any, **values: Any) -> None:
    """Write uniforms by name; those that the compiler dropped are passed over. Arrays are cut to the length that the
    compiler kept: it drops an array's unused tail."""
    for name, value in values.items():
        if name not in target:
            continue
        uniform = target[name]
        if isinstance(value, np.ndarray):
            kept = value if uniform.array_length == 1 else value[: uniform.array_length]
            uniform.write(np.ascontiguousarray(kept, dtype=np.float32).tobytes())
        else:
            uniform.value = value


def as_bytes(array: Any, dtype: Any = np.float32) -> bytes:
    return np.ascontiguousarray(array, dtype=dtype).tobytes()


@dataclass(slots=True, eq=False)
class Part:
    """A lit mesh on the card: its vertex array and the buffers rewritten each frame."""

    array: Any
    moving: Any
    material: Any

    def move(self, points: Any, normals: Any) -> None:
        """New positions and normals, both (corners, 3)."""
        self.moving.write(as_bytes(np.concatenate([points, normals], 1)))

    def paint(self, material: Any) -> None:
        """New material numbers, (corners, 4); see `skin.frag`."""
        self.material.write(as_bytes(material))


class Shelf:
    """All that one person occupies on the card, freed at once."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def hold(self, thing: Any) -> Any:
        self._held.append(thing)
        return thing

    def buffer(self, array: Any, dtype: Any = np.float32) -> Any:
        return self.hold(context().buffer(as_bytes(array, dtype)))

    def part(self, lit: Any, still: Any, triangles: Any, material: Any) -> Part:
        """A mesh for `lit` (the skin program); `still` (corners, 15): normal, uv, nine light numbers, head share."""
        fixed, index = self.buffer(still), self.buffer(triangles, np.int32)
        moving = self.hold(context().buffer(reserve=len(still) * 6 * 4, dynamic=True))
        painted = self.hold(context().buffer(as_bytes(material), dynamic=True))
        layout = [
            (fixed, "3f 2f 4f 4f 1f 1f", "nrm0", "uv", "ta", "tb", "tc", "hw"),
            (moving, "3f 3f", "pos", "nrm"),
            (painted, "4f", "mat"),
        ]
        return Part(self.hold(context().vertex_array(lit, layout, index)), moving, painted)

    def texture(self, array: Any, repeat: bool = False) -> Any:
        """A mip-mapped texture of an (h, w, components) uint8 or float32 array, row 0 at v = 0."""
        kind = "f1" if array.dtype == np.uint8 else "f4"
        size, components = (array.shape[1], array.shape[0]), 1 if array.ndim == 2 else array.shape[2]
        made = context().texture(size, components, np.ascontiguousarray(array).tobytes(), dtype=kind)
        made.build_mipmaps()
        made.filter = (context().LINEAR_MIPMAP_NEAREST, context().LINEAR)
        made.repeat_x, made.repeat_y = repeat, False
        return self.hold(made)

    def clear(self) -> None:
        for thing in self._held:
            thing.release()
        self._held.clear()


RESOLUTION = 256
REACH = 3.2  # dm around the head's centre that the depth maps cover
NEARER = 0.0025  # in depth units: closer than this counts as the surface itself


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A mesh that takes shade at `places` with `normals` and gives shade as `triangles` over `outline`, all (n, 3)."""

    places: Floats
    normals: Floats
    outline: Floats
    triangles: Ints


def transfer(program: Any, casting: list[Surface], centre: Floats, views: int) -> list[Floats]:
    """(n, 9) coefficients for each surface: light from everywhere times what the others let through. One depth map from
    each of `views` directions; `program` draws depth with the matrix `LVP`."""
    shelf = Shelf()
    starts = np.cumsum([0] + [len(s.places) for s in casting])
    triangles = np.concatenate([s.triangles + start for s, start in zip(casting, starts, strict=False)])
    places, outline = (np.concatenate(part) for part in zip(*((s.places, s.outline) for s in casting), strict=True))
    normals = np.concatenate([s.normals for s in casting])
    array = shelf.hold(
        context().vertex_array(program, [(shelf.buffer(outline), "3f", "pos")], shelf.buffer(triangles, np.int32))
    )
    depth = shelf.hold(context().depth_texture((RESOLUTION, RESOLUTION)))
    target = shelf.hold(context().framebuffer(depth_attachment=depth))
    directions = even_directions(views).astype(np.float32)
    lobes = harmonics(directions)
    out = np.zeros((len(places), 9), np.float32)
    for direction, lobe in zip(directions, lobes, strict=True):
        up = (0, 1, 0) if abs(direction[1]) < 0.95 else (1, 0, 0)
        view = orthographic(-REACH, REACH, -REACH, REACH, 0.1, 12) @ look_at(centre + direction * 6, centre, up)
        target.use()
        target.clear()
        context().enable_only(context().DEPTH_TEST)
        program["LVP"].write(as_bytes(view.T))
        array.render()
        nearest = np.frombuffer(depth.read(), np.float32).reshape(RESOLUTION, RESOLUTION)
        facing = normals @ direction
        lit = np.flatnonzero(facing > 0)
        seen = np.c_[places[lit] + normals[lit] * 0.02, np.ones(len(lit))] @ view.T
        pixel = ((seen[:, :2] * 0.5 + 0.5) * RESOLUTION).astype(int)
        within = (pixel >= 0).all(1) & (pixel < RESOLUTION).all(1)
        pixel = np.clip(pixel, 0, RESOLUTION - 1)
        free = (seen[:, 2] * 0.5 + 0.5 < nearest[pixel[:, 1], pixel[:, 0]] + NEARER) | ~within
        out[lit] += (facing[lit] * free)[:, None] * lobe[None] * (4 * np.pi / views / np.pi)
    shelf.clear()
    return np.split(out, starts[1:-1])
