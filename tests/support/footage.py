"""Made-up footage for the tests of `masquerade learn`: looks of one person, good unless told otherwise."""

from collections.abc import Callable

import cv2
import numpy as np
from fakes import a_face

from trained_models.autoencoder.crops import MARGIN, SIZE
from trained_models.learn.footage import SMALL, Looks, sharpness

RATE_HZ = 15.0


def some_looks(n: int = 300, *, clip: int = 0, seed: int = 0, change: Callable[[dict], None] | None = None) -> Looks:
    """`n` looks at 15 a second: a fine-grained face that turns, nods, talks, blinks and smiles."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(n) / RATE_HZ
    side = SIZE + 2 * MARGIN
    grain = cv2.GaussianBlur(rng.integers(0, 256, (side, side, 3), np.uint8), (0, 0), 1.2)
    told = np.zeros((n, 52), np.float32)
    told[:, 25] = 0.3 + 0.3 * np.sin(at_s * 4)
    told[:, [9, 10]] = (np.sin(at_s * 2.6) > 0.95)[:, None]
    told[:, [44, 45]] = 0.4 + 0.4 * np.sin(at_s * 0.9)[:, None]
    told[:, 3] = rng.uniform(0, 1, n)
    pose = np.zeros((n, 3), np.float32)
    pose[:, 1] = np.radians(20) * np.sin(at_s * 0.7)
    pose[:, 0] = np.radians(8) * np.sin(at_s * 0.5)
    made = {
        "at_s": at_s,
        "clip": np.full(n, clip),
        "crop": np.repeat(grain[None], n, 0),
        "landmarks": np.repeat(a_face((80, 85), 100).landmarks[None], n, 0),
        "blendshapes": told,
        "pose": pose,
        "shape": np.zeros((n, 27, 3)),
        "score": np.ones(n, np.float32),
        "side_px": np.full(n, 200, np.float32),
        "inside": np.ones(n, np.float32),
    }
    if change is not None:
        change(made)
    inner = made["crop"][:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    small = [cv2.resize(picture, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for picture in inner]
    made["coarse"] = np.stack([cv2.cvtColor(picture, cv2.COLOR_BGR2LAB) for picture in small])
    same = bool((inner == inner[:1]).all())
    sharp = [sharpness(inner[0])] * n if same else [sharpness(picture) for picture in inner]
    made["sharpness"] = np.array(sharp, np.float32)
    return Looks(**made)
