"""How much of the room each point of a person sees: precomputed radiance transfer (Sloan et al. 2002)."""

from dataclasses import dataclass
from typing import Any

import moderngl
import numpy as np

from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.geometry import even_directions, look_at, orthographic
from trained_models.recipes.people.gpu import Shelf, as_bytes, context
from trained_models.recipes.people.lights import harmonics

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
    """(n, 9) coefficients for each surface: light from everywhere times what the others let through.

    One depth map from each of `views` directions; `program` draws depth with the matrix `LVP`.
    """
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
        context().enable_only(moderngl.DEPTH_TEST)
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
