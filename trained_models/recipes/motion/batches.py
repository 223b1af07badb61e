"""Batches of patches: number n is always the same batch, coloured anew so that paintings and drawings are covered."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from realtime.families.motion.mesh.source import (
    EYE_CHANNELS,
    EYE_SIDE,
    MOUTH_CHANNELS,
    MOUTH_SIDE,
    eye_feed,
    mouth_feed,
)
from trained_models.recipes.motion.refiner_samples import Patches

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Batch:
    """`*_fed` as the network takes them; `*_drawn` (a part of it), `*_truth` (n, 3, s, s) BGR 0..1."""

    mouth_fed: Tensor
    mouth_truth: Tensor
    eye_fed: Tensor
    eye_truth: Tensor


def colours(rng: Rng) -> tuple[Floats, Floats]:
    """A change of light and paint: a (3, 3) mix of the channels and (3,) powers."""
    mix = np.diag(np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.07, 3)))
    lot = rng.random()
    if lot < 0.08:
        mix = np.full((3, 3), mix.trace() / 9)  # black and white
    elif lot < 0.2:
        mix = mix[rng.permutation(3)]  # blue people, green people
    grey = rng.uniform(-0.25, 0.5) if rng.random() < 0.5 else 0.0
    mix = (1 - grey) * mix + grey * mix.sum(axis=0, keepdims=True) / 3
    power = np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.05, 3))
    return mix.astype(np.float32), power.astype(np.float32)


def _paint(pictures: Floats, rng: Rng) -> None:
    """Recolour (3 k, s, s) pictures alike, in place."""
    mix, power = colours(rng)
    for start in range(0, len(pictures), 3):
        part = np.tensordot(mix, pictures[start : start + 3], axes=1)
        pictures[start : start + 3] = np.clip(part, 0, 1) ** power[:, None, None]


class Samples:
    """Patches held in memory, and batches of them."""

    def __init__(self, patches: Patches, seed: int = 1, plain: bool = False) -> None:
        self._patches, self._seed, self._plain = patches, seed, plain
        self._mouths, self._eyes = len(patches.chin), len(patches.eye_drawn)

    def __len__(self) -> int:
        return self._mouths

    def batch(self, number: int, count: int) -> Batch:
        """`count` mouths and twice as many eyes."""
        rng = np.random.default_rng([self._seed, number])
        mouths = [int(i) for i in rng.integers(0, self._mouths, count)]
        eyes = [int(i) for i in rng.integers(0, self._eyes, 2 * count)]
        return self.chosen(mouths, eyes, rng)

    def chosen(self, mouths: list[int], eyes: list[int], rng: Rng) -> Batch:
        """These samples."""
        p = self._patches
        fed = np.empty((len(mouths), MOUTH_CHANNELS, MOUTH_SIDE, MOUTH_SIDE), np.float32)
        truth = np.empty((len(mouths), 3, MOUTH_SIDE, MOUTH_SIDE), np.float32)
        for row, i in enumerate(mouths):
            flip = slice(None, None, -1 if not self._plain and rng.random() < 0.5 else 1)
            pictures = (p.mouth_drawn[i], p.mouth_rest[i], p.mouth_guides[i])
            mouth_feed(fed[row], *(a[:, flip] for a in pictures), float(p.chin[i]))
            truth[row] = p.mouth_truth[i][:, flip].transpose(2, 0, 1) / np.float32(255)
            self._recolour(fed[row], truth[row], rng)
        fed_eyes = np.empty((len(eyes), EYE_CHANNELS, EYE_SIDE, EYE_SIDE), np.float32)
        true_eyes = np.empty((len(eyes), 3, EYE_SIDE, EYE_SIDE), np.float32)
        for row, i in enumerate(eyes):
            eye_feed(fed_eyes[row], p.eye_drawn[i], p.eye_rest[i], p.eye_guides[i])
            true_eyes[row] = p.eye_truth[i].transpose(2, 0, 1) / np.float32(255)
            self._recolour(fed_eyes[row], true_eyes[row], rng)
        return Batch(*(torch.from_numpy(a) for a in (fed, truth, fed_eyes, true_eyes)))

    def _recolour(self, fed: Floats, truth: Floats, rng: Rng) -> None:
        if self._plain:
            return
        both = np.concatenate([fed[:6], truth])
        _paint(both, rng)
        fed[:6], truth[:] = both[:6], both[6:]


def spread(samples: Samples, count: int) -> Batch:
    """Up to `count` samples from all over, mouths with their two eyes, not augmented if `samples` are plain."""
    chosen = np.unique(np.linspace(0, len(samples) - 1, count).astype(int)).tolist()
    return samples.chosen(chosen, [2 * i + k for i in chosen for k in (0, 1)], np.random.default_rng(0))
