"""What all people share: the meshes of skin, tongue, shirt and lashes, the actions, and who follows the head."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people import assets
from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.mesh import Mesh, subdivided


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """`template` (19158, 3) is the mean person; indices below point into it.

    `actions`: the 52 names; `deltas` (52, 19158, 3); `moving` (m,): vertices that any action moves, with
    `moving_deltas` (52, 3m). `lashes`: a pair of (q, 4) quads. `eyes`: left and right eyeball; `upper_teeth`,
    `lower_teeth`: strips that stand for them; `spine` (19158, 4): see `assets.spine_weights`.
    """

    template: Floats
    actions: list[str]
    deltas: Floats
    moving: Ints
    moving_deltas: Floats
    skin: Mesh
    tongue: Mesh
    shirt: Mesh
    lashes: tuple[Ints, Ints]
    eyes: tuple[Ints, Ints]
    upper_teeth: Ints
    lower_teeth: Ints
    spine: Floats


def lip_vertices(template: Floats, half_width: float, from_y: float, to_y: float, from_z: float) -> Ints:
    """Skin vertices about the middle of the lips, within the given box of the mean person."""
    body = template[: assets.BODY_VERTICES]
    inside = (np.abs(body[:, 0]) < half_width) & (body[:, 1] > from_y) & (body[:, 1] < to_y)
    return np.flatnonzero(inside & (body[:, 2] > from_z))


@cache
def topology() -> Topology:
    """Built once a process; about six seconds."""
    base = assets.template()
    names, deltas = assets.action_deltas()
    vertices = base.vertices
    bust: npt.NDArray[np.bool_] = (vertices[:, 1] > 3.6) & (np.abs(vertices[:, 0]) < 3.2)

    def part(group: str, only_bust: bool = False) -> Mesh:
        quads, uv_quads = base.quads[group], base.uv_quads[group]
        if only_bust:
            kept = bust[quads].all(1)
            quads, uv_quads = quads[kept], uv_quads[kept]
        return subdivided(len(vertices), quads, base.uv, uv_quads)

    def lashes(side: str) -> Ints:
        return np.concatenate([base.quads[f"helper-{side}-eyelashes-{row}"] for row in (1, 2)])

    def indices(group: str) -> Ints:
        return np.unique(base.quads[group])

    moving = np.flatnonzero(np.abs(deltas).max((0, 2)) > 1e-5)
    return Topology(
        template=vertices,
        actions=names,
        deltas=deltas,
        moving=moving,
        moving_deltas=deltas[:, moving].reshape(len(names), -1),
        skin=part("body", only_bust=True),
        tongue=part("helper-tongue"),
        shirt=part("helper-tights", only_bust=True),
        lashes=(lashes("l"), lashes("r")),
        eyes=(indices("helper-l-eye"), indices("helper-r-eye")),
        upper_teeth=indices("helper-upper-teeth"),
        lower_teeth=indices("helper-lower-teeth"),
        spine=assets.spine_weights(),
    )
