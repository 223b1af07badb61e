"""Faults for figures: what tracker, face, rig and settings may say wrongly, and whether the source is ever seen.

Every frame of the source is magenta noise, which no figure and no background has: a magenta pixel in what leaves is the
camera's. The body's networks look at a rendered person instead, so that there is something to spoil.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leak.broken_figures import RIG, small, spoilt
from benchmarks.leak.faulty_parts import NETWORK, SIZE, Fault, FaultySession
from realtime.capture.recording import Recording
from realtime.clock import NS_PER_S
from realtime.config import Settings
from realtime.errors import MasqueradeError
from realtime.families.figure.effect import FigureEffect
from realtime.frame import Frame, Pixels
from realtime.inference.session import Session
from realtime.models.avatar import Avatar
from realtime.models.avatar_loading import choose_avatars, ready_avatars
from realtime.models.figure import FIGURE_FILE, FigureFiles, read_rig
from realtime.models.library import built_in_folder, load_bundle
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.loop import Loop, run_offline
from realtime.skeleton import JOINTS, Moment
from realtime.tracking.body import Body, BodyTracker
from realtime.tracking.face import Face

FRAMES = 6
RATE_HZ = 30.0
FIGURES = ("pip", "rivo", "kritzi")
FRESH_AFTER = 100  # trials: then the effects are opened anew
SEEN_FRAMES = 12  # of the bundled clip, for the body's networks

BODY = (
    *("nobody", "two", "raises", "NaN", "some NaN", "huge", "infinite", "jumps", "one point", "random", "stale"),
    *("unseen", "seen wrongly", "upside down", "tiny", "wrong shape"),
)
FACE = ("nobody", "raises", "NaN shapes", "huge shapes", "NaN points", "too few shapes", "jumps", "two")
FRAME = ("another size", "tiny", "back in time", "far in time", "time stands", "no time", "repeated")
SETTINGS = ("another figure", "no such figure", "no background", "a colour", "mirror", "steadiness", "panic")
MOTION = ("NaN", "some NaN", "huge", "one point", "jumps", "NaN face", "no lengths")
KINDS = {
    "body": BODY,
    "body network": NETWORK,
    "landmark network": NETWORK,
    "face": FACE,
    "frame": FRAME,
    "settings": SETTINGS,
    "rig": RIG,
    "motion": MOTION,
}
"""By stage what can go wrong there."""


@cache
def magenta(number: int, size: tuple[int, int]) -> Pixels:
    """One of the source's frames."""
    rng = np.random.default_rng(number)
    picture = rng.integers(200, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture[..., 1] = rng.integers(0, 40, (size[1], size[0]), dtype=np.uint8)
    return picture


def camera_pixels(picture: Pixels) -> int:
    """How many pixels of a picture are the source's, or shine through by half."""
    blue, green, red = (picture[..., channel].astype(int) for channel in range(3))
    return int(((np.minimum(blue, red) > 140) & (np.minimum(blue, red) - green > 75)).sum())


class _Faces:
    """A face tracker without a network: a face that moves, or what the fault makes of it."""

    sessions: Sequence[Session] = ()
    steadiness = 1.0

    def __init__(self, fault: Fault, face: Face | None) -> None:
        self._fault, self._face = fault, face

    def __call__(self, frame: Frame) -> list[Face]:
        kind, rng, face = self._fault.now("face"), self._fault.rng, self._face
        if kind == "raises":
            raise self._fault.error()
        if face is None or kind == "nobody":
            return []
        shapes, points = rng.random(52).astype(np.float32), face.landmarks.copy()
        if kind == "NaN shapes":
            shapes[:] = np.nan
        elif kind == "huge shapes":
            shapes *= np.float32(rng.choice([1e30, -1e30]))
        elif kind == "too few shapes":
            shapes = shapes[:7]
        elif kind == "NaN points":
            points[:] = np.nan
        elif kind == "jumps":
            points += rng.normal(0, 1e4, 3).astype(np.float32)
        moved = replace(face, landmarks=points, blendshapes=shapes)
        return [moved, moved] if kind == "two" else [moved]

    def close(self) -> None:
        """Nothing is open."""


class _Bodies:
    """The body tracker, which looks at a rendered person whatever the frame shows; or what the fault makes of it."""

    def __init__(self, tracker: BodyTracker, pictures: Sequence[Pixels]) -> None:
        self._tracker, self._pictures = tracker, pictures
        self.sessions, self.steadiness = tracker.sessions, 1.0
        self.fault = Fault("none", "none", set(), np.random.default_rng(0))
        self.nobody = False
        self._last: list[Body] = []

    def __call__(self, frame: Frame) -> list[Body]:
        kind, rng = self.fault.now("body"), self.fault.rng
        if kind == "raises":
            raise self.fault.error()
        self._tracker.steadiness = self.steadiness
        found = self._tracker(frame.with_pixels(self._pictures[frame.seq % len(self._pictures)].copy()))
        last, self._last = self._last, found
        if kind in ("nobody", "two", "stale"):
            return {"nobody": [], "two": found * 2, "stale": last}[kind]
        if self.nobody:
            return []
        return [self._wrong(kind, body, rng) for body in found] if kind else found

    def _wrong(self, kind: str, body: Body, rng: np.random.Generator) -> Body:
        points, world, seen = body.landmarks.copy(), body.world.copy(), body.seen.copy()
        some = rng.random(len(points)) < 0.2
        if kind == "wrong shape":
            return replace(body, landmarks=points[:5], world=world[:5], seen=seen[:5])
        if kind == "NaN":
            points[:], world[:] = np.nan, np.nan
        elif kind == "some NaN":
            points[some], world[some] = np.nan, np.nan
        elif kind == "huge":
            points *= np.float32(10.0 ** rng.integers(3, 30))
        elif kind == "infinite":
            world[some] = np.inf
        elif kind == "jumps":
            points[:, :2] += rng.normal(0, 3000, 2).astype(np.float32)
        elif kind == "one point":
            points[:], world[:] = points[0], 0
        elif kind == "random":
            points[:], world[:] = rng.normal(200, 300, points.shape), rng.normal(0, 1, world.shape)
        elif kind == "unseen":
            seen[:] = 0
        elif kind == "seen wrongly":
            seen[:] = rng.choice([np.nan, -5.0, 99.0])
        elif kind == "upside down":
            points[:, 1], world[:, 1] = -points[:, 1], -world[:, 1]
        elif kind == "tiny":
            points *= np.float32(1e-6)
        return replace(body, landmarks=points, world=world, seen=seen)

    def close(self) -> None:
        """The tracker is the trials'."""


@dataclass(slots=True, eq=False)
class _Source:
    """A few frames of magenta noise. Obeys `Source`."""

    fault: Fault
    moments: Sequence[Moment | None]
    before: Callable[[], None]
    name: str = "faults"
    rate_hz: float = RATE_HZ
    live: bool = False
    state: str = "ok"
    size: tuple[int, int] = SIZE

    def read(self) -> Frame | None:
        fault = self.fault
        fault.frame += 1
        number = fault.frame
        if number >= FRAMES:
            return None
        self.before()
        kind, rng, size = fault.now("frame"), fault.rng, SIZE
        if kind == "another size":
            size = [(160, 120), (90, 160), (333, 77)][int(rng.integers(3))]
        elif kind == "tiny":
            size = [(1, 1), (2, 300), (300, 2)][int(rng.integers(3))]
        seconds = number / RATE_HZ
        jump = {"back in time": -9.0, "far in time": 1e7, "time stands": -seconds}
        seconds += jump.get(kind or "", 0.0)
        seq = number - 1 if kind == "repeated" and number else number
        media_s = None if kind == "no time" else seconds
        return Frame(magenta(number, size), seq, round(seconds * NS_PER_S), media_s, motion=self.moments[number])

    def unblock(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True, eq=False)
class _Sink:
    """Counts the source's pixels in what leaves."""

    name: str = "faults"
    shown: int = 0
    leaked: int = 0

    def show(self, frame: Frame) -> None:
        self.shown += 1
        self.leaked += camera_pixels(frame.pixels)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ended`: why the run ended, where it did; `refused`: in words that a user may see, not by a traceback."""

    stage: str
    kind: str
    shown: int
    leaked: int
    failed: int
    ended: str | None
    refused: bool


class FigureTrials:
    """Runs trials on parts that are opened once. Close it."""

    def __init__(self) -> None:
        self._open = ExitStack()
        tracker = self._open.enter_context(closing(BodyTracker(load_bundle("figure").folder, provider="cpu")))
        networks: Any = tracker._networks
        self._sessions = [
            FaultySession(networks._detector, "body network"),
            FaultySession(networks._landmarks, "landmark network"),
        ]
        networks._detector, networks._landmarks = self._sessions
        with closing(Recording(built_in_folder() / "clips" / "driving.mp4", size=SIZE)) as clip:
            pictures = [frame.pixels for _ in range(SEEN_FRAMES) if (frame := clip.read()) is not None]
        self._bodies = _Bodies(tracker, pictures)
        self._scratch = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        self._avatars = [
            small(ready_avatars(choose_avatars(name, figures=True), None)[0], self._scratch / name) for name in FIGURES
        ]
        self._effects: dict[str, FigureEffect] = {}
        middle = np.array(SIZE, np.float32) / 2
        points = np.zeros((478, 3), np.float32)
        points[:, :2] = middle + np.random.default_rng(0).normal(0, 20, (478, 2))
        self._face = Face(points, np.zeros(52, np.float32), np.eye(4, dtype=np.float32), 0.9)

    def close(self) -> None:
        self._open.close()

    def one(self, seed: int) -> Outcome:
        """One trial: a clip of a few frames with one fault."""
        rng = np.random.default_rng(seed)
        pairs = [(stage, kind) for stage, kinds in KINDS.items() for kind in kinds]
        stage, kind = pairs[seed % len(pairs)]
        first, length = int(rng.integers(0, FRAMES)), int(rng.choice([1, 1, 2, FRAMES]))
        fault = Fault(stage, kind, set(range(first, min(FRAMES, first + length))), rng)
        sink = _Sink()
        failed = 0
        try:
            effect = self._effect(seed, fault)
            loop = self._loop(effect, fault, sink)
            run_offline(loop, lambda: None)
            failed = loop.tally.errors
            ended, refused = None, False
        except MasqueradeError as error:
            ended, refused = str(error), True
        except Exception as error:
            ended, refused = f"{type(error).__name__}: {error}", False
        finally:
            for session in self._sessions:
                session.fault = Fault("none", "none", set(), rng)
        return Outcome(stage, kind, sink.shown, sink.leaked, failed, ended, refused)

    def _effect(self, seed: int, fault: Fault) -> FigureEffect:
        """The effect of the trial's figure; a broken figure has one of its own."""
        number = int(fault.rng.integers(len(self._avatars)))
        avatar, bodies = self._avatars[number], self._bodies
        if fault.stage == "rig":
            return FigureEffect([self._broken(avatar, fault)], bodies)  # type: ignore[arg-type]
        if seed % FRESH_AFTER == 0:
            self._effects.clear()
        if avatar.name not in self._effects:
            self._effects[avatar.name] = FigureEffect([avatar, *self._avatars], bodies)  # type: ignore[arg-type]
        return self._effects[avatar.name]

    def _loop(self, effect: FigureEffect, fault: Fault, sink: _Sink) -> Loop:
        rng = fault.rng
        self._bodies.fault = fault
        self._bodies.nobody = bool(rng.random() < 0.2)
        for session in self._sessions:
            session.fault = fault
        settings = [Settings(badge="on")]

        def change() -> None:
            if (kind := fault.now("settings")) is not None:
                wanted: dict[str, dict[str, Any]] = {
                    "another figure": {"avatar": FIGURES[int(rng.integers(len(FIGURES)))]},
                    "no such figure": {"avatar": "nobody"},
                    "no background": {"background": "/nowhere/at all.png"},
                    "a colour": {"background": "#102030"},
                    "mirror": {"mirror": True},
                    "steadiness": {"steadiness": float(rng.choice([0.0, 0.001, 4.0]))},
                    "panic": {"panic": True},
                }
                settings[0] = settings[0].model_copy(update=wanted[kind])

        moments = [self._moment(fault, number) for number in range(FRAMES)]
        faces = _Faces(fault, self._face if rng.random() < 0.7 else None)
        now = iter(range(0, 10**15, 10**6))
        engine = Engine(faces, effect, lambda: settings[0], lambda: next(now))
        fallback = Fallback(SIZE, effect.title)
        source = _Source(fault, moments, change)
        sinks: list[Any] = [sink]
        return Loop(source, engine, fallback, sinks, lambda: settings[0], lambda: next(now), RATE_HZ)

    def _moment(self, fault: Fault, number: int) -> Moment | None:
        """Motion that is played, in the trials of that stage."""
        if fault.stage != "motion":
            return None
        rng = fault.rng
        joints = rng.normal((160, 90), 40, (len(JOINTS), 2)).astype(np.float32)
        shapes: Any = rng.random(52).astype(np.float32)
        longest: Any = np.full(len(JOINTS), 40, np.float32)
        if number in fault.at:
            some = rng.random(len(joints)) < 0.4
            if fault.kind in ("NaN", "some NaN"):
                joints[some if fault.kind == "some NaN" else slice(None)] = np.nan
            elif fault.kind == "huge":
                joints *= np.float32(1e30)
            elif fault.kind == "one point":
                joints[:] = 0
            elif fault.kind == "jumps":
                joints += np.float32(1e5)
            elif fault.kind == "NaN face":
                shapes[:] = np.nan
            elif fault.kind == "no lengths":
                longest[:] = 0
        return Moment(joints, shapes, bool(rng.integers(2)), longest)

    def _broken(self, avatar: Avatar, fault: Fault) -> Avatar:
        """A copy of a figure with something wrong. Raises MasqueradeError where its folder is refused."""
        assert avatar.figure is not None
        folder = self._scratch / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(avatar.figure.folder, folder)
        file = folder / FIGURE_FILE
        rig = json.loads(file.read_text(encoding="utf-8"))
        text = spoilt(rig, folder, fault.kind, fault.rng)
        file.write_text(text, encoding="utf-8")
        return replace(avatar, figure=FigureFiles(read_rig(folder), folder))


def run_figure_trials(count: int, seed: int = 0, say: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Trials `seed` to `seed` + `count`: by stage how many showed the source, and how many ended by a traceback."""
    stages: dict[str, Counter[str]] = {stage: Counter() for stage in KINDS}
    faults: list[dict[str, Any]] = []
    pictures = 0
    with closing(FigureTrials()) as trials:
        for number in range(seed, seed + count):
            outcome = trials.one(number)
            pictures += outcome.shown
            crashed = outcome.ended is not None and not outcome.refused
            found = stages[outcome.stage]
            found.update(trials=1, leaked=int(outcome.leaked > 0), ended=int(outcome.ended is not None))
            found.update(crashed=int(crashed), failed_frames=outcome.failed)
            if outcome.leaked or crashed:
                faults.append(
                    {
                        "seed": number,
                        "stage": outcome.stage,
                        "kind": outcome.kind,
                        "pixels": outcome.leaked,
                        "ended": outcome.ended,
                    }
                )
            if (number - seed) % 500 == 499:
                say(f"{number - seed + 1} trials with figures, {len(faults)} went wrong")
    keys = ("trials", "leaked", "ended", "crashed", "failed_frames")
    return {
        "trials": count,
        "pictures": pictures,
        "leaked": sum(found["leaked"] for found in stages.values()),
        "crashed": sum(found["crashed"] for found in stages.values()),
        "stages": {stage: {key: found[key] for key in keys} for stage, found in stages.items()},
        "leaks": faults,
    }
