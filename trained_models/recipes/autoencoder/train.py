"""The training run: goes on where it stopped, picks up new data, and shows what it draws."""

import json
import os
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

import cv2
import numpy as np
import torch

from trained_models.recipes.autoencoder.augment import Pixels
from trained_models.recipes.autoencoder.network import Shape, SwapNetwork
from trained_models.recipes.autoencoder.pairs_dataset import Batch, Pairs
from trained_models.recipes.autoencoder.training import Plan, Training, batches_ahead
from trained_models.recipes.autoencoder.weights import read_network, save_weights, settle_norms

SAVE_EVERY_S = 300.0
SHOW_EVERY_STEPS = 500
LOG_EVERY_STEPS = 50


def sheet(network: SwapNetwork, batch: Batch) -> Pixels:
    """One picture, a row each: drivers, targets, these drawn again, swapped, finely swapped, masks."""
    with torch.no_grad():
        again = network(batch.target, *batch.told)
        drawn = network(batch.face, *batch.told)
        assert drawn.features is not None
        fine = torch.nn.functional.interpolate(network.decoder.fine(drawn.features), batch.face.shape[-2:], mode="area")
    faces = [batch.face, batch.target, *(f.clamp(0, 1) for f in (again.face, drawn.face, fine))]
    rows = [*faces, drawn.mask.sigmoid().expand(-1, 3, -1, -1)]
    bands = [(r.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8) for r in rows]
    return np.vstack([np.hstack(list(band)) for band in bands])


def held_out_error(network: SwapNetwork, batch: Batch) -> float:
    """The mean absolute colour error inside the face, 0..1, on pairs of people never trained on."""
    with torch.no_grad():
        drawn = network(batch.face, *batch.told)
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


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One identity's data: its pairs, the held-out ones measured on, and those shown on the sheet."""

    name: str
    pairs: Pairs
    measured: Batch
    shown: Batch

    @classmethod
    def of(cls, name: str, folder: Path, seed: int) -> "Lesson":
        """Raises ValueError where nothing was prepared."""
        pairs = Pairs(folder, seed)
        if not len(pairs):
            raise ValueError(f"no prepared shards in {folder}: run the prepare step first")
        held_out = Pairs(folder / "held_out")
        shown = held_out if len(held_out) else pairs

        def some(count: int) -> Batch:
            return shown.plain(np.linspace(0, len(shown) - 1, min(count, len(shown))).astype(int).tolist())

        return cls(name, pairs, some(48), some(10))


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
    device: str | None = None,
    shape: Shape | None = None,
) -> Training:
    """Train until `hours` of work or `steps` are over, or a signal asks to stop; saves before it returns.

    `data`/NAME holds an identity's prepared shards and in `held_out/` those for measuring. The identities take turns.
    `out` gets `state.pt` (to go on), NAME`.npz` (the averaged network in half precision), `log.jsonl`,
    `sheet_`NAME`.jpg` and `pid`. With a `state.pt` there it goes on from it; else `start`, weights by name
    (`weights.read_network`), gives the first ones.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pid").write_text(str(os.getpid()))
    plan = plan or Plan()
    lessons = [Lesson.of(name, data / name, plan.seed) for name in names]
    training = Training(plan, shape, names, device)
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
                training.start_from(lesson.name, known)
    stop = _Stop()
    before_s, started, saved = training.seconds, time.monotonic(), time.monotonic()
    sums: dict[str, dict[str, list[float]]] = {}
    batches = [_turns(lesson, training.step_number, len(lessons), k, plan.batch) for k, lesson in enumerate(lessons)]
    with (out / "log.jsonl").open("a") as log, ExitStack() as stack:
        for source in batches:
            stack.callback(source.close)
        while True:
            now = time.monotonic()
            training.seconds = before_s + now - started
            progress = max(
                training.seconds / 3600 / hours if hours else 0.0,
                training.step_number / steps if steps else 0.0,
            )
            if progress >= 1 or stop.asked:
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
            if training.step_number % SHOW_EVERY_STEPS == 0:
                _show(training, lessons, out, log)
            if now - saved > SAVE_EVERY_S:
                _save(training, out)
                saved = now
        _show(training, lessons, out, log)
    _save(training, out)
    return training


def _turns(lesson: Lesson, done: int, lessons: int, turn: int, batch: int) -> Generator[Batch, None, None]:
    """The batches of the lesson whose turn is every `lessons`-th step, when `done` steps are over."""
    return batches_ahead(lesson.pairs, (done - turn + lessons - 1) // lessons, batch)


def _show(training: Training, lessons: Sequence[Lesson], out: Path, log: TextIO) -> None:
    """Measure every identity and draw its sheet."""
    for lesson in lessons:
        network = _on_cpu(training.member(lesson.name))
        error = round(held_out_error(network, lesson.measured), 5)
        log.write(json.dumps({"step": training.step_number, "name": lesson.name, "held_out": error}) + "\n")
        log.flush()
        cv2.imwrite(str(out / f"sheet_{lesson.name}.jpg"), sheet(network, lesson.shown))


def _on_cpu(network: SwapNetwork) -> SwapNetwork:
    """The network itself if it is there already, else a copy."""
    if next(network.parameters()).device.type == "cpu":
        return network
    copy = SwapNetwork(network.shape).to(memory_format=torch.channels_last).eval()
    copy.load_state_dict(network.state_dict())
    return copy


def _save(training: Training, out: Path) -> None:
    training.save(out / "state.pt")
    facts = {
        "steps": training.step_number,
        "batch": training.plan.batch,
        "hours": training.seconds / 3600,
        "seed": training.plan.seed,
    }
    for name in training.names:
        save_weights(_on_cpu(training.member(name)), out / f"{name}.npz", facts)
