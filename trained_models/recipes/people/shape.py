"""One person's shape: drawn from a seed, evaluated once, then posed with numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from trained_models.recipes.people import assets
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.geometry import fit_sphere, rotation
from trained_models.recipes.people.topology import lip_vertices, topology

HEAD_SHARES = (0.15, 0.15, 0.2, 0.5)  # how much of the head's turn each bone of the spine takes
LIP_GAP = -0.020  # resting lips overlap by 2 mm; the model's own gap differs from person to person

FACE_PARTS = ("head-", "forehead", "eyebrows", "eye-", "eyes", "nose", "mouth", "ear-", "chin", "cheek", "neck-")
GROTESQUE = (
    *("eyefold-angle", "head-age", "head-trans", "neck-trans", "mouth-trans-out", "nose-trans-out"),
    *("trans-forward", "head-angle", "nubian", "neck-back", "measure", "compression", "head-fat-", "mouth-laugh"),
)
"""Local changes that do harm, duplicate others or move the whole head."""


WOMENS_MEAN = {
    **{"chin-width-incr": -0.2, "chin-bones-incr": -0.25, "chin-jaw-drop-incr": -0.1, "eye-scale-incr": 0.12},
    **{"mouth-lowerlip-volume-incr": 0.15, "mouth-upperlip-volume-incr": 0.15},
    **{"nose-width1-incr": -0.1, "nose-volume-incr": -0.15},
}
"""Where local changes of women centre, left side named: the model's own women have heavy jaws and thin lips."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters of a person: `phenotype` (gender 0 = male … 1 = female, age, weight …) and local `changes`."""

    phenotype: dict[str, float]
    changes: dict[str, float]

    @property
    def male(self) -> bool:
        return self.phenotype["gender"] < 0.5

    @property
    def age(self) -> float:
        """0.667 is a young adult, 1.0 old."""
        return self.phenotype["age"]


def _spread(label: str) -> float:
    """How far a local change may go; larger than these, mouths and eyes look hurt."""
    spread = 0.24
    if "mouth" in label:
        spread = 0.17
    if "ear-" in label:
        spread = 0.25
    if label.startswith(("l-eye-trans", "l-eye-push", "l-eye-scale")):
        spread = 0.18
    if any(part in label for part in ("mouth-angles", "lowerlip-middle", "upperlip-middle")):
        spread = 0.15
    return spread


def sample_shape(seed: int) -> Shape:
    """An adult with a random face; left and right nearly alike."""
    rng = np.random.default_rng(seed)
    gender = rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)])
    ancestry = rng.dirichlet([0.45, 0.45, 0.45])
    male = gender < 0.5
    age = float(np.clip(rng.normal(0.72, 0.09), 0.6, 0.98))
    # Drawn apart, so that the others keep their faces: more old people than the bell above has.
    older = np.random.default_rng([seed, 17])
    if older.random() < 0.15:
        age = float(older.uniform(0.8, 0.98))
    phenotype = {
        "gender": gender,
        "age": age,
        "muscle": rng.uniform(0.35, 0.75) * (1.0 if male else 0.8),
        "weight": rng.uniform(0.3, 0.75),
        "height": 0.5,
        "proportions": rng.uniform(0.6, 1),
        "cupsize": rng.uniform(0.3, 0.6),
        "firmness": 0.6,
        "african": ancestry[0],
        "asian": ancestry[1],
        "caucasian": ancestry[2],
    }
    changes: dict[str, float] = {}
    for label in assets.body_model().local_change_labels:
        wanted = any(part in label for part in FACE_PARTS) and not any(part in label for part in GROTESQUE)
        if not wanted or label.startswith("r-"):
            continue
        usual = 0.0 if male else WOMENS_MEAN.get(label.removeprefix("l-"), 0.0)
        spread = _spread(label) * (1.0 if male else 0.85)
        change = float(np.clip(rng.normal(usual, spread), -0.75, 0.75))
        changes[label] = change
        if label.startswith("l-"):
            changes["r-" + label[2:]] = float(change + rng.normal(0, 0.04))
    return Shape(phenotype, changes)


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """One moment of a person: `vertices` (19158, 3) posed, `rest` the same before the head's turn. `head` and `neck`:
    (rotation, translation) from rest to posed of the uppermost and the lowest spine bone."""

    vertices: Floats
    rest: Floats
    head: tuple[Floats, Floats]
    neck: tuple[Floats, Floats]


class Identity:
    """A shape evaluated: `neutral` (19158, 3), eyeballs as (centre, radius), `centre` of the head (3,)."""

    def __init__(self, shape: Shape, eye_growth: float = 0.0) -> None:
        """`eye_growth`: the share by which a drawn character's eyes are larger."""
        topo = topology()
        self.neutral, heads = _evaluate(shape)
        self.joints = heads.astype(np.float32)
        self.eyes = [fit_sphere(self.neutral[index]) for index in topo.eyes]
        # Actions move grown parts farther; the model's own are 1 everywhere.
        self.growth = self._grow_eyes(eye_growth) if eye_growth else np.ones(len(self.neutral), np.float32)
        left, right = self.eyes[0][0], self.eyes[1][0]
        self.centre = np.array([0, (left[1] + right[1]) / 2, self.joints[3][2]], np.float32)
        # The actions' offsets are absolute; small faces need small ones.
        mean_eyes = [fit_sphere(topo.template[index])[0] for index in topo.eyes]
        self.scale = float(np.linalg.norm(left - right) / np.linalg.norm(mean_eyes[0] - mean_eyes[1]))
        self._close_lips()

    def _grow_eyes(self, share: float) -> Floats:
        """Enlarge eyes with lids, lashes and sockets; (n,) by how much each vertex's surroundings grew."""
        growth = np.ones(len(self.neutral), np.float32)
        for centre, radius in self.eyes:
            away = self.neutral - centre
            near = share * np.exp(-((away**2).sum(1)) / (2 * (1.9 * radius) ** 2))
            self.neutral = (self.neutral + away * near[:, None]).astype(np.float32)
            growth += near
        self.eyes = [fit_sphere(self.neutral[index]) for index in topology().eyes]
        return growth.astype(np.float32)

    def _close_lips(self) -> None:
        """Close resting lips with a small, mostly negative share of jawOpen."""
        topo = topology()
        opening = topo.deltas[topo.actions.index("jawOpen")]
        middle = lip_vertices(topo.template, 0.03, 6.5, 6.72, 1.44)
        moved = np.linalg.norm(opening, axis=1)[middle]
        lower, upper = middle[moved > 0.12], middle[moved < 0.06]
        gap = float(self.neutral[upper, 1].min() - self.neutral[lower, 1].max())
        if gap > LIP_GAP:
            fall = opening[lower, 1].mean() * self.scale
            share = float(np.clip((gap - LIP_GAP) / fall, -0.2, 0.2))
            self.neutral = self.neutral + share * opening * self.scale

    def pose(self, actions: Floats | None = None, rot: Any = (0, 0, 0)) -> Posed:
        """The person with 52 action weights and the head turned by `rot` (pitch, yaw, roll in degrees)."""
        topo = topology()
        rest = self.neutral.copy()
        if actions is not None:
            used = np.flatnonzero(actions)
            if len(used):
                moved_by = (actions[used] @ topo.moving_deltas[used]).reshape(-1, 3) * self.scale
                rest[topo.moving] += moved_by * self.growth[topo.moving, None]
        turned: Any = np.eye(3, dtype=np.float32)
        moved: Any = np.zeros(3, np.float32)
        placed = rest * (1 - topo.spine.sum(1))[:, None]
        bones: list[tuple[Floats, Floats]] = []
        for bone, share in enumerate(HEAD_SHARES):
            turn = rotation(*(np.array(rot) * share))
            joint = self.joints[bone]
            moved = turned @ (joint - turn @ joint) + moved
            turned = turned @ turn
            bones.append((turned, moved))
            placed += topo.spine[:, bone : bone + 1] * (rest @ turned.T + moved)
        return Posed(placed, rest, head=bones[-1], neck=bones[0])


def _evaluate(shape: Shape) -> tuple[Floats, Floats]:
    """Vertices (19158, 3) and the spine's joints (4, 3) of a shape that stands with its arms down."""
    import torch

    model = assets.body_model()
    names = list(model.bone_labels)
    pose = torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1)
    for bone, degrees in (("upperarm01", 28), ("shoulder01", 8)):
        for side, sign in (("L", 1), ("R", -1)):
            # About the vertical of our picture plane, which is anny's y axis.
            turn = torch.tensor(rotation(0, sign * degrees, 0), dtype=torch.float32)
            pose[0, names.index(f"{bone}.{side}"), :3, :3] = turn
    with torch.no_grad():
        out = model(
            pose_parameters=pose,
            phenotype_kwargs={k: torch.tensor([float(v)]) for k, v in shape.phenotype.items()},
            local_changes_kwargs={k: torch.tensor([float(v)]) for k, v in shape.changes.items()},
        )
    joints = assets.from_world(out["rest_bone_heads"][0].numpy())
    spine = [names.index(bone) for bone in assets.SPINE]
    return assets.from_world(out["vertices"][0].numpy()).astype(np.float32), joints[spine]
