"""The training run: goes on where it stopped, picks up new data, and logs what it measures."""

import copy
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
import torch

from trained_models.autoencoder.dataset import Batch, Pairs
from trained_models.autoencoder.network import Shape
from trained_models.autoencoder.training import Plan, Training
from trained_models.autoencoder.weights import read_network, save_weights, settle_norms
from trained_models.training.ema import batches_ahead, stop_signals

SAVE_EVERY_S = 300.0
MEASURE_EVERY_STEPS = 500
LOG_EVERY_STEPS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One identity's data: its pairs, and held-out ones to measure on."""

    name: str
    pairs: Pairs
    measured: Batch

    @classmethod
    def of(cls, name: str, folder: Path, seed: int) -> "Lesson":
        """Raises ValueError where nothing was prepared."""
        pairs = Pairs(folder, seed)
        if not len(pairs):
            raise ValueError(f"no prepared shards in {folder}: run the prepare step first")
        held_out = Pairs(folder / "held_out")
        return cls(name, pairs, (held_out if len(held_out) else pairs).spread(48))


def train(
    data: Path,
    out: Path,
    names: Sequence[str],
    *,
    hours: float | None = None,
    steps: int | None = None,
    start: Mapping[str, Path] | None = None,
    plan: Plan | None = None,
    threads: int = 2,
    shape: Shape | None = None,
) -> Training:
    """Train until `hours` of work or `steps` are over, or a signal asks to stop; saves before it returns.

    `data`/NAME holds an identity's prepared shards and in `held_out/` those for measuring. The identities take turns.
    `out` gets `state.pt` (to go on), NAME`.npz` (the averaged network in half precision) and `log.jsonl`. With a
    `state.pt` there it goes on from it; else `start`, weights by name (`weights.read_network`), gives the first ones.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    plan = plan or Plan()
    lessons = [Lesson.of(name, data / name, plan.seed) for name in names]
    training = Training(plan, shape, names)
    state = out / "state.pt"
    if state.exists():
        training.load(state)
    else:
        for lesson in lessons:
            training.fit_condition(lesson.name, lesson.pairs.readings())
            if start and lesson.name in start:
                known = read_network(start[lesson.name])
                if start[lesson.name].is_dir():  # a bundle's batch norms are folded away
                    some = lesson.measured
                    settle_norms(known, some.face, some.told)
                for family in (training.network, training.averaged):
                    family.member(lesson.name).load_state_dict(known.state_dict())
    before_s, started, saved = training.seconds, time.monotonic(), time.monotonic()
    sums: dict[str, dict[str, list[float]]] = {}
    turns = [(training.step_number - k + len(lessons) - 1) // len(lessons) for k in range(len(lessons))]
    batches = [batches_ahead(one.pairs, turn, plan.batch) for one, turn in zip(lessons, turns, strict=True)]
    with (out / "log.jsonl").open("a") as log, ExitStack() as stack, stop_signals() as asked:
        for source in batches:
            stack.callback(source.close)
        while True:
            now = time.monotonic()
            training.seconds = before_s + now - started
            progress = max(
                training.seconds / 3600 / hours if hours else 0.0, training.step_number / steps if steps else 0.0
            )
            if progress >= 1 or asked():
                break
            lesson = lessons[training.step_number % len(lessons)]
            batch = next(batches[training.step_number % len(lessons)])
            for term, value in training.step(lesson.name, batch, progress).items():
                sums.setdefault(lesson.name, {}).setdefault(term, []).append(value)
            if training.step_number % LOG_EVERY_STEPS == 0:
                pace = {"step": training.step_number, "s": round(training.seconds), "progress": round(progress, 4)}
                for name, terms in sums.items():
                    means = {term: round(float(np.mean(values)), 5) for term, values in terms.items()}
                    log.write(json.dumps({**pace, "name": name, **means}) + "\n")
                log.flush()
                sums = {}
                for one in lessons:
                    one.pairs.refresh()
            if training.step_number % MEASURE_EVERY_STEPS == 0:
                _measure(training, lessons, log)
            if now - saved > SAVE_EVERY_S:
                _save(training, out)
                saved = now
        _measure(training, lessons, log)
    _save(training, out)
    return training


@torch.no_grad()
def _measure(training: Training, lessons: Sequence[Lesson], log: TextIO) -> None:
    """Log the mean absolute colour error inside the face, 0..1, on pairs of people never trained on."""
    for lesson in lessons:
        batch = lesson.measured.to(training.device)
        drawn = training.member(lesson.name)(batch.face, *batch.told)
        wrong = (drawn.face.clamp(0, 1) - batch.target).abs() * batch.mask
        error = float(wrong.sum() / (3 * batch.mask.sum()))
        log.write(json.dumps({"step": training.step_number, "name": lesson.name, "held_out": round(error, 5)}) + "\n")
        log.flush()


def _save(training: Training, out: Path) -> None:
    training.save(out / "state.pt")
    facts = {
        "steps": training.step_number,
        "batch": training.plan.batch,
        "hours": training.seconds / 3600,
        "seed": training.plan.seed,
    }
    for name in training.names:
        save_weights(copy.deepcopy(training.member(name)).cpu(), out / f"{name}.npz", facts)
