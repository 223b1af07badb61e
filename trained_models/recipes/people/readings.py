"""What our tracker reads on a drawn face, for everything that measures the drawings."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import Floats

if TYPE_CHECKING:
    from realtime.tracking.tracker import Tracker

Read = Callable[[Floats], npt.NDArray[np.float32]]
"""(52,) actions in the topology's order → (52,) readings in the order of `READ`, 0..1."""

READ = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight"),
    *("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
"""MediaPipe's order of blendshapes."""


def reader(draw: Callable[[Floats], Any], tracker: "Tracker") -> Read:
    """Readings of what `draw` draws: from actions (52,) to a picture (h, w, 3) RGB. A missed face reads as NaN."""

    def read(actions: Floats) -> npt.NDArray[np.float32]:
        faces = tracker.find(np.ascontiguousarray(draw(actions)[..., ::-1]))
        return faces[0].blendshapes if faces else np.full(len(READ), np.nan, np.float32)

    return read
