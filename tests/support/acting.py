"""Made-up acting: heads that turn, and pictures that move."""

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels

SIZE = (320, 240)


def turned(degrees: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def texture(shift: int = 0, noise: float = 0.0, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0] + 40, 3)).astype(np.uint8), (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    own = wide[:, shift : shift + SIZE[0]].astype(np.float64)
    own += np.random.default_rng(seed).normal(0, noise, own.shape) if noise else 0.0
    return np.ascontiguousarray(np.clip(own, 0, 255), dtype=np.uint8)
