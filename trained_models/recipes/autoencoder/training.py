"""The training loop's state and one step of it: exact to resume, light enough for two CPU cores."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trained_models.recipes.autoencoder.augment import mirrored_blendshapes
from trained_models.recipes.autoencoder.losses import swap_loss
from trained_models.recipes.autoencoder.network import Shape, SwapNetwork
from trained_models.recipes.autoencoder.pairs_dataset import Batch, Floats, Pairs

LEAST_SPREAD = np.repeat(np.array([0.06, 0.05], np.float32), [52, 3])
"""Blendshapes the tracker hardly moves are not blown up beyond this; angles in radians."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. `peak_rate` is AdamW's; it falls along a cosine over the last `fall` of the run."""

    batch: int = 8
    peak_rate: float = 1e-3
    last_rate: float = 3e-5
    warm_up_steps: int = 200
    fall: float = 0.45
    average: float = 0.998
    seed: int = 1
    bf16: bool = True

    def rate(self, step: int, progress: float) -> float:
        """The learning rate at `step` when `progress` (0..1) of the run is over."""
        warm = min(1.0, (step + 1) / self.warm_up_steps)
        into = min(max((progress - (1 - self.fall)) / self.fall, 0.0), 1.0)
        falling = self.last_rate + (self.peak_rate - self.last_rate) * 0.5 * (1 + math.cos(math.pi * into))
        return warm * falling


class Training:
    """A network in training, its running average, and the optimiser.

    The running average of weights and statistics is what is exported: it is steadier than any single step.
    """

    def __init__(self, plan: Plan, shape: Shape | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.network = SwapNetwork(shape).to(memory_format=torch.channels_last).train()
        self.averaged = SwapNetwork(shape).to(memory_format=torch.channels_last).eval()
        self.averaged.load_state_dict(self.network.state_dict())
        plain = [p for p in self.network.parameters() if p.ndim < 2]
        weights = [p for p in self.network.parameters() if p.ndim >= 2]
        groups = [{"params": weights, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=plan.peak_rate, betas=(0.9, 0.99), fused=True)
        self._kept, self._newest = (
            [t for t in n.state_dict().values() if t.is_floating_point()] for n in (self.averaged, self.network)
        )
        self.step_number = 0
        self.seconds = 0.0

    def fit_condition(self, readings: Floats) -> None:
        """Set what the condition is measured against: the data's readings (n, 55) and their mirror images."""
        turned = readings.copy()
        turned[:, :52] = np.stack([mirrored_blendshapes(b) for b in readings[:, :52]])
        turned[:, 53:] *= -1
        both = np.concatenate([readings, turned])
        spread = np.maximum(both.std(axis=0), LEAST_SPREAD)
        for network in (self.network, self.averaged):
            network.decoder.condition.mean.copy_(torch.from_numpy(both.mean(axis=0)))
            network.decoder.condition.spread.copy_(torch.from_numpy(spread))

    def step(self, batch: Batch, progress: float) -> dict[str, float]:
        """One step of the optimiser; the loss's terms."""
        rate = self.plan.rate(self.step_number, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        face = batch.face.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
            drawn = self.network(face, batch.blendshapes, batch.pose, batch.mirrored, batch.keep_code)
        loss, terms = swap_loss(drawn, batch.target, batch.mask, batch.weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step_number += 1
        self._average()
        return {"loss": float(loss.detach()), "rate": rate, **terms}

    @torch.no_grad()
    def _average(self) -> None:
        # Early weights are soon forgotten: the average's memory grows with the run.
        keep = min(self.plan.average, (1 + self.step_number) / (10 + self.step_number))
        torch._foreach_lerp_(self._kept, self._newest, 1 - keep)

    def save(self, path: Path) -> None:
        """Everything needed to go on, written whole or not at all."""
        state = {
            "shape": self.network.shape.as_dict(),
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step_number,
            "seconds": self.seconds,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from `save`'s file. Only plain tensors are read from it."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        if state["shape"] != self.network.shape.as_dict():
            raise ValueError(f"{path.name} holds a network of shape {state['shape']}: pass the same sizes")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step_number = int(state["step"])
        self.seconds = float(state["seconds"])


def save_weights(network: SwapNetwork, path: Path, facts: dict[str, float]) -> None:
    """The weights alone in half precision, an `.npz` without pickles, with some numbers of the training."""
    tensors = {k: v.numpy() for k, v in network.state_dict().items()}
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 and v.ndim > 1 else v for k, v in tensors.items()}
    sizes = {f"shape.{k}": np.array(v) for k, v in network.shape.as_dict().items()}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **halves, **sizes, **{k: np.array(v) for k, v in facts.items()})
    part.replace(path)


def load_weights(path: Path) -> SwapNetwork:
    """The network of a `save_weights` file, in float32, ready to draw."""
    with np.load(path, allow_pickle=False) as file:
        sizes = {k.removeprefix("shape."): file[k].tolist() for k in file.files if k.startswith("shape.")}
        shape = Shape(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()})
        network = SwapNetwork(shape)
        names = network.state_dict().keys()
        network.load_state_dict({k: _widened(file[k]) for k in names})
    return network.to(memory_format=torch.channels_last).eval()


def _widened(values: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32) if values.dtype == np.float16 else values)


def batches_ahead(pairs: Pairs, first: int, count: int, ahead: int = 3) -> Iterator[Batch]:
    """Batches from number `first` on, made in the background while the network works."""
    with ThreadPoolExecutor(1) as worker:
        waiting: list[Future[Batch]] = []
        number = first
        try:
            while True:
                while len(waiting) < ahead:
                    waiting.append(worker.submit(pairs.batch, number, count))
                    number += 1
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
