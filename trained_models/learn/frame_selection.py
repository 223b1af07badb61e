"""Which frames are learnt from: sharp, uncovered, each unlike the others; or why the footage will not do."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import ConfigError
from realtime.frame import Doubles
from realtime.imaging.blend import oval_mask
from trained_models.autoencoder.crops import SIZE
from trained_models.learn.footage import SMALL, Looks, unmoved
from trained_models.learn.sheets import BLINKS, JAW_OPEN, SMILES, spread_deg

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

_PUCKER = 38
_COARSE_FROM_CROP = np.array([[1.0, 0, 0], [0, 1, 0]]) * (SMALL / SIZE)
_COARSE_FROM_CROP[:, 2] = 0.5 * SMALL / SIZE - 0.5  # pixel centres


def uncovered(looks: Looks) -> npt.NDArray[np.bool_]:
    """(n,) True where nothing is before the face and the landmarks sit."""
    sure = looks.score >= SURE
    return np.asarray((strangeness(looks, sure) <= STRANGE) & (_jumps(looks) <= JUMP_PX) & sure)


def strangeness(looks: Looks, known: npt.NDArray[np.bool_]) -> Doubles:
    """(n,) the share of each face, 0..1, that is unlike the median of the `known` frames most alike in pose. 0 where
    there are too few of those."""
    out = np.zeros(len(looks))
    oval = np.stack([oval_mask(points, _COARSE_FROM_CROP, SMALL) > 0.8 for points in looks.landmarks])
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
    moved = told[:, JAW_OPEN] * 1.5, told[:, BLINKS].mean(1), told[:, SMILES].mean(1), told[:, _PUCKER]
    return np.column_stack([looks.pose * 6.0, *moved]).astype(np.float64)


def _jumps(looks: Looks) -> Doubles:
    jumps = np.zeros(len(looks))
    if len(looks) > 2:
        level = np.stack([unmoved(points) for points in looks.landmarks])
        steps = np.sqrt(((level[1:] - level[:-1]) ** 2).sum(-1)).mean(-1)
        jumps[1:-1] = np.minimum(steps[1:], steps[:-1])  # off both neighbours: a cut is no slip
    return jumps


# Measured on a rendered and two filmed people at 160 pixels: sharp faces read 0.14 to 0.22 (`footage.sharpness`),
# one through a rendered webcam 0.13, the sharp ones under a Gaussian of sigma 2 and 3 pixels 0.075 to 0.078 and 0.05.
BLURRED = 0.075
BLURRED_FOR_THEM = 0.6  # A frame below this share of the person's median is moved or out of focus

LEAST_SIDE_PX = 64.0
FARTHEST_DEG = 40.0  # turned or nodded beyond this, half the face is out of sight and what the tracker reads is a guess
INSIDE = 0.98  # the least share of the landmarks that must be in the picture

ALIKE = 0.22  # two frames nearer than this in `_feel` are duplicates
MOST_KEPT = 1500

LEAST_SECONDS = 8.0
LEAST_KEPT = 60
LEAST_YAW_DEG, LEAST_PITCH_DEG = 10.0, 6.0
LEAST_JAW = 0.12

_HOW = (
    "film a minute in even light: talk, smile, close the eyes, open the mouth wide, "
    "and turn the head slowly left, right, up and down"
)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """`kept`: the looks learnt from, in time order. The counts say why the others were left out."""

    kept: Looks
    seen: int
    small: int
    turned: int
    blurred: int
    covered: int
    duplicates: int

    def line(self) -> str:
        left_out = (
            f"{self.small} small, {self.turned} turned away or cut off, {self.blurred} blurred, "
            f"{self.covered} covered or slipped, {self.duplicates} like another"
        )
        return f"kept {len(self.kept)} of {self.seen} frames; left out: {left_out}"


def choose(looks: Looks, rate_hz: float) -> Choice:
    """The frames worth learning from. Raises ConfigError in one line, with what to film, where they will not do."""
    seconds = len(looks) / rate_hz
    if seconds < LEAST_SECONDS:
        raise ConfigError(
            f"a face is seen for {seconds:.1f} s, which is too short (at least {LEAST_SECONDS:g} s): {_HOW}"
        )
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
    sharp = looks.sharpness >= max(BLURRED, BLURRED_FOR_THEM * usual)
    sharp &= near
    bare = np.zeros(len(looks), bool)
    bare[sharp] = uncovered(looks[sharp])
    good = sharp & bare
    if good.sum() < LEAST_KEPT:
        raise ConfigError(
            f"only {int(good.sum())} of {len(looks)} frames show a sharp, uncovered face "
            f"(at least {LEAST_KEPT}): {_HOW}"
        )
    usable = looks[good]
    _check_variety(usable)
    unlike = different(usable)
    if len(unlike) < LEAST_KEPT:
        raise ConfigError(f"only {len(unlike)} frames differ from each other (at least {LEAST_KEPT}): {_HOW}")
    return Choice(
        kept=usable[unlike],
        seen=len(looks),
        small=int((~large).sum()),
        turned=int((large & ~near).sum()),
        blurred=int((near & ~sharp).sum()),
        covered=int((sharp & ~bare).sum()),
        duplicates=len(usable) - len(unlike),
    )


def different(looks: Looks) -> npt.NDArray[np.int64]:
    """The numbers of frames that are no duplicates, in order, `MOST_KEPT` at most. In time's order each frame is kept
    that is unlike all kept before; if those are too many, with a coarser eye."""
    feel = _feel(looks)
    alike = ALIKE
    while True:
        kept = [0]
        for i in range(1, len(feel)):
            if ((feel[kept] - feel[i]) ** 2).sum(1).min() > alike * alike:
                kept.append(i)
        if len(kept) <= MOST_KEPT:
            return np.array(kept)
        alike *= 1.15


def _feel(looks: Looks) -> Doubles:
    """(n, 55): a distance of 1 is a full blink, an open jaw, or a turn of a quarter radian."""
    return np.column_stack([looks.blendshapes, looks.pose * 4.0]).astype(np.float64)


def _check_variety(looks: Looks) -> None:
    yaw, pitch = spread_deg(looks.pose[:, 1]), spread_deg(looks.pose[:, 0])
    if yaw < LEAST_YAW_DEG and pitch < LEAST_PITCH_DEG:
        raise ConfigError(
            f"there is one pose only (the head turns by {yaw:.0f} and nods by {pitch:.0f} degrees, at least "
            f"{LEAST_YAW_DEG:g} or {LEAST_PITCH_DEG:g}): {_HOW}"
        )
    jaw = float(np.percentile(looks.blendshapes[:, JAW_OPEN], 98))
    if jaw < LEAST_JAW:
        raise ConfigError(f"the mouth never opens (jawOpen reaches {jaw:.2f}, at least {LEAST_JAW:g}): {_HOW}")
