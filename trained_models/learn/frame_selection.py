"""Which frames become key pictures: sharp, well lit, uncovered, the best of each expression and view; and what is
missing."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import ConfigError
from realtime.frame import Doubles, Floats
from realtime.imaging.blend import oval_mask
from realtime.models.card import Expression, View
from realtime.models.expressions import BLINKS, BROWS_UP, FUNNEL, JAW, PUCKER, SMILES, STRETCHES, expression_of, view_of
from trained_models.learn.footage import SMALL, Looks, unmoved

SURE = 0.9  # the tracker's score of an uncovered face is 1.00; of one behind a hand it may be less
JUMP_PX = 4.0
"""Landmarks that far off those before and after (mean, size and place taken out) have slipped; speech gives 2.6."""

# A hand 0.3 to 3 s long before a rendered face left 0.09 to 0.21 of it strange; all else stayed below 0.08.
STRANGE = 0.085
STRANGE_LIGHT = 28.0
STRANGE_COLOUR = 9.0  # steps of 8-bit CIELAB, after the frame's own shift of brightness and tone was taken out

NEIGHBOURS = 9
APART_S = 2.5
"""The frames compared with are at least so far away in time: what covers the face now must not be on them too."""
LIKE = 1.5  # farther in pose and expression than this there is nothing to compare with, and the frame passes

_COARSE = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def uncovered(looks: Looks) -> npt.NDArray[np.bool_]:
    """(n,) True where nothing is before the face and the landmarks sit."""
    sure = looks.score >= SURE
    return np.asarray((strangeness(looks, sure) <= STRANGE) & (_jumps(looks) <= JUMP_PX) & sure)


def strangeness(looks: Looks, known: npt.NDArray[np.bool_]) -> Doubles:
    """(n,) the share of each face, 0..1, that is unlike the median of the `known` frames most alike in pose. 0 where
    there are too few of those."""
    out = np.zeros(len(looks))
    oval = np.stack([oval_mask(points, _COARSE, SMALL) > 0.8 for points in looks.points])
    lab = np.stack([cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.8) for picture in looks.coarse])
    feel = _posed(looks)
    for i in range(len(looks)):
        elsewhere = (looks.clip != looks.clip[i]) | (np.abs(looks.at_s - looks.at_s[i]) > APART_S)
        far = np.where(elsewhere & known, ((feel - feel[i]) ** 2).sum(1), np.inf)
        nearest = np.argsort(far, kind="stable")[:NEIGHBOURS]
        nearest = nearest[far[nearest] <= LIKE**2]
        if len(nearest) < NEIGHBOURS // 2:
            continue
        both = oval[i] & (oval[nearest].mean(0) > 0.7)
        if not both.any():
            continue
        off = lab[i] - np.median(lab[nearest], axis=0)
        off -= np.median(off[both], axis=0)
        strange = (np.abs(off[..., 0]) > STRANGE_LIGHT) | (np.abs(off[..., 1:]).max(-1) > STRANGE_COLOUR)
        out[i] = float((strange & both).sum() / both.sum())
    return out


def _posed(looks: Looks) -> Doubles:
    told = looks.blendshapes
    moved = told[:, JAW] * 1.5, told[:, BLINKS].mean(1), told[:, SMILES].mean(1), told[:, PUCKER]
    return np.column_stack([looks.pose * 6.0, *moved]).astype(np.float64)


def _jumps(looks: Looks) -> Doubles:
    jumps = np.zeros(len(looks))
    if len(looks) > 2:
        level = np.stack([unmoved(face.landmarks) for face in looks.face])
        steps = np.sqrt(((level[1:] - level[:-1]) ** 2).sum(-1)).mean(-1)
        jumps[1:-1] = np.minimum(steps[1:], steps[:-1])  # off both neighbours: a cut is no slip
    return jumps


# Measured on a rendered and two filmed people at 192 pixels (`footage.sharpness`): sharp faces read 0.15 to 0.30, the
# same under a Gaussian of sigma 3 pixels 0.05 to 0.06.
BLURRED = 0.075
BLURRED_FOR_THEM = 0.6  # A frame below this share of the person's median is moved or out of focus

LEAST_SIDE_PX = 64.0
FARTHEST_DEG = 50.0  # turned or nodded beyond this, half the face is out of sight and what the tracker reads is a guess
INSIDE = 0.98  # the least share of the landmarks that must be in the picture
SPOILT = 0.25  # a face with more of it burnt out or black is none to wear

_HOW = "film a minute in even light: look ahead and rest, talk, smile, close the eyes, and turn the head slowly"
ASIDE_DEG, NODDED_DEG = 33.0, 18.0  # how far a picture of a turned and of a nodding head should be turned

WANTED: dict[tuple[Expression, View], str] = {
    ("smile", "front"): "no smile with teeth: film one",
    ("open", "front"): "no open mouth: say a long “ah”",
    ("closed", "front"): "no closed eyes: close them for a moment",
    ("pucker", "front"): "no pursed lips: say “oo”",
    ("brows_up", "front"): "no raised brows: look surprised",
    ("rest", "left"): "no head turned to the picture's left: turn it slowly, lips closed",
    ("rest", "right"): "no head turned to the picture's right: turn it slowly, lips closed",
    ("rest", "up"): "no lifted chin: lift it slowly, lips closed",
    ("rest", "down"): "no lowered chin: lower it slowly, lips closed",
}
"""What a good set has, and what is said where the clips do not show it."""
KEPT = {*WANTED, ("rest", "front"), ("wide", "front")} | {
    (expression, view) for expression in ("smile", "open", "closed") for view in ("left", "right")
}


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """`best`: by expression and view, the number of the look that becomes a key picture. The counts say why others were
    left out."""

    looks: Looks
    best: dict[tuple[Expression, View], int]
    small: int
    turned: int
    blurred: int
    covered: int

    def lines(self) -> list[str]:
        """What was found, and what is missing."""
        left_out = f"{self.small} small, {self.turned} turned away or cut off, {self.blurred} blurred"
        shown = ", ".join(expression if view == "front" else f"{expression} {view}" for expression, view in self.best)
        return [
            f"{len(self.looks)} faces looked at; left out: {left_out} or badly lit, {self.covered} covered or slipped",
            f"chosen: {shown}",
            *(line for kind, line in WANTED.items() if kind not in self.best),
        ]


def choose(looks: Looks) -> Choice:
    """The best frame of each expression and view. Raises ConfigError in one line where there is none to wear."""
    large = looks.side_px >= LEAST_SIDE_PX
    if large.mean() < 0.5:
        raise ConfigError(
            f"the face is only {np.median(looks.side_px):.0f} pixels large (at least {LEAST_SIDE_PX:g}): "
            "film from nearer, or give a larger video"
        )
    near = large & (looks.inside >= INSIDE) & (np.abs(looks.pose[:, :2]).max(1) <= np.radians(FARTHEST_DEG))
    if not near.any():
        raise ConfigError(
            f"the head is turned away by more than {FARTHEST_DEG:g} degrees, or cut off, in every frame: {_HOW}"
        )
    usual = float(np.median(looks.sharpness[near]))
    if usual < BLURRED:
        raise ConfigError(
            f"the footage is too blurred (sharpness {usual:.3f}, at least {BLURRED:g}): "
            "clean and focus the camera, add light, and film again"
        )
    sharp = (looks.sharpness >= max(BLURRED, BLURRED_FOR_THEM * usual)) & (looks.spoilt <= SPOILT) & near
    bare = np.zeros(len(looks), bool)
    if sharp.any():
        bare[sharp] = uncovered(looks[sharp])
    good = sharp & bare
    if not good.any():
        raise ConfigError(f"nothing was learnt: no frame shows a sharp, well lit, uncovered face: {_HOW}")
    return Choice(
        looks=looks,
        best=best_of(looks, good, usual),
        small=int((~large).sum()),
        turned=int((large & ~near).sum()),
        blurred=int((near & ~sharp).sum()),
        covered=int((sharp & ~bare).sum()),
    )


def best_of(looks: Looks, good: npt.NDArray[np.bool_], usual: float) -> dict[tuple[Expression, View], int]:
    """By expression and view, the number of the best of the `good` looks; `usual` is their median sharpness."""
    own = np.percentile(looks.blendshapes[good], 20, axis=0)  # what is read of this face at rest
    own_lips = float(np.percentile(looks.apart[good], 10))
    best: dict[tuple[Expression, View], tuple[float, int]] = {}
    for i in np.flatnonzero(good).tolist():
        read = np.maximum(looks.blendshapes[i] - own, 0)
        apart = max(float(looks.apart[i]) - own_lips, 0.0)
        expression, view = expression_of(read, apart), view_of(looks.face[i])
        if expression is None or view is None or (expression, view) not in KEPT:
            continue
        pitch, yaw = (abs(float(angle)) for angle in np.degrees(looks.pose[i, :2]))
        aim = {"left": ASIDE_DEG, "right": ASIDE_DEG, "up": NODDED_DEG, "down": NODDED_DEG}.get(view, 0.0)
        turned = yaw if view in ("left", "right") else pitch if view in ("up", "down") else float(np.hypot(yaw, pitch))
        worth = min(float(looks.sharpness[i]) / usual, 1.2) - 2 * float(looks.spoilt[i]) - float(looks.uneven[i])
        worth += _strength(expression, read, apart) - abs(turned - aim) / 20
        if worth > best.get((expression, view), (-np.inf, 0))[0]:
            best[expression, view] = worth, i
    order = sorted(best, key=lambda kind: (kind[1] != "front", kind[1], kind[0] != "rest", kind[0]))
    return {kind: best[kind][1] for kind in order}


def _strength(expression: Expression, read: Floats, apart: float) -> float:
    """0..1 how clearly a face shows its expression."""
    if expression == "smile":
        return float(read[SMILES].mean()) - 4 * abs(apart - 0.12)
    if expression == "open":
        return min(2.5 * apart, 1.2)
    if expression == "closed":
        return 1.5 * float(read[BLINKS].min())
    if expression == "pucker":
        return float(max(read[PUCKER], read[FUNNEL]))
    if expression == "wide":
        return float(read[STRETCHES].mean())
    if expression == "brows_up":
        return float(read[BROWS_UP].mean())
    return -float(read[BLINKS].max() + read[SMILES].mean() + 4 * apart + read[PUCKER] + read[BROWS_UP].mean())
