"""Embeds the shape of a face: a few numbers of a person's own that stay the same while it turns and speaks.

The points that the landmark network gives are not one rigid head: as it turns they are drawn towards the average
face, and expressions move them. Those changes are much the same for everybody, so they were measured on rendered
people (`trained_models/recipes/skull.py`): what a turn does on average is taken off, and the rest is projected on
the few directions in which people differ most for how much each of them varies (Fisher's linear discriminant, 1936).
The unit of the result is one person's own standard deviation.
"""

from pathlib import Path

import numpy as np

from realtime.errors import ModelError
from realtime.frame import Doubles, Floats
from realtime.inference.file_kind import read_arrays
from realtime.tracking.pose import forward

# Points that expressions move little: eye corners, nose, the face's outline, brows.
SHAPE_POINTS = np.array(
    [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 98, 327, 234, 454, 127, 356, 93, 323, 10]
    + [152, 61, 291, 1, 46, 276, 52, 282]
)
TURNS = 7
NUMBERS = 8  # of directions: ten tell people apart a little better, and err more often when a hand covers half a face


class ShapeEmbedding:
    """Tells faces apart. `file` is a face bundle's `skull.npz`. Raises ModelError where it is not one."""

    def __init__(self, file: Path) -> None:
        directions, turning = read_arrays(file, "directions", "turning")
        if directions.shape != (3 * len(SHAPE_POINTS), NUMBERS) or turning.shape != (TURNS, NUMBERS):
            raise ModelError(f"{file.name} is of another version of masquerade: reinstall it")
        self._directions: Doubles = directions.astype(np.float64)
        self._turning: Doubles = turning.astype(np.float64)

    def __call__(self, shape: Doubles, pose: Floats) -> Doubles:
        """(8,) float64, near to those of the same person in other frames: 1 is how far these lie apart.

        `shape` (27, 3) are the `SHAPE_POINTS` on the canonical head in cm, pose taken out; `pose` (4, 4).
        """
        return np.asarray(shape.reshape(-1) @ self._directions - turned(pose) @ self._turning)


def turned(pose: Floats) -> Doubles:
    """(7,) how far a head is turned from the camera's axis, in the powers that its points' places depend on."""
    x, y, _ = forward(pose)
    return np.array([x, y, x * x, y * y, x * y, x**3, abs(x) * y])
