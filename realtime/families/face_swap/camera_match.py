"""Makes a drawn face as sharp and as noisy as the camera's own picture, so that it sits in the frame."""

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels

SHARPEST, SOFTEST = 1.8, -0.9
"""How much of a drawn face's finest detail is added, or taken away."""
STEP, NOISE_STEP = 0.4, 0.25  # of the logarithm of the ratio of details, and of the noise, each third frame
BLOCK = 8  # pixels; the flattest blocks of a face tell how noisy a camera is
FLATTEST = 20.0  # percent of the blocks
LEAST_NOISE, MOST_NOISE = 0.6, 6.0  # levels; less is not seen, more is no camera's
USUAL = 30  # the setting `sharpen` at which a face is as sharp as the camera's picture
_TILE, _GRAIN = 640, 32.0  # the side of a stored grain, and the deviation it is stored with, about 128
_LAPLACE = 4.47  # of white noise of deviation 1, the deviation of its Laplacian (4 neighbours)
_EVERY = 3  # frames: a camera does not change


class CameraMatch:
    """Follows one driver's camera. One thread."""

    def __init__(self) -> None:
        self._amount = 0.0
        self._noise = 0.0
        self._frames = 0
        self._random = np.random.default_rng(1)
        grain = cv2.GaussianBlur(self._random.normal(size=(_TILE, _TILE)).astype(np.float32), (0, 0), 0.6)
        grain = np.clip(128 + grain * (_GRAIN / grain.std()), 0, 255).astype(np.uint8)
        self._grain = np.asarray(cv2.merge([grain] * 3), np.uint8)

    def __call__(self, drawn: Pixels, crop: Pixels, box: tuple[int, int, int, int], sharpen: int) -> Pixels:
        """The drawn face, (S, S, 3), with the detail of the `crop` it takes the place of; compared within `box`.

        `sharpen`: the setting; `USUAL` is as the camera.
        """
        x0, y0, x1, y1 = box
        if x1 - x0 < 4 * BLOCK or y1 - y0 < 4 * BLOCK:
            return drawn
        out = self._sharpened(drawn)
        if self._frames % _EVERY == 0:
            self._follow(out[y0:y1, x0:x1], crop[y0:y1, x0:x1], sharpen)
        self._frames += 1
        if self._noise > LEAST_NOISE:
            size, share = out.shape[0], self._noise / _GRAIN
            x, y = self._random.integers(0, _TILE - size + 1, 2)
            out = np.asarray(
                cv2.addWeighted(out, 1.0, self._grain[y : y + size, x : x + size], share, -128 * share), np.uint8
            )
        return out

    def _follow(self, mine: Pixels, theirs: Pixels, sharpen: int) -> None:
        wanted, their_noise = _detail(theirs)
        found, my_noise = _detail(mine)
        missing = np.sqrt(max(their_noise**2 - my_noise**2, 0.0))
        self._noise += NOISE_STEP * (float(np.clip(missing, 0, MOST_NOISE)) - self._noise)
        wanted *= max(1.0 + (sharpen - USUAL) / 100.0, 0.1)
        found = float(np.hypot(found, self._noise * _LAPLACE if self._noise > LEAST_NOISE else 0.0))
        change = STEP * np.log(max(wanted, 1.0) / max(found, 1.0))
        self._amount = float(np.clip(self._amount + change, SOFTEST, SHARPEST))

    def _sharpened(self, drawn: Pixels) -> Pixels:
        if abs(self._amount) < 0.03:
            return drawn
        soft = cv2.blur(drawn, (3, 3))
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
