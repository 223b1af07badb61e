"""`masquerade bench faults`: faults in every stage of the loop, at every moment, and whether one lets a face out.

Each trial is a short clip through the program's own session with one fault, drawn from a seed. The tracker's and the
guard's networks are real; the identity is a drawn face, which costs no time, in all but a few trials.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.leak.faulty_parts import (
    KINDS,
    NONE,
    SIZE,
    Drawn,
    Fault,
    FaultyEffect,
    FaultyFallback,
    FaultyGuard,
    FaultyNetwork,
    FaultySession,
    FaultySink,
    FaultySource,
    FaultyTracker,
)
from benchmarks.leak.figure_faults import run_figure_trials
from benchmarks.leak.judge import Judge, TruePicture
from benchmarks.leak.scenarios import Casting, alone, colleague, poster_first
from benchmarks.leak.scenes import RATE_HZ, Scene
from benchmarks.report import check_outputs, finish, json_option, stamp
from realtime.clock import NS_PER_S
from realtime.config import Settings, make_config
from realtime.errors import MasqueradeError, ModelError
from realtime.families.face_swap.effect import FaceSwap
from realtime.models.library import face_folder
from realtime.output.disclosure import badge
from realtime.pipeline.active_identity import ActiveIdentity, IdentitySwitch
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.leak_guard import LeakGuard
from realtime.pipeline.loop import run_offline
from realtime.pipeline.metrics import Tally
from realtime.pipeline.parts import Parts, open_parts
from realtime.pipeline.session import Session
from realtime.threads import Latest
from realtime.tracking.face_search import FaceSearch
from realtime.tracking.tracker import FaceTracker, Tracker

SCHEMA = 1
FRAMES = 5
CLIP_FRAMES = 40
CLIPS = 24
STARTS = (0, 11, 22, 33)
"""Frames at which trials begin in a clip of CLIP_FRAMES."""
REAL_EVERY = 25
"""One trial in so many has a real identity's network."""


class Trials:
    """Runs trials on parts that are opened once. Close it."""

    def __init__(self) -> None:
        config = make_config({}, {"source": "synthetic:1", "size": SIZE, "output": ("null",), "pace": "all"})
        self._parts: Parts = open_parts(config)
        tracker, guard = self._parts.tracker, self._parts.guard
        assert isinstance(tracker, Tracker)
        assert guard is not None
        networks: Any = tracker._networks
        self._sessions: list[FaultySession] = []
        networks.detect._session = self._faulty(networks.detect._session, "detector network")
        networks._landmarks = self._faulty(networks._landmarks, "landmark network")
        networks._blendshapes = self._faulty(networks._blendshapes, "blendshape network")
        self._search_network: Any = self._faulty(guard.sessions[0], "guard network")
        blank = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        self._badge = (badge(blank) != blank).any(axis=2)

    def _faulty(self, session: Any, stage: str) -> FaultySession:
        self._sessions.append(FaultySession(session, stage))
        return self._sessions[-1]

    def close(self) -> None:
        self._parts.close()

    def one(self, seed: int) -> tuple[Fault, FaultySink, str | None]:
        """One trial: its fault, the sink that judged, and why the run ended, where it did."""
        rng = np.random.default_rng(seed)
        pairs = [(stage, kind) for stage, kinds in KINDS.items() for kind in kinds]
        stage, kind = pairs[seed % len(pairs)]
        first = int(rng.integers(0, FRAMES))
        length = int(rng.choice([1, 1, 2, FRAMES]))
        fault = Fault(stage, kind, set(range(first, min(FRAMES, first + length))), rng)
        clip, other = (_clip(int(rng.integers(CLIPS))) for _ in range(2))
        start = STARTS[int(rng.integers(len(STARTS)))]
        judge = Judge(self._badge)
        sink = FaultySink(judge, fault)
        source = FaultySource(clip[start : start + FRAMES], other[start], fault, judge.see)
        session = self._session(source, sink, fault, real=seed % REAL_EVERY == 0)
        try:
            run_offline(session.loop, lambda: False)
        except Exception as error:  # a run that ends shows nothing
            return fault, sink, f"{type(error).__name__}: {error}"
        finally:
            for faulty in self._sessions:
                faulty.fault = NONE
        return fault, sink, None

    def _session(self, source: FaultySource, sink: FaultySink, fault: Fault, *, real: bool) -> Session:
        parts, rng = self._parts, fault.rng
        base: Any = parts.tracker
        FaceTracker.__init__(base, face_folder(), int(rng.choice([1, 1, 1, 2])), 1.0)
        for faulty in self._sessions:
            faulty.fault = fault
        tracker = FaultyTracker(base, fault)
        guard: Any = FaultyGuard(LeakGuard(FaceSearch(self._search_network)), fault)
        active: Any = parts.identities.active.effect
        swapper: Any = FaultyNetwork(active._swapper, fault) if real else Drawn("Ada", 0, fault)
        effect: Any = FaultyEffect(FaceSwap(swapper), fault)

        amos: Any = Drawn("Amos", 1, fault)

        def load(_selection: Any) -> Any:
            if fault.kind == "broken":
                raise ModelError("the model is broken")
            return FaultyEffect(FaceSwap(amos), fault)

        identities = IdentitySwitch(ActiveIdentity(parts.identities.active.selection, effect), load)
        fallback: Any = FaultyFallback(Fallback(SIZE, effect.title), fault)
        now = itertools.count(0, round(NS_PER_S / RATE_HZ / 8))
        jumped = 0

        def clock() -> int:
            nonlocal jumped
            kind = fault.now("clock")
            jumped += {"forward": 5 * NS_PER_S, "back": -5 * NS_PER_S}.get(kind or "", 0)
            return jumped + (0 if kind == "stands" else next(now))

        session = Session(
            replace(
                parts,
                settings=Latest(Settings(badge="on")),
                source=source,
                tracker=tracker,
                guard=guard,
                identities=identities,
                fallback=fallback,
                sinks=[sink],
                clock=clock,
                tally=Tally(),
                lost=[],
            )
        )
        source.before = lambda: _change(session, fault, "settings before")
        tracker.within = lambda: _change(session, fault, "settings within")
        return session


def _change(session: Session, fault: Fault, stage: str) -> None:
    """Settings and identities that change at this moment, as the page and the keys would change them."""
    if (kind := fault.now(stage)) is not None:
        rng = fault.rng
        wanted: dict[str, dict[str, Any]] = {
            "panic": {"panic": bool(rng.integers(2))},
            "on_miss": {"on_miss": str(rng.choice(["hold", "card", "blur", "raw"]))},
            "opacity": {"opacity": float(rng.uniform(0, 1))},
            "mask": {"mask_erode": int(rng.integers(-200, 201)), "mask_blur": int(rng.integers(0, 201))},
            "others": {"others": str(rng.choice(["cover", "card"]))},
            "mirror": {"mirror": False, "steadiness": float(rng.uniform(0, 4))},
            "nonsense": {"avatar": "nobody", "model": "no such model"},
        }
        before = session.parts.settings.get()
        with suppress(MasqueradeError):  # refused, as it should be
            session.change(before.model_copy(update=wanted[kind]), before)
    within = "another, within" if stage == "settings within" else "another"
    if fault.now("identity") in (within, "broken" if stage == "settings before" else within):
        session.parts.identities.request(session.parts.identities.active.selection)


@cache
def _clip(number: int) -> list[TruePicture]:
    make = (alone, colleague, poster_first)[number % 3]
    scene: Scene = replace(make(Casting(500 + number, CLIP_FRAMES)), size=SIZE, wall=None)
    return [scene.picture(frame) for frame in range(CLIP_FRAMES)]


@click.command()
@click.option("--trials", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="The first trial's; the others count on.")
@click.option("--figures", is_flag=True, help="Faults of body, face, rig and motion while a figure is drawn.")
@json_option
def faults(trials: int, seed: int, figures: bool, json_file: Path | None) -> None:
    """Faults injected into every stage, and whether one lets a face out, judged by pixels."""
    check_outputs(json_file)
    asked = {"trials": trials, "seed": seed, "figures": figures}
    report: dict[str, Any] = {"schema": SCHEMA, "kind": "faults", "stamp": stamp(), "asked": asked}
    with _errors_alone():  # a line for each fault would hide the figures
        report |= (run_figure_trials if figures else run_trials)(trials, seed, click.echo)
    for stage, found in report["stages"].items():
        click.echo(f"{stage}: {found['leaked']} of {found['trials']} trials leak ({found['ended']} ended the run)")
    finish(report, json_file)
    if report["leaked"]:
        raise FaultLeaked(f"{report['leaked']} of {trials} faults let a face out: --json has their seeds")
    if report.get("crashed"):
        raise FaultLeaked(f"{report['crashed']} of {trials} faults ended in a traceback: --json has their seeds")


@contextmanager
def _errors_alone() -> Iterator[None]:
    log = logging.getLogger("realtime")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


class FaultLeaked(MasqueradeError):
    """The figures were written, and a fault let a face out."""

    exit_code = 1


def run_trials(count: int, seed: int = 0, say: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Trials `seed` to `seed` + `count`: by stage how many leaked, and each leak with its seed."""
    stages: dict[str, Counter[str]] = {stage: Counter() for stage in KINDS}
    leaks: list[dict[str, Any]] = []
    pictures = 0
    with closing(Trials()) as trials:
        for number in range(seed, seed + count):
            fault, sink, ended = trials.one(number)
            pictures += sink.shown
            found = stages[fault.stage]
            found.update({"trials": 1, "leaked": int(sink.leaked is not None), "ended": int(ended is not None)})
            if sink.leaked is not None:
                leaks.append(
                    {"seed": number, "stage": fault.stage, "kind": fault.kind, "at": sorted(fault.at), **sink.leaked}
                )
            if (number - seed) % 500 == 499:
                say(f"{number - seed + 1} trials, {len(leaks)} leaked")
    return {
        "trials": count,
        "pictures": pictures,
        "leaked": len(leaks),
        "stages": {
            stage: {key: found[key] for key in ("trials", "leaked", "ended")} for stage, found in stages.items()
        },
        "leaks": leaks,
    }
