"""The driver's mask in training: loss, steps, the run with its log and sheet."""

import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trained_models.recipes.autoencoder.driver_mask.network import WIDTHS, DriverMask
from trained_models.recipes.autoencoder.driver_mask.pictures import Drivers
from trained_models.recipes.autoencoder.training import batches_ahead
from trained_models.recipes.averaged import AveragedTraining

BATCH = 16
PEAK_RATE, LAST_RATE = 2e-3, 2e-5
WARM_UP_STEPS = 100
OVERLAP, STEADY = 1.0, 1.0
"""Beside cross entropy, 1: of what overlaps, and of two cameras' masks of one moment being alike."""
CHECK_EVERY, SAVE_EVERY = 500, 250
CHECKED = 384


def mask_loss(logits: Tensor, shows: Tensor) -> tuple[Tensor, dict[str, float]]:
    """How far the mask (N, 1, S, S) is off, samples in twos alike but for the camera.

    Soft intersection over union (Rahman and Wang 2016) counts a thin rim for what it is of the mask, cross entropy for
    what it is of the picture.
    """
    drawn = logits.sigmoid()
    both, either = (drawn * shows).sum((1, 2, 3)), (drawn + shows - drawn * shows).sum((1, 2, 3))
    terms = {
        "entropy": F.binary_cross_entropy_with_logits(logits, shows),
        "overlap": OVERLAP * (1 - (both + 1) / (either + 1)).mean(),
        "steady": STEADY * (drawn[0::2] - drawn[1::2]).abs().mean(),
    }
    return torch.stack(list(terms.values())).sum(), {name: float(term.detach()) for name, term in terms.items()}


def rate(step: int, steps: int) -> float:
    """The learning rate: up in `WARM_UP_STEPS`, then down along a cosine."""
    falling = LAST_RATE + (PEAK_RATE - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * min(step / steps, 1)))
    return float(min(1.0, (step + 1) / WARM_UP_STEPS) * falling)


@torch.no_grad()
def overlap(network: DriverMask, drivers: Drivers, count: int = CHECKED) -> float:
    """Mean intersection over union on plain samples."""
    network.eval()
    found: list[float] = []
    chosen = np.linspace(0, len(drivers) - 1, min(count, len(drivers))).astype(int)
    for some in np.array_split(chosen, math.ceil(len(chosen) / BATCH)):
        batch = drivers.plain(some.tolist())
        drawn = network(batch.face.contiguous(memory_format=torch.channels_last)).float() >= 0
        true = batch.shows >= 0.5
        either = (drawn | true).sum((1, 2, 3)).clamp_min(1)
        found += ((drawn & true).sum((1, 2, 3)) / either).tolist()
    return float(np.mean(found))


def save_mask(network: DriverMask, path: Path) -> None:
    """The weights in half precision, an `.npz` without pickles."""
    tensors = {k: v.numpy() for k, v in network.state_dict().items()}
    halves = {k: v.astype(np.float16) if v.ndim > 1 else v for k, v in tensors.items()}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, widths=np.array(network.widths), **halves)
    part.replace(path)


def read_mask(path: Path) -> DriverMask:
    """The network of a `save_mask` file, in float32, ready to draw."""
    with np.load(path, allow_pickle=False) as file:
        network = DriverMask(file["widths"].tolist())
        stored = {k: file[k].astype(np.float32) if file[k].ndim > 1 else file[k] for k in network.state_dict()}
    network.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in stored.items()})
    return network.to(memory_format=torch.channels_last).eval()


def sheet(network: DriverMask, drivers: Drivers, path: Path, count: int = 24) -> None:
    """A picture of held-out drivers: what was painted over wrongly red, what was left out wrongly blue."""
    network.eval()
    batch = drivers.plain(np.linspace(0, len(drivers) - 1, count).astype(int).tolist())
    with torch.no_grad():
        drawn = network(batch.face).float().numpy()[:, 0] > 0
    true = batch.shows.numpy()[:, 0] >= 0.5
    faces = (batch.face.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    marked = faces.copy()
    marked[drawn & ~true], marked[true & ~drawn] = (0, 0, 255), (255, 0, 0)
    tiles = [np.vstack(pair) for pair in zip(faces, marked, strict=True)]
    cv2.imwrite(str(path), np.vstack([np.hstack(tiles[k : k + 8]) for k in range(0, len(tiles), 8)]))


def train_mask(data: Path, out: Path, steps: int) -> DriverMask:
    """Train, or go on, until `steps`; the averaged network. State, log, sheet and `mask.npz` lie in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    drivers, checked = Drivers(data), Drivers(data, held_out=True)
    training = AveragedTraining(DriverMask, seed=1, peak_rate=PEAK_RATE, average=0.998, form={"widths": list(WIDTHS)})
    state = out / "mask.pt"
    if state.exists():
        training.load(state)
    source = batches_ahead(drivers, training.step_number, BATCH)
    while training.step_number < steps:
        began = time.monotonic()
        batch = next(source)
        with torch.autocast("cpu", torch.bfloat16):
            logits = training.network(batch.face.contiguous(memory_format=torch.channels_last))
        loss, terms = mask_loss(logits.float(), batch.shows)
        training.descend(loss, rate(training.step_number, steps))
        training.seconds += time.monotonic() - began
        number = training.step_number
        if number % CHECK_EVERY == 0 or number == steps:
            terms["held_out"] = overlap(training.averaged, checked)
            sheet(training.averaged, checked, out / "mask.png")
        if number % SAVE_EVERY == 0 or number == steps:
            training.save(state)
            save_mask(training.averaged, out / "mask.npz")
        if number % 25 == 0 or number == steps:
            line = {"step": number, "seconds": round(training.seconds, 1)} | {k: round(v, 5) for k, v in terms.items()}
            with (out / "mask.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
    return training.averaged.eval()
