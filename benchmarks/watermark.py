"""A hidden pattern on the driver's picture: wherever it shows in what goes out, the driver's own pixels are there.

Spread over the whole picture it is found in a hundredth of the picture's contrast, blended, dimmed or cut out, where
no comparison of pixels would see anything. What it does not find: pictures of the driver that were scaled or blurred
by more than a block, as the guard's blurred card is on purpose.
"""

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels

Reals = npt.NDArray[np.float32]

BLOCK = 4
"""Pixels a side of a cell of the pattern."""

LEVELS = 5
"""How much lighter or darker a cell is, of 255."""

SURE = 7.0
"""Standard deviations above chance from which the pattern counts as found: chance does that once in 10^11 pictures."""

_ELSEWHERE = 48
"""Places where the pattern is not, that say what chance gives."""


class Watermark:
    """A pattern for pictures of (width, height), by seed."""

    def __init__(self, size: tuple[int, int], seed: int = 0) -> None:
        rng = np.random.default_rng([seed, 9])
        rows, columns = size[1] // BLOCK, size[0] // BLOCK
        self._cells: Reals = np.where(rng.random((rows, columns)) < 0.5, -1.0, 1.0).astype(np.float32)
        rolls = [(int(rng.integers(1, rows)), int(rng.integers(1, columns))) for _ in range(_ELSEWHERE)]
        self._others = np.stack([np.roll(self._cells, roll, (0, 1)).ravel() for roll in rolls])
        wide = np.kron(self._cells, np.ones((BLOCK, BLOCK), np.float32)) * LEVELS
        self._light = np.zeros((size[1], size[0], 1), np.int16)
        self._light[: wide.shape[0], : wide.shape[1], 0] = wide.astype(np.int16)

    def on(self, pixels: Pixels) -> Pixels:
        """The picture (H, W, 3) with the pattern, a new array."""
        return np.asarray(np.clip(pixels.astype(np.int16) + self._light, 0, 255), np.uint8)

    def strength(self, pixels: Pixels) -> float:
        """How far above chance the pattern is in the picture, in standard deviations; about 0 where it is not."""
        rows, columns = self._cells.shape
        grey = cv2.cvtColor(pixels[: rows * BLOCK, : columns * BLOCK], cv2.COLOR_BGR2GRAY)
        cells = cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
        fine = cells - cv2.blur(cells, (3, 3))
        # Edges of the picture itself would drown the rest.
        fine = np.clip(fine, -LEVELS, LEVELS).ravel()
        chance = self._others @ fine
        return float((self._cells.ravel() @ fine - chance.mean()) / max(float(chance.std()), 1e-6))
