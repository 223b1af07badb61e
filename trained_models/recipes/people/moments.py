"""Draws what a training pair shows: actions, pose, gaze, light, camera and room, all from three numbers.

The mixture covers speech, few strong actions, whole expressions and near-neutral faces, so that a network cannot learn
that a smile comes with an open mouth or raised brows with wide eyes.
"""

from dataclasses import dataclass

import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.calibrate import EXPRESSIONS, PAIRED, side_names
from trained_models.recipes.people.speech import VISEMES

SINGLE = (
    *("browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthFunnel", "mouthLeft"),
    *("mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
)
DRAWN = PAIRED + SINGLE
_COMMON = {
    **{"browDown": 2, "browOuterUp": 1.5, "eyeBlink": 1, "eyeSquint": 1.2, "mouthSmile": 3, "browInnerUp": 3},
    **{"jawOpen": 3, "mouthFunnel": 1.5, "mouthPucker": 1.5, "mouthFrown": 1.2, "mouthStretch": 1.0},
    **{"cheekPuff": 0.4, "jawForward": 0.4, "jawLeft": 0.5, "jawRight": 0.5, "noseSneer": 0.6, "cheekSquint": 0.5},
}
"""How often single actions are drawn, against 0.7 for the rest: what a webcam shows most counts most."""
LIKELY = np.array([_COMMON.get(name, 0.7) for name in DRAWN])
EXPRESSION_SHARES = np.array([0.2, 0.12, 0.12, 0.12, 0.14, 0.1, 0.05, 0.05, 0.05, 0.05])
STRONGEST = 1.05


@dataclass(frozen=True, slots=True, eq=False)
class MomentDraw:
    """One sample's numbers. `actions` (52,) 0..1.05; `rot` pitch, yaw, roll; `gaze` yaw, pitch, degrees.

    `light`, `room`: seeds. `distance` in dm and the vertical `view_deg` frame 2.5 to 3 dm at the face; `offset` (2,) dm
    aside and up; `tilt`: degrees that the camera looks down.
    """

    actions: Floats
    rot: Floats
    gaze: Floats
    light: int
    room: int
    distance: float
    view_deg: float
    offset: Floats
    tilt: float


class _Mix:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.weights: dict[str, float] = {}

    def put(self, name: str, weight: float) -> None:
        self.weights[name] = self.weights.get(name, 0) + weight

    def add(self, action: str, weight: float) -> None:
        """Add an action; its two halves mostly alike, in 15 % of cases quite apart."""
        halves = side_names(action)
        if len(halves) == 1:
            self.put(action, weight)
            return
        if self.rng.random() < 0.15:
            shares = self.rng.uniform(0, 1, 2)
            shares /= shares.max()
        else:
            shares = np.clip(1 + self.rng.normal(0, 0.07, 2), 0.7, 1.2)
        for half, share in zip(halves, shares, strict=True):
            self.put(half, weight * share)

    def express(self, strength: float) -> None:
        shares = EXPRESSION_SHARES / EXPRESSION_SHARES.sum()
        for action, weight in EXPRESSIONS[self.rng.choice(list(EXPRESSIONS), p=shares)].items():
            self.add(action, weight * strength * self.rng.uniform(0.6, 1.1))

    def say(self) -> None:
        count = self.rng.integers(1, 3)
        for share in self.rng.dirichlet([1] * count) * self.rng.uniform(0.5, 1.4):
            for action, weight in VISEMES[self.rng.choice(list(VISEMES))].items():
                self.put(action, weight * share)

    def lids(self) -> None:
        """Blinks in a quarter of all samples, in all stages, now and then one eye; what contradicts them goes."""
        rng, weights = self.rng, self.weights
        lot = rng.random()
        left = right = 0.0
        if lot < 0.13:
            left = right = rng.uniform(0.8, 1.03)
        elif lot < 0.22:
            left = rng.uniform(0.1, 0.8)
            right = left * rng.uniform(0.85, 1.1)
        elif lot < 0.25:
            winks = [(rng.uniform(0.5, 1), 0), (0, rng.uniform(0.5, 1))]
            left, right = winks[rng.integers(2)]
        for side, closed in (("Left", left), ("Right", right)):
            if lot < 0.25:
                weights.pop("eyeWide" + side, None)
            blink = max(weights.get("eyeBlink" + side, 0), closed)
            weights["eyeSquint" + side] = weights.get("eyeSquint" + side, 0) * (1 - min(1, blink))
            weights["eyeBlink" + side] = min(blink, 1.03)

    def settle(self) -> None:
        """Brows that go up and down at once cancel."""
        weights = self.weights
        for side in ("Left", "Right"):
            if weights.get("browDown" + side, 0) > 0:
                weights["browOuterUp" + side] = weights.get("browOuterUp" + side, 0) * 0.3
        if max(weights.get("browDownLeft", 0), weights.get("browDownRight", 0)) > 0.4:
            weights["browInnerUp"] = weights.get("browInnerUp", 0) * 0.4

    def vector(self, names: list[str]) -> Floats:
        out = np.zeros(len(names), np.float32)
        for name, weight in self.weights.items():
            out[names.index(name)] = np.clip(weight, 0, STRONGEST)
        rounded = [names.index("mouthPucker"), names.index("mouthFunnel")]
        if (total := out[rounded].sum()) > 1:
            out[rounded] /= total
        return out


def _actions(rng: np.random.Generator, names: list[str]) -> Floats:
    mix = _Mix(rng)
    likely = LIKELY / LIKELY.sum()
    lot = rng.random()
    if lot < 0.26:
        mix.say()
        if rng.random() < 0.45:
            mix.express(rng.uniform(0.15, 0.8))
        elif rng.random() < 0.5:
            mix.add(rng.choice(["browInnerUp", "browDown", "mouthSmile", "browOuterUp"]), rng.uniform(0.2, 1))
    elif lot < 0.60:
        for action in rng.choice(DRAWN, rng.integers(1, 6), replace=False, p=likely):
            mix.add(action, rng.beta(1.1, 1.1))
    elif lot < 0.92:
        mix.express(rng.uniform(0.2, 1.1))
        if rng.random() < 0.35:
            mix.express(rng.uniform(0.1, 0.7))
        if rng.random() < 0.35:
            mix.add("jawOpen", rng.beta(1, 1.8))
    else:
        for action in rng.choice(DRAWN, 3, replace=False):
            mix.add(action, abs(rng.normal(0, 0.06)))
    if mix.weights.get("jawOpen", 0) > 0.1 and rng.random() < 0.10:
        mix.weights["mouthClose"] = rng.uniform(0.2, 0.9) * min(mix.weights["jawOpen"], 1)
    if rng.random() < 0.03:
        mix.weights["tongueOut"] = rng.uniform(0.3, 1)
    mix.lids()
    mix.settle()
    return mix.vector(names)


def draw_moment(seed: int, shard: int, index: int, names: list[str]) -> MomentDraw:
    """The sample `index` of a shard; the same numbers for the same arguments. `names`: the topology's actions."""
    rng = np.random.default_rng([seed, shard, index])
    actions = _actions(rng, names)
    turned = [np.clip(rng.normal(0, spread), -most, most) for spread, most in ((10, 30), (18, 50), (7, 25))]
    gaze = np.clip(rng.normal(0, 10), -25, 25), np.clip(rng.normal(-1, 6), -16, 16)
    distance, height = float(rng.uniform(5.5, 11)), float(rng.uniform(2.5, 3.05))
    offset = np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15).astype(np.float32)
    return MomentDraw(
        actions=actions,
        rot=np.array(turned, np.float32),
        gaze=np.array(gaze, np.float32),
        light=int(rng.integers(1 << 31)),
        room=int(rng.integers(1 << 31)),
        distance=distance,
        view_deg=float(2 * np.degrees(np.arctan(height / 2 / distance))),
        offset=offset,
        tilt=float(rng.normal(0, 4)),
    )
