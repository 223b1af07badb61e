"""Seeded samples that networks are compared on: pictures and sounds without any file.

Nothing here looks like a face. That does not matter for the question whether two ways of running the same
weights give the same numbers; it does for calibrating int8 (`export.calibration`).
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SEED = 20_261_123
MORPHS = (0.0, 0.29, 0.75, 1.0)
"""Morph factors of an AMP's samples: both ends, and two that fall between and on channels."""


def picture(generator: np.random.Generator, size: int) -> Floats:
    """(1, 3, size, size) float32 0..1: soft colours, some sharp edges, a little noise; as a camera's pictures are."""
    coarse = generator.random((5, 5, 3))
    soft = np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.float64)
    for _ in range(4):
        at, side = generator.integers(0, size, 2), int(generator.integers(size // 8, size // 2 + 1))
        soft[at[0] : at[0] + side, at[1] : at[1] + side] += generator.uniform(-0.5, 0.5, 3)
    noisy = soft + generator.normal(0, 0.02, soft.shape)
    return np.ascontiguousarray(np.clip(noisy, 0, 1).transpose(2, 0, 1)[None], np.float32)


def pictures(size: int, count: int, seed: int = SEED) -> list[Floats]:
    """`count` pictures; the last of three or more is black, the one before it noise to the full range."""
    generator = np.random.default_rng(seed)
    made = [picture(generator, size) for _ in range(count)]
    if count >= 3:
        made[-2] = generator.random((1, 3, size, size), np.float32)
        made[-1] = np.zeros((1, 3, size, size), np.float32)
    return made


def mel_windows(count: int, seed: int = SEED) -> list[Floats]:
    """`count` windows (1, 1, 80, 16) of a mel spectrogram, float32 -4..4; the last of three or more is silence."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        bands = cv2.resize(generator.uniform(-6, 4, (10, 4)), (16, 80), interpolation=cv2.INTER_CUBIC)
        loud = np.clip(bands + generator.normal(0, 0.3, bands.shape), -4, 4)
        made.append(np.asarray(loud[None, None], np.float32))
    if count >= 3:
        made[-1] = np.full((1, 1, 80, 16), -4, np.float32)
    return made


def with_masked_half(face: npt.NDArray[Any]) -> Floats:
    """(1, 3, S, S) -> (1, 6, S, S): the face with its lower half black, then the face as it is (Wav2Lip's input)."""
    upper = face.copy()
    upper[:, :, face.shape[2] // 2 :] = 0
    return np.concatenate([upper, face], 1)
