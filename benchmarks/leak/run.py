"""Runs the program's own session over a scene and has every picture that leaves it judged."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np

from benchmarks.leak.judge import Judge, Leak, TrueFace, TruePicture
from benchmarks.leak.scenes import RATE_HZ, Scene
from realtime.clock import now_ns
from realtime.config import Settings, make_config
from realtime.errors import MasqueradeError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import letterbox, scaled_into
from realtime.output.disclosure import badge
from realtime.output.open_sink import wants_page
from realtime.pipeline.engine import Result
from realtime.pipeline.fallback import Outgoing
from realtime.pipeline.leak_guard import LeakGuard
from realtime.pipeline.loop import Loop
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session
from realtime.web.controls import controls_of
from realtime.web.server import Page

WORST = 4
"""So many of the worst pictures of a take are kept for the contact sheet."""


class SceneSource:
    """A scene's pictures, each once; in a live run no faster than the program takes them. Obeys `Source`."""

    name, rate_hz, live, state = "scene", RATE_HZ, False, "ok"

    def __init__(self, scene: Scene, frames: int, see: Callable[[TruePicture], None], *, paced: bool) -> None:
        self.size = scene.size
        self._scene, self._frames, self._see, self._paced = scene, frames, see, paced
        self._next = 0
        self.taken = threading.Event()
        self.before: Callable[[int], None] = lambda frame: None

    def read(self) -> Frame | None:
        """The next picture, after the settings that change with it."""
        if self._next >= self._frames:
            return None
        if self._paced and self._next % 7:  # every seventh comes while the one before is at work: it may be dropped
            self.taken.wait(1.0)
        self.taken.clear()
        number, self._next = self._next, self._next + 1
        self.before(number)
        picture = self._scene.picture(number)
        self._see(letterboxed(picture, self.size))
        return Frame(picture.pixels, number, now_ns(), number / RATE_HZ)

    def unblock(self) -> None:
        self._next = self._frames
        self.taken.set()

    def close(self) -> None:
        """Nothing is open."""


def letterboxed(picture: TruePicture, size: tuple[int, int]) -> TruePicture:
    """The picture and its faces as they are in the sinks' size."""
    height, width = picture.pixels.shape[:2]
    if (width, height) == size:
        return TruePicture(picture.number, picture.pixels.copy(), picture.faces)
    inner = scaled_into((width, height), size)
    corner = np.array([(size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2], np.float32)
    scale = np.array([inner[0] / width, inner[1] / height], np.float32)
    faces = []
    for face in picture.faces:
        seen = np.zeros((size[1], size[0]), bool)
        small = cv2.resize(face.seen.astype(np.uint8), inner, interpolation=cv2.INTER_NEAREST)
        seen[int(corner[1]) :, int(corner[0]) :][: inner[1], : inner[0]] = small > 0
        faces.append(TrueFace(face.who, face.living, face.outline * scale + corner, seen))
    return TruePicture(picture.number, letterbox(picture.pixels, size), tuple(faces))


@dataclass(slots=True, eq=False)
class Take:
    """What is noted of one run over a scene.

    `outputs` left the program, `judged` faces were looked for in them. `leaking` outputs show a face, `living` or
    `printed`; `unreported`: the program did not count them as raw. `covered`: more was changed than the one face.
    `worst`: how much of a face is shown, what it is, and input and output side by side.
    """

    outputs: int = 0
    judged: int = 0
    leaking: int = 0
    living: int = 0
    printed: int = 0
    unreported: int = 0
    covered: int = 0
    alone: bool = False
    kinds: Counter[str] = field(default_factory=Counter)
    spans_ns: Counter[str] = field(default_factory=Counter)
    worked: int = 0
    guard_ns: int = 0
    refused: list[str] = field(default_factory=list)
    ended: str | None = None
    first: dict[str, Any] | None = None
    worst: list[tuple[float, str, Pixels]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """As JSON. `work_ms`: by stage, the mean of a frame."""
        spent = sum(ns for stage, ns in self.spans_ns.items() if stage != "networks")
        work = {stage: round(ns / 1e6 / max(1, self.worked), 2) for stage, ns in self.spans_ns.items()}
        names = (
            "outputs",
            "judged",
            "leaking",
            "living",
            "printed",
            "unreported",
            "covered",
            "alone",
            "refused",
            "ended",
        )
        stood_in = sum(self.kinds[kind] for kind in ("hold", "card", "blur"))
        return {name: getattr(self, name) for name in names} | {
            "false_covers": min(self.outputs, self.covered + stood_in) if self.alone else 0,
            "kinds": dict(self.kinds),
            "work_ms": work,
            "guard_ms": round(self.guard_ns / 1e6 / max(1, self.worked), 2),
            "guard_percent": round(100 * self.guard_ns / max(1, spent), 2),
            "first": self.first,
        }


class JudgedLoop(Loop):
    """A `Loop` that tells a take what the engine spent, and what kind of picture the fallback chose."""

    def __init__(self, loop: Loop, take: Take) -> None:
        super().__init__(**{f.name: getattr(loop, f.name) for f in fields(loop)})
        self._take = take

    def work(self, frame: Frame) -> Result:
        """The loop's, noted. Engine's thread."""
        result = super().work(frame)
        self._take.worked += 1
        self._take.spans_ns.update({stage: ns for stage, ns in result.frame.spans.items() if stage != "capture"})
        return result

    def show(self, result: Result | None, now_ns: int) -> Outgoing:
        """The loop's, noted. Output's thread."""
        raw = self.tally.raw
        leaking = self._take.leaking
        out = super().show(result, now_ns)
        # A picture shown again because the next is not ready stands in for nobody.
        self._take.kinds["repeated" if result is None else out.kind] += 1
        self._take.unreported += self._take.leaking > leaking and self.tally.raw == raw
        return out


class TimedGuard:
    """The run's leak guard, its time noted."""

    def __init__(self, guard: LeakGuard, take: Take) -> None:
        self._guard, self._take = guard, take
        self.sessions = guard.sessions

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        started = now_ns()
        try:
            return self._guard(*arguments, **named)
        finally:
            self._take.guard_ns += now_ns() - started

    def close(self) -> None:
        """The guard's."""
        self._guard.close()


class JudgingSink:
    """Has every picture judged. Obeys `Sink`."""

    name = "judge"

    def __init__(self, judge: Judge, take: Take, taken: threading.Event) -> None:
        self._judge, self._take, self._taken = judge, take, taken
        self._number = 0

    def show(self, frame: Frame) -> None:
        """Judge one picture."""
        take = self._take
        if frame.media_s is not None:
            self._number = round(frame.media_s * RATE_HZ)
        leaks = self._judge.leaks(self._number, frame.pixels)
        take.outputs += 1
        take.judged = self._judge.judged
        if leaks:
            take.leaking += 1
            take.living += any(leak.face.living for leak in leaks)
            take.printed += any(not leak.face.living for leak in leaks)
            self._keep(leaks, frame.pixels)
        elif take.alone and frame.media_s is not None:
            take.covered += self._judge.changed_beside(self._number, frame.pixels)
        self._taken.set()

    def _keep(self, leaks: list[Leak], output: Pixels) -> None:
        worst = max(leaks, key=lambda leak: leak.likeness.own)
        note = {"output": worst.output, "input": worst.input, "who": worst.face.who, "living": worst.face.living}
        self._take.first = self._take.first or {**note, **{k: round(v, 3) for k, v in worst.likeness._asdict().items()}}
        kept = self._take.worst
        if len(kept) < WORST or worst.likeness.own > kept[-1][0]:
            given = self._judge.input(worst.input)
            pair = np.hstack([output if given is None else given, output])
            cv2.polylines(pair, [worst.face.outline.astype(np.int32)], True, (0, 0, 255), 1)
            label = f"{worst.output} {worst.face.who} {worst.likeness.own:.2f} {worst.likeness.detail:.2f}"
            kept.append((worst.likeness.own, label, pair))
            kept.sort(key=lambda one: -one[0])
            del kept[WORST:]

    def close(self) -> None:
        """Nothing is open."""


def film(scene: Scene, frames: int, *, live: bool = False, **options: Any) -> Take:
    """Run the program over a scene, its settings changing as the scene says; what came of it."""
    take = Take(alone=scene.alone)
    width, height = scene.size
    blank = np.full((height, width, 3), 128, np.uint8)
    judge = Judge((badge(blank) != blank).any(axis=2))
    given = {"model": "ada", "source": f"synthetic:{frames}", "size": scene.size, "output": ("null",)}
    config = make_config({}, {**given, "pace": "live" if live else "all", **scene.options, **options})
    source = SceneSource(scene, frames, judge.see, paced=live)
    with ExitStack() as opened:
        page = opened.enter_context(closing(Page())) if wants_page(config.output) else None
        parts = opened.enter_context(open_parts(config, page=page))
        parts.source = source
        if parts.guard is not None:
            guard: Any = TimedGuard(parts.guard, take)
            parts.guard = guard
        kept = [sink for sink in parts.sinks if sink is page]
        parts.sinks[:] = [*kept, JudgingSink(judge, take, source.taken)]
        if scene.faulty is not None:
            scene.faulty(parts)
        session = Session(parts)
        session.loop = JudgedLoop(session.loop, take)
        if page is not None:
            session.loop.on_source_frame = page.see
            page.attach(controls_of(session))

        def change(frame: int) -> None:
            if (wanted := scene.changes.get(frame)) is not None:
                before = parts.settings.get()
                try:
                    session.change(Settings.model_validate({**before.model_dump(), **wanted}), before)
                except MasqueradeError as error:
                    take.refused.append(f"{frame}: {error}")

        source.before = change
        try:
            session.run()
        except MasqueradeError as error:  # a run that ends shows nothing
            take.ended = f"{type(error).__name__}: {error}"
    return take
