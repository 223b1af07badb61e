"""What of a driver's readings is not acted but their own face at rest.

A tracker reads heavy brows as a frown that never ends (one filmed man: browDown 0.45 to 0.62, eyeSquint 0.60 to 0.81
through his whole clip, where most people's are under 0.1 and 0.3 at rest). A network that draws what is read
would give such a driver an identity that scowls at everybody, and that it never saw in training.
"""

import numpy as np

from realtime.frame import Floats
from realtime.tracking.face import Face

# browDown, browInnerUp, browOuterUp, eyeSquint: what a skull's shape and thick brows look like to a tracker. Lids, jaw,
# lips and gaze come back to nothing by themselves.
CHANNELS = np.array([1, 2, 3, 4, 5, 19, 20])
USUAL = np.array([0.1, 0.1, 0.25, 0.25, 0.25, 0.3, 0.3], np.float32)
"""What these read on most people at rest; the identities were trained on that, and only what is beyond it goes."""
DOWN = 0.15
"""How much of what a reading is below the rest is taken in, a frame: who began with raised brows is soon found out."""
SHARE = 0.4
"""How much of it goes."""
UP = 0.00015
"""How far the rest follows upwards, a frame: 0.27 in a minute at 30 frames a second. A long frown remains a frown."""


KNOWN = 8
"""So many people's rests are kept: those seen last."""


class RestingFace:
    """Takes a driver's own resting face out of the readings, each person's by `Face.track`.

    The rest is the least that was read, with slow leave to rise. It is known from the first frame on, so nothing jumps.
    """

    def __init__(self) -> None:
        self._rests: dict[int, Floats] = {}

    def __call__(self, face: Face) -> Floats:
        """(52,) float32 0..1: the readings without what is the driver's own and unusual."""
        read = np.array(face.blendshapes, np.float32)
        here = read[CHANNELS]
        rest = self._rests.pop(face.track, here)
        below = here - rest
        rest = rest + np.where(below < 0, DOWN * below, np.minimum(below, UP)).astype(np.float32)
        self._rests[face.track] = rest
        while len(self._rests) > KNOWN:
            del self._rests[next(iter(self._rests))]
        read[CHANNELS] = np.maximum(here - SHARE * np.maximum(rest - USUAL, 0), 0)
        return read
