"""Made-up footage for the tests of `masquerade learn`: looks of one person, good unless told otherwise."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from fakes import a_face
from heads import pose_of

from trained_models.learn.footage import CROP_PX, SMALL, Looks, light_faults, sharpness

RATE_HZ = 8.0


def some_looks(n: int = 200, *, clip: int = 0, seed: int = 0, change: Callable[[dict], None] | None = None) -> Looks:
    """`n` looks at 8 a second: a fine-grained face that turns, nods, talks, blinks and smiles, each for itself."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(n) / RATE_HZ
    grain = cv2.GaussianBlur(rng.integers(0, 256, (CROP_PX, CROP_PX, 3), np.uint8), (0, 0), 1.2)
    told = np.zeros((n, 52), np.float32)
    apart = np.full(n, 0.02)
    pose = np.zeros((n, 3), np.float32)
    part = np.arange(n) * 8 // n  # an eighth of the time each
    told[part == 1, 25], apart[part == 1] = 0.5, 0.3
    told[part == 2, 9:11] = 0.9
    told[part == 3, 44:46], apart[part == 3] = 0.9, 0.14
    pose[part == 4, 1] = np.radians(30)
    pose[part == 5, 1] = np.radians(-30)
    pose[part == 6, 0] = np.radians(18)
    pose[part == 7, 0] = np.radians(-18)
    face = a_face((CROP_PX / 2, CROP_PX / 2), 110)
    made = {
        "at_s": at_s,
        "clip": np.full(n, clip),
        "seq": np.arange(n) * 4,
        "crop": np.repeat(grain[None], n, 0),
        "blendshapes": told,
        "pose": pose,
        "apart": apart,
        "shape": np.zeros((n, 27, 3)),
        "score": np.ones(n, np.float32),
        "side_px": np.full(n, 200, np.float32),
        "inside": np.ones(n, np.float32),
        "landmarks": np.repeat(face.landmarks[None], n, 0),
    }
    if change is not None:
        change(made)
    crops, landmarks = made.pop("crop"), made.pop("landmarks")
    small = [cv2.resize(picture, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for picture in crops]
    made["coarse"] = np.stack([cv2.cvtColor(picture, cv2.COLOR_BGR2LAB) for picture in small])
    made["points"] = landmarks * np.float32(SMALL / CROP_PX)
    made["sharpness"] = np.array([sharpness(picture) for picture in crops], np.float32)
    faults = np.array([light_faults(*pair) for pair in zip(crops, landmarks, strict=True)], np.float32)
    made["spoilt"], made["uneven"] = faults.T
    faces = np.empty(n, object)
    for i in range(n):
        turned = pose_of(float(made["pose"][i, 0]), float(made["pose"][i, 1]), 0.0)
        faces[i] = replace(face, landmarks=landmarks[i], blendshapes=made["blendshapes"][i], pose=turned)
    return Looks(face=faces, **made)
