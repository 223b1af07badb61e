"""The joints of a figure, and what is known of them at one moment."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_OF_A_SIDE = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "toe")
JOINTS = ("hips", "neck", "head", *(f"{side}_{joint}" for side in "lr" for joint in _OF_A_SIDE))
"""The 19 joints; left is the side that follows the driver's left, at the right of the picture."""


BEFORE = {"neck": "hips", "head": "neck"} | {
    f"{side}_{joint}": f"{side}_{before}"
    for side in "lr"
    for limb in (_OF_A_SIDE[:4], _OF_A_SIDE[4:])
    for before, joint in pairwise(limb)
}
"""The joint that a bone begins at, by the one that it ends at."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A figure's joints at one moment, drawn or to be drawn.

    `joints` (19, 2) float32 in the order of JOINTS, in pixels of a picture; NaN where a bone is at rest. `blendshapes`
    (52,) float32 of the driver's face, None where none is seen. `whole`: False from the waist up. `longest` (19,)
    float32, of motion that is played: the most that each joint was ever away from the one before it, in pixels.
    """

    joints: npt.NDArray[np.float32]
    blendshapes: npt.NDArray[np.float32] | None = None
    whole: bool = True
    longest: npt.NDArray[np.float32] | None = None
