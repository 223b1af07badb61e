"""How well the inside of a mouth is painted: against rendered truth, in colour and in sharpness."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trained_models.recipes.lip_sync.batches import Batch, Samples
from trained_models.recipes.lip_sync.takes import PICTURES

LEAST = 30.0
"""Pixels that a mouth is open, of a crop of 128: there is little to paint in less."""
Draw = Callable[[Batch], Tensor]


def open_mouths(samples: Samples, every: int = 2) -> Batch:
    """Faces at rest and, as their truth, the same with an open mouth; `samples` are plain."""
    rng, found = np.random.default_rng(6), list[tuple[int, int, int]]()
    everything = [(take, 0, k) for take in range(len(samples.frames)) for k in range(1, PICTURES, every)]
    for start in range(0, len(everything), 32):
        some = everything[start : start + 32]
        wide = samples.pairs(some, rng).opened.sum((1, 2, 3))
        found += [pair for pair, area in zip(some, wide.tolist(), strict=True) if area >= LEAST]
    return samples.pairs(found, rng)


@torch.no_grad()
def inner_mouth(draw: Draw, pairs: Batch) -> dict[str, float]:
    """Means over `pairs`, inside the lips of the truth.

    `error`: of colours 0..1; `sharpness`: how strong edges are, of those of the truth; `edges`: how well they go with
    the truth's, a correlation. `resting`: the error of the face that was shown.
    """
    made, truth = draw(pairs), pairs.truth
    opened = pairs.opened

    def mean(x: Tensor) -> float:
        return float((x.mean(1, keepdim=True) * opened).sum() / opened.sum())

    grey = [x.mean(1, keepdim=True) for x in (made, truth)]
    steps = [torch.cat([x.diff(dim=3)[:, :, :-1], x.diff(dim=2)[..., :-1]], 1) for x in grey]
    inside = opened[:, :, :-1, :-1].expand_as(steps[0]) > 0.5
    drawn, true = (x[inside] for x in steps)
    return {
        "error": mean((made - truth).abs()),
        "resting": mean((pairs.shown - truth).abs()),
        "sharpness": float(drawn.abs().mean() / true.abs().mean()),
        "edges": float(torch.corrcoef(torch.stack([drawn, true]))[0, 1]),
    }
