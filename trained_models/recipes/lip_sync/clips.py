"""Five mouths that follow each other, and the sound that goes with them: what tells a mouth in step from a late one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from realtime.audio.mel import WINDOW
from trained_models.recipes.lip_sync.batches import Samples
from trained_models.recipes.lip_sync.network import ROWS, SIZE, TOP
from trained_models.recipes.lip_sync.takes import PICTURES, SEEN, SIDE, Floats, Takes, window_of
from trained_models.recipes.motion.batches import colours

MOUTHS = 5
"""200 ms of pictures at 25 a second: as much as a window of sound lasts (Chung and Zisserman 2016)."""
HIGH, WIDE = 56, 72
"""A mouth's picture, cut from the 80 x 128 that the painter makes."""
ABOVE = 20
"""Rows of it above the middle of the lips at rest."""
NEAREST, FARTHEST = 6, 24
"""By how many frames of sound, 12.5 ms each, a wrong sound is early or late."""


@dataclass(frozen=True, slots=True)
class Clip:
    """n clips of five pictures k .. k + 4 of a take.

    `faces` (n, 5, 3, 80, 128) BGR 0..1: the truth; `mels` (n, 5, 80, 16): each picture's own window; `heard` (n, 80,
    16): the window of the first, which lasts as long as the five; `wrong` (n, 80, 16): one that is early or late;
    `corners` (n, 2): the left upper corner of the mouth in `faces`, pixels; `picked` (n, 2): take and first picture.
    """

    faces: Tensor
    mels: Tensor
    heard: Tensor
    wrong: Tensor
    corners: npt.NDArray[np.int64]
    picked: npt.NDArray[np.int64]


class Clips:
    """All clips of `takes`; clip batch number n is always the same. `samples` are the same takes."""

    def __init__(self, takes: Sequence[Takes], samples: Samples, seed: int = 7) -> None:
        self.mel = np.concatenate([t.mel for t in takes])
        self._samples, self._seed = samples, seed

    def batch(self, number: int, count: int, *, plain: bool = False) -> Clip:
        """`count` clips in anybody's light, or as they are if `plain`."""
        rng = np.random.default_rng([self._seed, number])
        picked = np.stack(
            [rng.integers(len(self.mel), size=count), rng.integers(1, PICTURES - MOUTHS + 1, count)], axis=1
        )
        edge = (SIDE - SEEN) // 2
        frames = self._samples.frames[picked[:, :1], picked[:, 1:] + np.arange(MOUTHS)]
        cut = frames[:, :, edge + TOP : edge + SIZE, edge : edge + SIZE].transpose(0, 1, 4, 2, 3)
        faces = cut.astype(np.float32) / np.float32(255)
        if not plain:
            for row in faces:
                mix, power = colours(rng)
                row[:] = np.clip(np.einsum("ab,tbhw->tahw", mix, row), 0, 1) ** power[:, None, None]
        mels = np.stack([[self._window(t, window_of(k + j)) for j in range(MOUTHS)] for t, k in picked])
        wrong = []
        for take, first in picked:
            start = window_of(first)
            off = rng.integers(NEAREST, FARTHEST + 1, 8) * rng.choice((-1, 1), 8)
            inside = [int(o) for o in off if 0 <= start + o <= self.mel.shape[2] - WINDOW]
            wrong.append(self._window(take, start + (inside or [NEAREST if start < 40 else -NEAREST])[0]))
        corners = mouth_corners(self._samples.lips[picked[:, 0], 0] - (edge, edge + TOP))
        seen, own, first, late = (
            torch.from_numpy(np.ascontiguousarray(x)) for x in (faces, mels, mels[:, 0], np.stack(wrong))
        )
        return Clip(seen, own, first, late, corners, picked)

    def shown(self, clip: Clip, number: int) -> tuple[Tensor, Tensor]:
        """What a painter is shown for `clip`: (5 n, 3, 80, 128) one picture of its take, at rest or not, and lips."""
        rng = np.random.default_rng([self._seed + 1, number])
        picked = [(int(t), int(rng.integers(PICTURES)) if rng.random() < 0.5 else 0, int(k)) for t, k in clip.picked]
        pairs = self._samples.pairs(picked, rng, plain=True)
        return pairs.shown.repeat_interleave(MOUTHS, 0), pairs.lips.repeat_interleave(MOUTHS, 0)

    def _window(self, take: int, start: int) -> Floats:
        return np.asarray(self.mel[take, :, start : start + WINDOW], np.float32)


def mouth_corners(lips: Floats) -> npt.NDArray[np.int64]:
    """(n, 2) where to cut a mouth out of the painter's picture; `lips` (n, 4, 2) at rest, in its pixels."""
    middle = lips.mean(1)
    x = np.clip(np.round(middle[:, 0] - WIDE / 2), 0, SIZE - WIDE)
    y = np.clip(np.round(middle[:, 1] - ABOVE), 0, ROWS - HIGH)
    return np.stack([x, y], axis=1).astype(np.int64)


def mouths(faces: Tensor, corners: npt.NDArray[np.int64]) -> Tensor:
    """(n, k, 3, 56, 72) out of (n, k, 3, 80, 128)."""
    return torch.stack([face[..., y : y + HIGH, x : x + WIDE] for face, (x, y) in zip(faces, corners, strict=True)])
