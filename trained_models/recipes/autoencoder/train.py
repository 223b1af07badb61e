"""The training run: goes on where it stopped, picks up new data, and shows what it draws."""

import json
import os
import signal
import time
from pathlib import Path
from types import FrameType

import cv2
import numpy as np
import torch

from trained_models.recipes.autoencoder.augment import Pixels
from trained_models.recipes.autoencoder.network import SwapNetwork
from trained_models.recipes.autoencoder.pairs_dataset import Batch, Pairs
from trained_models.recipes.autoencoder.training import (
    Plan,
    Training,
    batches_ahead,
    load_weights,
    save_weights,
)

SAVE_EVERY_S = 300.0
SHOW_EVERY_STEPS = 500
LOG_EVERY_STEPS = 50


def sheet(network: SwapNetwork, batch: Batch) -> Pixels:
    """One picture: drivers, targets, drawn faces and masks, a row each."""
    with torch.no_grad():
        drawn = network(batch.face, batch.blendshapes, batch.pose)
    rows = [batch.face, batch.target, drawn.face.clamp(0, 1), drawn.mask.sigmoid().expand(-1, 3, -1, -1)]
    bands = [(r.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8) for r in rows]
    return np.vstack([np.hstack(list(band)) for band in bands])


def held_out_error(network: SwapNetwork, batch: Batch) -> float:
    """The mean absolute colour error inside the face, 0..1, on pairs of people never trained on."""
    with torch.no_grad():
        drawn = network(batch.face, batch.blendshapes, batch.pose)
    error = (drawn.face.clamp(0, 1) - batch.target).abs() * batch.mask
    return float(error.sum() / (3 * batch.mask.sum()))


class _Stop:
    """Turns SIGTERM and SIGINT into a question asked between steps."""

    def __init__(self) -> None:
        self.asked = False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True


def train(
    data: Path,
    out: Path,
    *,
    hours: float | None = None,
    steps: int | None = None,
    start_from: Path | None = None,
    plan: Plan | None = None,
    threads: int = 2,
) -> Training:
    """Train until `hours` of work or `steps` are over, or a signal asks to stop; saves before it returns.

    `data` holds prepared shards and `held_out/` with shards for measuring. `out` gets `state.pt` (to go
    on), `weights.npz` (the averaged network in half precision), `log.jsonl`, `sheet.jpg` and `pid`. With a
    `state.pt` there it goes on from it; else `start_from`, a `weights.npz`, gives the first weights.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pid").write_text(str(os.getpid()))
    plan = plan or Plan()
    pairs = Pairs(data, plan.seed)
    if not len(pairs):
        raise ValueError(f"no prepared shards in {data}: run the prepare step first")
    training = Training(plan)
    state = out / "state.pt"
    if state.exists():
        training.load(state)
    else:
        training.fit_condition(pairs.readings())
        if start_from is not None:
            known = load_weights(start_from).state_dict()
            training.network.load_state_dict(known)
            training.averaged.load_state_dict(known)
    held_out = Pairs(data / "held_out")
    shown = held_out if len(held_out) else pairs
    look = shown.plain(np.linspace(0, len(shown) - 1, min(48, len(shown))).astype(int).tolist())
    some = shown.plain(np.linspace(0, len(shown) - 1, min(10, len(shown))).astype(int).tolist())
    stop = _Stop()
    before_s, started, saved = training.seconds, time.monotonic(), time.monotonic()
    sums: dict[str, float] = {}
    with (out / "log.jsonl").open("a") as log:
        for batch in batches_ahead(pairs, training.step_number, plan.batch):
            now = time.monotonic()
            training.seconds = before_s + now - started
            progress = max(
                training.seconds / 3600 / hours if hours else 0.0,
                training.step_number / steps if steps else 0.0,
            )
            if progress >= 1 or stop.asked:
                break
            for name, value in training.step(batch, progress).items():
                sums[name] = sums.get(name, 0.0) + value / LOG_EVERY_STEPS
            if training.step_number % LOG_EVERY_STEPS == 0:
                line = {k: round(v, 5) for k, v in sums.items()}
                pace = {"step": training.step_number, "s": round(training.seconds), "pairs": pairs.refresh()}
                log.write(json.dumps({**pace, **line}) + "\n")
                log.flush()
                sums = {}
            if training.step_number % SHOW_EVERY_STEPS == 0:
                log.write(json.dumps({"held_out": round(held_out_error(training.averaged, look), 5)}) + "\n")
                cv2.imwrite(str(out / "sheet.jpg"), sheet(training.averaged, some))
            if now - saved > SAVE_EVERY_S:
                _save(training, out)
                saved = now
    _save(training, out)
    return training


def _save(training: Training, out: Path) -> None:
    training.save(out / "state.pt")
    facts = {
        "steps": training.step_number,
        "batch": training.plan.batch,
        "hours": training.seconds / 3600,
        "seed": training.plan.seed,
    }
    save_weights(training.averaged, out / "weights.npz", facts)
