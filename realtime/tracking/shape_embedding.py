"""Who a face is, as far as its shape tells: a few numbers that stay the same while it turns and speaks.

The points that the landmark network gives are not one rigid head: as it turns they are drawn towards the average
face, and expressions move them. Those changes are much the same for everybody, so they were measured on rendered
people (`trained_models/recipes/skull.py`): what a turn does on average is taken off, and the rest is projected on
the few directions in which people differ most for how much each of them varies (Fisher's linear discriminant, 1936).
The unit of the result is one person's own standard deviation.

Frames of 53 rendered people held out, learnt from eight frames each: the same person's were within 2.6 in the middle
and 4.4 in 95 of 100, 86 % of others' further away than that (6.3 in the middle). Comparing the points themselves, in
centimetres: 0.41 in the middle, others' 0.53, 19 % of them further than 95 of 100. A filmed man and woman were within
1.5 and 2.8 of themselves in 95 of 100 frames; twelve others 5.1 to 8.2 from them in the middle.
"""

from pathlib import Path

import numpy as np

from realtime.errors import ModelError
from realtime.frame import Doubles, Floats

# Points that expressions move little: eye corners, nose, the face's outline, brows.
SHAPE_POINTS = np.array(
    [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 98, 327, 234, 454, 127, 356, 93, 323, 10]
    + [152, 61, 291, 1, 46, 276, 52, 282]
)
NUMBERS = 8
"""How many directions: ten tell people apart a little better, and err more often when a hand covers half a face."""


class ShapeEmbedding:
    """Tells faces apart. `file` is a face bundle's `skull.npz`. Raises ModelError where it is not one."""

    def __init__(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as stored:
                directions, turning = stored["directions"], stored["turning"]
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{file.name} is not the skull file of a face bundle: reinstall masquerade") from error
        if directions.shape != (3 * len(SHAPE_POINTS), NUMBERS) or turning.shape != (TURNS, NUMBERS):
            raise ModelError(f"{file.name} is of another version of masquerade: reinstall it")
        self._directions: Doubles = directions.astype(np.float64)
        self._turning: Doubles = turning.astype(np.float64)

    def __call__(self, shape: Doubles, pose: Floats) -> Doubles:
        """(8,) float64, near to those of the same person in other frames: 1 is how far these lie apart.

        `shape` (27, 3) are the `SHAPE_POINTS` on the canonical head in cm, pose taken out; `pose` (4, 4).
        """
        return np.asarray(shape.reshape(-1) @ self._directions - turned(pose) @ self._turning)


TURNS = 7


def turned(pose: Floats) -> Doubles:
    """(7,) how far a head is turned from the camera's axis, in the powers that its points' places depend on."""
    forward = pose[:3, 2].astype(np.float64)
    x, y, _ = forward / max(float(np.linalg.norm(forward)), 1e-9)
    return np.array([x, y, x * x, y * y, x * y, x**3, abs(x) * y])
