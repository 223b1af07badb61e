"""Weights by the recipe keyfill-v1 of the recorded references: full-size networks without a file."""

import math
import zlib
from typing import Any

import numpy as np
import torch

GAINS = {
    "final.weight": 0.1,
    "output_block.1.weight": 0.1,
    "dense_motion_network.mask.weight": 0.5,
    "dense_motion_network.occlusion.weight": 0.5,
    "kp.weight": 0.5,
    "jacobian.weight": 0.5,
}
FIXED = ("down.weight", "dense_motion_network.down.weight")


def keyfill(network: Any) -> dict[str, Any]:
    """A state dict for `network`: every array from a generator seeded with its own name."""
    return {
        key: value.clone() if key in FIXED else torch.from_numpy(filled(key, tuple(value.shape)))
        for key, value in network.state_dict().items()
    }


def filled(key: str, shape: tuple[int, ...]) -> Any:
    """One array of the recipe, float32 (the counter of batches int64)."""
    rng = np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF)
    last = key.rpartition(".")[2]
    if last == "num_batches_tracked":
        return np.array(1000, np.int64)
    if last == "running_mean":
        out = 0.1 * rng.randn(*shape)
    elif last == "running_var" or (last == "weight" and len(shape) == 1):
        out = 0.5 + rng.rand(*shape)
    elif last == "bias":
        out = 0.05 * rng.randn(*shape)
    else:
        gain = GAINS.get(key, 1.0) * (0.8 if key.endswith("conv_block.0.weight") else 1.0)
        out = rng.randn(*shape) * math.sqrt(2 / math.prod(shape[1:])) * gain
    return out.astype(np.float32)
