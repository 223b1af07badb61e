"""A person from a seed: anny's parametric body (Apache-2.0, of MakeHuman's CC0 data), posed by directions of limbs.

Axes are the camera's, in metres: x to the right of the picture, y down, z away. Left is the person's own.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from trained_models.recipes.whole_body.acts import LIMBS, Moment

Floats = npt.NDArray[np.floating[Any]]

STRONGEST = 4  # bones that a vertex follows
SHRUG = 0.3  # radians that a collar bone rises with an arm straight up
JOINTS = {
    "neck": "neck01", "head": "head",
    **{
        f"{side}_{joint}": f"{bone}.{side.upper()}"
        for side in "lr"
        for joint, bone in (
            ("shoulder", "upperarm01"), ("elbow", "lowerarm01"), ("wrist", "wrist"), ("hand", "finger3-1"),
            ("hip", "upperleg01"), ("knee", "lowerleg01"), ("ankle", "foot"), ("toe", "toe1-1"),
        )
    },
}  # fmt: skip
"""Our joints, and the bone that each is the head of."""
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "head")
_HEAD_BONES = ("head", "temporalis", "oculi", "levator", "special", "orbicularis", "risorius", "jaw")
_SKINS = ((0.87, 0.68, 0.57), (0.76, 0.55, 0.43), (0.55, 0.38, 0.28), (0.36, 0.24, 0.18))
_HAIRS = ((0.10, 0.08, 0.07), (0.30, 0.20, 0.12), (0.62, 0.48, 0.28), (0.55, 0.55, 0.55))


@cache
def _model() -> Any:
    import anny  # fills a cache at its first call, which takes minutes

    return anny.create_fullbody_model(pose_parameterization="local-ref", local_changes="none")


def _axes(points: Any) -> Floats:
    """From anny's axes (z up, the face towards -y)."""
    values = np.asarray(points.detach().numpy()[0], np.float64)
    return np.asarray(np.stack([values[:, 0], -values[:, 2], values[:, 1]], 1))


def turn(axis: int, angle: float) -> Floats:
    """(3, 3): a rotation about one of the axes."""
    vector = np.zeros(3)
    vector[axis] = angle
    return np.asarray(cv2.Rodrigues(vector)[0])


def _between(a: Floats, b: Floats) -> Floats:
    """(3, 3): the shortest turn from one direction to another."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    across = np.cross(a, b)
    size = float(np.linalg.norm(across))
    return np.eye(3) if size < 1e-9 else np.asarray(cv2.Rodrigues(across / size * np.arctan2(size, a @ b))[0])


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """`vertices` (n, 3) and `joints` (18, 3) in the order of JOINTS."""

    vertices: Floats
    joints: Floats


class Person:
    """The person of a seed. `loose`: how far clothes stand off, in metres. `colours` (n, 3) are 0..1, RGB."""

    def __init__(self, seed: int, loose: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        model = _model()
        phenotype = {
            "gender": float(rng.integers(2)),
            "age": float(rng.uniform(0.6, 0.85)),
            "muscle": float(rng.uniform(0.35, 0.7)),
            "weight": float(rng.uniform(0.3, 0.75)),
            "height": float(rng.uniform(0.35, 0.7)),
            "proportions": float(rng.uniform(0.5, 0.9)),
        }
        found = model(phenotype_kwargs=phenotype, return_bone_ends=True)
        self.labels = [str(name) for name in model.bone_labels]
        self.at = {name: number for number, name in enumerate(self.labels)}
        self._parents = [int(parent) for parent in model.bone_parents]
        self.rest, self._heads = _axes(found["rest_vertices"]), _axes(found["rest_bone_heads"])
        weights = np.nan_to_num(model.vertex_bone_weights.numpy())
        order = np.argsort(-weights, axis=1)[:, :STRONGEST]
        bones = np.take_along_axis(model.vertex_bone_indices.numpy(), order, 1)
        chosen = np.take_along_axis(weights, order, 1)
        self._bones, self._weights = bones, chosen / chosen.sum(1, keepdims=True)
        quads = np.asarray(model.faces)
        self.triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)
        self.top, self.floor = float(self.rest[:, 1].min()), float(self.rest[:, 1].max())
        self._dress(rng, loose)

    def _dress(self, rng: np.random.Generator, loose: float) -> None:
        """Colours of skin, hair and clothes, and how far each vertex stands off."""
        names = np.array(self.labels)[self._bones[:, 0]]
        skin = np.array(_SKINS[rng.integers(len(_SKINS))])
        colours = np.broadcast_to(skin, self.rest.shape).copy()

        def of(*starts: str) -> npt.NDArray[np.bool_]:
            return np.array([name.startswith(starts) for name in names])

        sleeves = ("upperarm",) if rng.random() < 0.4 and not loose else ("upperarm", "lowerarm")
        shirt = of("spine", "breast", "clavicle", "shoulder", *sleeves)
        trousers = of("root", "pelvis", "upperleg", "lowerleg")
        self.off = loose * (1.0 * shirt + 1.2 * trousers)
        self.off *= 1 + 0.25 * np.sin(55 * self.rest[:, 1] + 40 * self.rest[:, 0])  # folds
        for part in (shirt, trousers):
            cloth = rng.uniform(0.1, 0.8, 3)
            colours[part] = cloth
            if rng.random() < 0.4:
                stripes = part & (np.sin(self.rest[:, 1] * rng.uniform(60, 140)) > 0.2)
                colours[stripes] = np.clip(cloth + rng.uniform(-0.3, 0.3, 3), 0, 1)
        colours[of("foot", "toe")] = rng.uniform(0.05, 0.4)
        head, face = self._heads[self.at["head"]], self.rest[names == "head"][:, 2].min()
        high = self.rest[:, 1] < head[1] - 0.02
        crown = (self.rest[:, 2] > face + 0.085) & high | (self.rest[:, 1] < self.top + 0.06)
        colours[of(*_HEAD_BONES) & crown] = _HAIRS[rng.integers(len(_HAIRS))]
        colours[of("oris")] = skin * (0.93, 0.78, 0.76)
        colours[of("oculi01")] = skin * 0.7
        for name in ("eye.L", "eye.R"):
            eye = names == name
            colours[eye] = 0.93
            middle = self.rest[eye].mean(0)
            iris = eye & (np.hypot(*(self.rest[:, :2] - middle[:2]).T) < 0.0062) & (self.rest[:, 2] < middle[2])
            colours[iris] = (0.12, 0.09, 0.06)
        self.colours = colours.astype(np.float32)

    def pose(self, moment: Moment) -> Posed:
        """The person at one moment, where they stand in the rest pose."""
        turns = {"root": turn(1, moment.yaw)}
        turns |= dict.fromkeys(_SPINE, turn(2, moment.lean / len(_SPINE)))
        nod = turn(1, moment.head[0] / 3) @ turn(0, moment.head[1] / 3) @ turn(2, moment.head[2] / 3)
        turns |= dict.fromkeys(_NECK, nod)
        for limb, (upper, lower, end) in LIMBS.items():
            first, second = moment.limbs[limb]
            heads = [self._heads[self.at[bone]] for bone in (upper, lower, end)]
            turns[upper] = _between(heads[1] - heads[0], first)
            turns[lower] = _between(heads[2] - heads[1], turns[upper].T @ second)
            if limb.endswith("arm"):
                lift = float(np.clip(-first[1], 0, 1))
                turns[f"clavicle.{limb[0].upper()}"] = turn(2, (-SHRUG if limb[0] == "l" else SHRUG) * lift)
        spin, place = np.zeros((len(self.labels), 3, 3)), np.zeros((len(self.labels), 3))
        for number, parent in enumerate(self._parents):
            base, shift = (spin[parent], place[parent]) if parent >= 0 else (np.eye(3), np.zeros(3))
            own, head = turns.get(self.labels[number], np.eye(3)), self._heads[number]
            spin[number], place[number] = base @ own, base @ (head - own @ head) + shift
        moved = np.einsum("nkij,nj->nki", spin[self._bones], self.rest) + place[self._bones]
        vertices = (moved * self._weights[..., None]).sum(1)
        heads = np.einsum("nij,nj->ni", spin, self._heads) + place
        return Posed(vertices, np.array([heads[self.at[bone]] for bone in JOINTS.values()]))
