"""Makes a drawn face as sharp and as noisy as the camera's own picture, so that it sits in the frame."""

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Floats, Pixels

SHARPEST, SOFTEST = 1.0, -0.9
"""How much of a drawn face's finest detail is added, or taken away."""
STEP = 0.15  # of the logarithm of the ratio of details, a frame: it settles within half a second
BLOCK = 8  # pixels; the flattest blocks of a face tell how noisy a camera is
FLATTEST = 20.0  # percent of the blocks
LEAST_NOISE, MOST_NOISE = 0.6, 6.0  # levels; less is not seen, more is no camera's
USUAL = 30  # the setting `sharpen` at which a face is as sharp as the camera's picture
_TILE = 640
_LAPLACE = 4.47  # of white noise of deviation 1, the deviation of its Laplacian (4 neighbours)


class CameraMatch:
    """Follows one driver's camera. One thread."""

    def __init__(self) -> None:
        self._amount = 0.0
        self._noise = 0.0
        random = np.random.default_rng(1)
        grain = cv2.GaussianBlur(random.normal(size=(_TILE, _TILE)).astype(np.float32), (0, 0), 0.6)
        self._grain: Floats = np.asarray(cv2.merge([grain / grain.std()] * 3), np.float32)
        self._random = random

    def __call__(self, drawn: Pixels, crop: Pixels, box: tuple[int, int, int, int], sharpen: int) -> Pixels:
        """The drawn face, (S, S, 3), with the detail of the `crop` it takes the place of; compared within `box`.

        `sharpen`: the setting; `USUAL` is as the camera.
        """
        x0, y0, x1, y1 = box
        if x1 - x0 < 4 * BLOCK or y1 - y0 < 4 * BLOCK:
            return drawn
        theirs, their_noise = _detail(crop[y0:y1, x0:x1])
        out = self._sharpened(drawn)
        mine, my_noise = _detail(out[y0:y1, x0:x1])
        wanted = theirs * max(1.0 + (sharpen - USUAL) / 100.0, 0.1)
        missing = np.sqrt(max(their_noise**2 - my_noise**2, 0.0))
        self._noise += 0.1 * (float(np.clip(missing, 0, MOST_NOISE)) - self._noise)
        with_noise = np.hypot(mine, self._noise * _LAPLACE if self._noise > LEAST_NOISE else 0.0)
        self._amount = float(
            np.clip(self._amount + STEP * np.log(max(wanted, 1.0) / max(with_noise, 1.0)), SOFTEST, SHARPEST)
        )
        if self._noise > LEAST_NOISE:
            size = out.shape[0]
            x, y = self._random.integers(0, _TILE - size + 1, 2)
            out = np.asarray(
                cv2.add(out, self._grain[y : y + size, x : x + size] * np.float32(self._noise), dtype=cv2.CV_8U),
                np.uint8,
            )
        return out

    def _sharpened(self, drawn: Pixels) -> Pixels:
        if abs(self._amount) < 0.03:
            return drawn
        soft = cv2.GaussianBlur(drawn, (5, 5), 1.0)
        return np.asarray(cv2.addWeighted(drawn, 1.0 + self._amount, soft, -self._amount, 0.0), np.uint8)


def _detail(part: Pixels) -> tuple[float, float]:
    """(deviation of the Laplacian, deviation of the noise) of a part of a picture, in levels."""
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    fine: npt.NDArray[np.int16] = np.asarray(cv2.Laplacian(grey, cv2.CV_16S), np.int16)
    rows, columns = (side // BLOCK for side in fine.shape)
    squares = cv2.resize(
        fine[: rows * BLOCK, : columns * BLOCK].astype(np.float32) ** 2, (columns, rows), interpolation=cv2.INTER_AREA
    )
    return float(np.sqrt(squares.mean())), float(np.sqrt(np.percentile(squares, FLATTEST))) / _LAPLACE
