"""The training run of `masquerade learn`: to its end or the first sign that more does not help; Ctrl-C saves."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trained_models.autoencoder.dataset import Pairs
from trained_models.learn.learner import Learner
from trained_models.learn.sheets import Drivers, sheet, write_sheet
from trained_models.training.ema import batches_ahead, stop_signals

LONGEST_STEP_S = 10.0  # what takes longer was a pause: a machine asleep or a program stopped has not trained

STATE, LOG, PREVIEW = "state.pt", "log.jsonl", "preview.jpg"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to train: `seconds` of work or `steps`, whatever is over first. The held-out part is measured every
    `judge_every` steps; after `patience` times without a clear gain the last part of the run begins."""

    seconds: float = 450.0
    steps: int = 3000
    judge_every: int = 100
    patience: int = 6
    show_every: int = 200
    save_every_s: float = 45.0


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a polite kill, after everything was saved."""


def fit(
    learner: Learner,
    frames: Pairs,
    held_out: Pairs,
    drivers: Drivers,
    folder: Path,
    limits: Limits,
    say: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Train until a limit, or Stopped. Goes on from `folder`/state.pt, where there is one; saves before it returns.

    `folder` gets `state.pt`, `log.jsonl` and `preview.jpg`. `say` is called with a line of progress at every
    judgement. Raises ModelError for a broken state.
    """
    state, plan = folder / STATE, learner.plan
    if state.exists():
        learner.load(state)
    learner.know(frames.spread(64))
    shown = held_out if len(held_out) else frames
    test, row = shown.spread(40), shown.spread(8)
    last = saved = clock()
    with stop_signals() as asked, (folder / LOG).open("a", encoding="utf-8") as log:
        for batch in batches_ahead(frames, learner.step_number, learner.plan.batch):
            now = clock()
            learner.seconds += min(now - last, LONGEST_STEP_S)
            last = now
            progress = max(learner.seconds / limits.seconds, learner.step_number / limits.steps) + learner.skipped
            # While the rate is high the error goes up and down: what counts is whether the end of it still helps.
            late = progress > plan.read_from * (1 - plan.fall / 2)
            if late and not learner.reads and learner.since_best >= limits.patience:
                learner.skipped += max(plan.read_from - progress, 0)
                progress = max(plan.read_from, progress)
            if progress >= 1 or asked() or stop():
                break
            terms = learner.step(batch, progress)
            if learner.step_number % limits.judge_every == 0:
                error = learner.error(test)
                learner.judge(error)
                facts = {"step": learner.step_number, "s": round(learner.seconds, 1), "held_out": error, **terms}
                log.write(json.dumps({k: round(v, 6) for k, v in facts.items()}) + "\n")
                log.flush()
                say(
                    f"{progress:4.0%}  step {learner.step_number}  {learner.seconds:.0f} s  "
                    f"loss {terms['loss']:.3f}  held out {error:.4f} (best {learner.best_error:.4f})"
                )
            if learner.step_number % limits.show_every == 0 or not (folder / PREVIEW).exists():
                write_sheet(folder / PREVIEW, sheet(learner.averaged, row, drivers))
            if now - saved > limits.save_every_s:
                learner.save(state)
                saved = now
        stopped = asked() or stop()
        if not stopped and learner.step_number % limits.judge_every:
            learner.judge(learner.error(test))
        learner.save(state)
        if stopped:
            raise Stopped
    write_sheet(folder / PREVIEW, sheet(learner.learnt(), row, drivers))
