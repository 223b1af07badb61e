"""Tiny prepared pairs for the swap recipe's tests: noise, ramps and plausible readings."""

from pathlib import Path

import numpy as np

from trained_models.autoencoder.dataset import Shard, save_shard
from trained_models.autoencoder.network import Shape
from trained_models.autoencoder.training import Plan

SMALL = Shape(
    size=32,
    code=8,
    condition=8,
    encoder=(4, 4, 8, 8, 8),
    bottom=8,
    decoder=(8, 8, 4, 4),
    driver_mask=(4, 4, 8, 8, 8),
    fine=8,
)
PLAN = Plan(batch=2, warm_up_steps=2, bf16=False, seed=5)


def made_up_shard(count: int = 3, size: int = 32, margin: int = 4) -> Shard:
    """Noise for drivers, one colour ramp for the identity, plausible readings."""
    rng = np.random.default_rng(3)
    large = size + 2 * margin
    ramp = np.linspace(20, 120, size * 3).reshape(1, size, 3).repeat(size, 0).astype(np.uint8)
    return Shard(
        face=rng.integers(0, 256, (count, large, large, 3), np.uint8),
        target=np.broadcast_to(ramp, (count, size, size, 3)).copy(),
        mask=np.full((count, size, size), 255, np.uint8),
        weight=np.full((count, size, size), 16, np.uint8),
        blendshapes=rng.uniform(0, 1, (count, 52)).astype(np.float32),
        pose=rng.normal(0, 0.2, (count, 3)).astype(np.float32),
        lips=rng.uniform(0, 0.3, (count, 3)).astype(np.float32),
        fine=np.full((count, 48, 48, 3), 90, np.uint8),
    )


def made_up_data(folder: Path) -> Path:
    """A folder with two prepared shards."""
    for name in ("shard_00000", "shard_00001"):
        save_shard(folder / name, made_up_shard())
    return folder
