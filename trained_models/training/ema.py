"""Trains a network beside the exponential moving average of its weights, which is what gets exported."""

import copy
import math
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

STOP = "STOP"  # A file of this name in a folder ends what works there


def cosine_rate(
    step: int, progress: float, *, peak: float, last: float, warm_up_steps: int, fall: float = 1.0
) -> float:
    """The learning rate: a linear warm-up, then a cosine from `peak` to `last` over the last `fall` of the run.
    `progress`: how much of the run is over, 0..1."""
    warm = min(1.0, (step + 1) / warm_up_steps)
    into = min(max((progress - (1 - fall)) / fall, 0.0), 1.0)
    return warm * (last + (peak - last) * 0.5 * (1 + math.cos(math.pi * into)))


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train: `batch` samples a step, the rate along a cosine over `steps`, `average` kept at each step."""

    batch: int = 8
    steps: int = 4000
    peak_rate: float = 2e-3
    last_rate: float = 5e-5
    warm_up_steps: int = 100
    average: float = 0.997
    seed: int = 1

    def rate(self, step: int) -> float:
        rates = {"peak": self.peak_rate, "last": self.last_rate, "warm_up_steps": self.warm_up_steps}
        return cosine_rate(step, step / max(self.steps, 1), **rates)


class EmaTraining:
    """A network, its moving average, and AdamW.

    `average`: how much of itself the average keeps at each step; `form`: plain values that a saved training must have
    in common with this one; `groups`: AdamW's parameter groups, all parameters by default; a group's `share` multiplies
    its rate.
    """

    def __init__(
        self,
        network: Any,
        *,
        peak_rate: float,
        average: float,
        form: Mapping[str, Any] | None = None,
        groups: Iterable[dict[str, Any]] | None = None,
        weight_decay: float = 0.01,
        clip: float = 5.0,
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last).train()
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(
            groups or network.parameters(), lr=peak_rate, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True
        )
        self.average, self._form, self._clip = average, dict(form or {}), clip
        self._kept, self._newest = (
            [t for t in n.state_dict().values() if t.is_floating_point()] for n in (self.averaged, self.network)
        )
        self.step_number = 0
        self.seconds = 0.0

    def descend(self, loss: Tensor, rate: float) -> None:
        """One step of the optimiser down `loss`, at the learning rate `rate`."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._clip)
        self.optimizer.step()
        self.step_number += 1
        # Early weights are soon forgotten: the average's memory grows with the run.
        keep = min(self.average, (1 + self.step_number) / (10 + self.step_number))
        with torch.no_grad():
            torch._foreach_lerp_(self._kept, self._newest, 1 - keep)

    def begin(self, network: Any) -> None:
        for own in (self.network, self.averaged):
            own.load_state_dict(network.state_dict())

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, as tensors and plain values."""
        return self._form | {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step_number,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`. Raises ValueError for another form."""
        for name, own in self._form.items():
            if state[name] != own:
                raise ValueError(f"the state is of a network of {name} {state[name]}: train into another folder")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        for weight, known in self.optimizer.state.items():
            if known["exp_avg"].shape != weight.shape:  # the fused optimiser would write beyond it
                raise ValueError("the state of the optimiser is another network's")
        self.step_number, self.seconds = int(state["step"]), float(state["seconds"])

    def save(self, path: Path) -> None:
        """`state` in a file, written whole or not at all."""
        part = path.with_suffix(".part")
        torch.save(self.state(), part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from `save`'s file. Only plain tensors are read from it. Raises ValueError for another form."""
        device = next(self.network.parameters()).device
        self.restore(torch.load(path, weights_only=True, map_location=device))


def run(
    training: Any,
    load: Callable[[], Any],
    held_out: Any,
    folder: Path,
    *,
    name: str = "state",
    begin: nn.Module | None = None,
    judge_every: int = 100,
    pause: Callable[[], bool] = lambda: False,
) -> Any:
    """Train until `plan.steps`, with `folder`/NAME.pt and NAME.csv; goes on where the last run stopped.

    `training`: an `EmaTraining` with a `plan`, a `step` and a `judge`; it is given back. A run that has not begun
    starts from `begin`'s weights, if given. `load` gives the samples, and is asked again every
    200 steps, since more may be rendered meanwhile. Ends early where `pause` says True or `folder`/STOP appears.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, plan = folder / f"{name}.pt", training.plan
    if file.exists():
        training.load(file)
    elif begin is not None:
        training.begin(begin)
    samples, sums = load(), dict[str, float]()
    while training.step_number < plan.steps and not pause() and not (folder / STOP).exists():
        if training.step_number % 200 == 199:
            samples = load()
        started = time.thread_time()
        for term, value in training.step(samples.batch(training.step_number, plan.batch)).items():
            sums[term] = sums.get(term, 0.0) + value
        training.seconds += time.thread_time() - started
        if training.step_number % judge_every == 0:
            row = {"step": float(training.step_number), "seconds": training.seconds}
            row |= {term: total / judge_every for term, total in sums.items()}
            row |= {f"held_{term}": value for term, value in training.judge(held_out).items()}
            sums.clear()
            with file.with_suffix(".csv").open("a", encoding="utf-8") as log:
                if log.tell() == 0:
                    log.write(",".join(row) + "\n")
                log.write(",".join(f"{value:.5g}" for value in row.values()) + "\n")
            training.save(file)
    training.save(file)
    return training


def batches_ahead(source: Any, first: int, count: int, ahead: int = 3) -> Generator[Any, None, None]:
    """Batches from number `first` on, made in the background while the network works."""
    with ThreadPoolExecutor(1) as worker:
        waiting: list[Future[Any]] = []
        number = first
        try:
            while True:
                while len(waiting) < ahead:
                    waiting.append(worker.submit(source.batch, number, count))
                    number += 1
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """SIGINT, SIGTERM and SIGHUP become an answer to a question asked between steps; as before afterwards."""
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(name, note) for name in numbers}
    try:
        yield lambda: bool(came)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
