"""Which frames are learnt from: sharp, uncovered, each unlike the others; or why the footage will not do."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime.errors import ConfigError
from trained_models.recipes.autoencoder.learn.coverage import JAW_OPEN, spread_deg
from trained_models.recipes.autoencoder.learn.covered import uncovered
from trained_models.recipes.autoencoder.learn.footage import Looks

# Measured on a rendered and two filmed people at 160 pixels: sharp faces read 0.14 to 0.22 (`footage.sharpness`),
# one through a rendered webcam 0.13, the sharp ones under a Gaussian of sigma 2 and 3 pixels 0.075 to 0.078 and 0.05.
BLURRED = 0.075
BLURRED_FOR_THEM = 0.6
"""A frame below this share of the person's median is moved or out of focus."""

LEAST_SIDE_PX = 64.0
FARTHEST_DEG = 40.0
"""Turned or nodded beyond this, half the face is out of sight and what the tracker reads is a guess."""
INSIDE = 0.98
"""The least share of the landmarks that must be in the picture."""

ALIKE = 0.22
"""Two frames nearer than this in `_feel` are duplicates."""
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
        """The counts as people read them."""
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
    """The numbers of frames that are no duplicates, in order, `MOST_KEPT` at most.

    In time's order each frame is kept that is unlike all kept before; if those are too many, with a coarser eye.
    """
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


def _feel(looks: Looks) -> npt.NDArray[np.float64]:
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
