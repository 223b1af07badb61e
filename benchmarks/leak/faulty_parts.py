"""The parts of a loop with one thing wrong: each obeys the protocol of what it stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np

from benchmarks.leak.judge import Judge, TruePicture
from benchmarks.leak.run import letterboxed
from benchmarks.leak.scenes import RATE_HZ
from realtime.clock import NS_PER_S
from realtime.errors import DeviceError, ModelError
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped
from realtime.models.library import built_in_folder
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.leak_guard import LeakGuard

SIZE = (320, 180)
MOST_KNOWN = 4000

ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: ModelError("a network broke"),
    lambda: ValueError("a wrong shape"),
    lambda: MemoryError(),
    lambda: RuntimeError("the driver is gone"),
    lambda: ZeroDivisionError(),
    lambda: IndexError("out of range"),
    lambda: DeviceError("the disk is full"),
)


class Fault:
    """What goes wrong in one trial: `kind` at the frames `at`, with a random generator of its own."""

    def __init__(self, stage: str, kind: str, at: set[int], rng: np.random.Generator) -> None:
        self.stage, self.kind, self.at, self.rng = stage, kind, at, rng
        self.frame = -1

    def now(self, stage: str) -> str | None:
        """The fault's kind, where it is this stage's and this frame's."""
        return self.kind if stage == self.stage and self.frame in self.at else None

    def error(self) -> Exception:
        return ERRORS[int(self.rng.integers(len(ERRORS)))]()


NONE = Fault("none", "none", set(), np.random.default_rng(0))

NETWORK = ("raises", "NaN", "zeros", "huge", "wrong shape", "stale", "noise")
SETTINGS = ("panic", "on_miss", "opacity", "mask", "others", "mirror", "nonsense")
KINDS: dict[str, tuple[str, ...]] = {
    "detector network": NETWORK,
    "landmark network": NETWORK,
    "blendshape network": NETWORK,
    "guard network": NETWORK,
    "guard": ("raises", "raises after", "nothing"),
    "tracker": (
        *("raises", "nobody", "NaN", "shifted", "scaled", "turned", "another face's", "stale", "doubled", "outside"),
        "no score",
    ),
    "swap": (
        *("raises", "its input", "its input, coloured", "NaN mask", "clear mask", "half a mask", "zeros"),
        *("wrong shape", "wrong mask"),
    ),
    "effect": ("raises", "nothing", "the frame", "half the frame", "stale", "another size", "raises after"),
    "settings before": SETTINGS,
    "settings within": SETTINGS,
    "identity": ("another", "broken", "another, within"),
    "source": ("another size", "repeated", "black", "turned", "no time", "ends", "raises", "a cut"),
    "clock": ("forward", "back", "stands"),
    "fallback": ("raises", "raises after"),
    "sink": ("raises", "raises device"),
}
"""By stage what can go wrong there."""


class FaultySession:
    """A network session whose answers may be wrong. One for the whole run; `fault` is the trial's.

    Trials look at the same few clips, so what a network said of a picture once is remembered.
    """

    def __init__(self, inner: Any, stage: str) -> None:
        self._inner, self._stage = inner, stage
        self.fault = NONE
        self._last: dict[str, Any] = {}
        self._known: dict[int, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, feed: Any) -> dict[str, Any]:
        """The network's answer, or what the fault makes of it."""
        kind, rng = self.fault.now(self._stage), self.fault.rng
        if kind == "raises":
            raise self.fault.error()
        stale, answer = self._last, self._answer(feed)
        self._last = {key: np.array(value) for key, value in answer.items()}
        changes: dict[str, Callable[[Any], Any]] = {
            "NaN": lambda v: np.full_like(v, np.nan),
            "zeros": np.zeros_like,
            "huge": lambda v: v * np.float32(1e6),
            "wrong shape": lambda v: v[..., :-1],
            "noise": lambda v: v + rng.normal(0, 20, v.shape).astype(np.float32),
        }
        if kind == "stale":
            return stale or answer
        return {key: changes[kind](np.array(v)) for key, v in answer.items()} if kind in changes else answer

    def _answer(self, feed: Any) -> dict[str, Any]:
        key = hash(b"".join(value.tobytes() for value in feed.values()))
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = {name: np.array(value) for name, value in self._inner.run(feed).items()}
        return self._known[key]


class FaultyTracker:
    """A face tracker whose faces may be wrong."""

    def __init__(self, tracker: Any, fault: Fault) -> None:
        self._tracker, self._fault, self.sessions = tracker, fault, tracker.sessions
        self.steadiness = 1.0
        self._last: list[Any] = []
        self.within: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)

    def __call__(self, frame: Frame) -> list[Any]:
        """The faces, or what the fault makes of them."""
        kind, rng = self._fault.now("tracker"), self._fault.rng
        if kind == "raises":
            raise self._fault.error()
        faces = list(self._tracker(frame))
        last, self._last = self._last, faces
        self.within()
        if kind in ("nobody", "stale", "doubled"):
            return {"nobody": [], "stale": last, "doubled": faces * 2}[kind]
        if kind == "no score":
            return [replace(face, score=float("nan")) for face in faces]
        return (
            [replace(face, landmarks=self._wrong(kind, face.landmarks, frame, rng)) for face in faces]
            if kind
            else faces
        )

    def _wrong(self, kind: str, points: Any, frame: Frame, rng: np.random.Generator) -> Any:
        middle, side = points[:, :2].mean(axis=0), float(np.ptp(points[:, :2], axis=0).mean())
        wrong = points.copy()
        if kind == "NaN":
            wrong[rng.random(len(wrong)) < rng.choice([0.01, 1.0])] = np.nan
        elif kind == "shifted":
            wrong[:, :2] += rng.normal(0, 0.7, 2) * side
        elif kind == "scaled":
            wrong[:, :2] = middle + float(rng.choice([0.2, 0.5, 0.7, 1.5, 2.5])) * (wrong[:, :2] - middle)
        elif kind == "turned":
            angle = rng.uniform(0.5, 2 * np.pi - 0.5)
            cos, sin = np.cos(angle), np.sin(angle)
            wrong[:, :2] = middle + (wrong[:, :2] - middle) @ np.array([[cos, sin], [-sin, cos]])
        elif kind == "another face's":
            wrong[:, :2] += rng.uniform(0, 1, 2) * frame.size - middle
        elif kind == "outside":
            wrong[:, :2] += 4 * frame.size[0]
        return wrong.astype(np.float32)

    def close(self) -> None:
        """The tracker is the run's."""


class Drawn:
    """A swap network's stand-in: it draws the same face over every other. Obeys `Swapper`."""

    size, sessions = 128, ()

    def __init__(self, title: str, number: int, fault: Fault) -> None:
        self.title, self._fault = title, fault
        self._face = _preview(("ada", "amos", "fern")[number], self.size)

    def crop(self, landmarks: Floats) -> tuple[Matrix, int]:
        """`crop_from_frame` of a whole face, and its side."""
        return crop_from_frame(landmarks, "whole_face", self.size), self.size

    def __call__(self, crop: Pixels, *rest: Any) -> Swapped:
        """The drawn face, or what the fault makes of it."""
        return faulty_swap(self._fault, crop, Swapped(self._face.copy(), np.ones((self.size, self.size), np.float32)))

    def close(self) -> None:
        """Nothing is open."""


@cache
def _preview(name: str, size: int) -> Pixels:
    picture = np.asarray(cv2.imread(str(built_in_folder() / name / "preview.jpg")), np.uint8)
    side = min(picture.shape[:2])
    return np.asarray(cv2.resize(picture[:side, :side], (size, size)), np.uint8)


def faulty_swap(fault: Fault, crop: Pixels, good: Swapped) -> Swapped:
    """What a network made of a crop, or what the fault makes of it."""
    kind = fault.now("swap")
    if kind is None:
        return good
    if kind == "raises":
        raise fault.error()
    side = good.pixels.shape[0]
    own = np.asarray(cv2.resize(crop, (side, side)), np.uint8)
    half = good.mask.copy()
    half[:, : half.shape[1] // 2] = 0
    return {
        "its input": replace(good, pixels=own),
        "its input, coloured": replace(good, pixels=np.asarray(cv2.convertScaleAbs(own, alpha=0.9, beta=10), np.uint8)),
        "NaN mask": replace(good, mask=np.full_like(good.mask, np.nan)),
        "clear mask": replace(good, mask=np.zeros_like(good.mask)),
        "half a mask": replace(good, mask=half),
        "zeros": replace(good, pixels=np.zeros_like(good.pixels)),
        "wrong shape": replace(good, pixels=good.pixels[:5, :7].copy()),
        "wrong mask": replace(good, mask=good.mask[: len(half) // 2].copy()),
    }[kind]


class FaultyNetwork:
    """A real swap network with the same faults. Obeys `Swapper`."""

    def __init__(self, swapper: Any, fault: Fault) -> None:
        self._swapper, self._fault = swapper, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._swapper, name)

    def __call__(self, crop: Pixels, *rest: Any) -> Swapped:
        return faulty_swap(self._fault, crop, self._swapper(crop, *rest))

    def close(self) -> None:
        """The network is the run's."""


class FaultyEffect:
    """An effect whose pictures may be wrong."""

    def __init__(self, effect: Any, fault: Fault) -> None:
        self._effect, self._fault = effect, fault
        self._last: Pixels | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._effect, name)

    def __call__(self, frame: Frame, *rest: Any) -> Pixels | None:
        """The effect's picture, or what the fault makes of it."""
        kind = self._fault.now("effect")
        if kind == "raises":
            raise self._fault.error()
        made: Pixels | None = self._effect(frame, *rest)
        if kind == "raises after":
            raise self._fault.error()
        last, self._last = self._last, None if made is None else made.copy()
        if kind is None or made is None:
            return made
        half = made.copy()
        half[:, : made.shape[1] // 2] = frame.pixels[:, : made.shape[1] // 2]
        return {
            "nothing": None,
            "the frame": frame.pixels.copy(),
            "half the frame": half,
            "stale": last,
            "another size": np.ascontiguousarray(made[::2, ::2]),
        }[kind]

    def close(self) -> None:
        """The effect is the run's."""


class FaultyGuard:
    """A leak guard that may fail."""

    def __init__(self, guard: LeakGuard, fault: Fault) -> None:
        self._guard, self._fault, self.sessions = guard, fault, guard.sessions

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What may leave, unless the fault says otherwise."""
        kind = self._fault.now("guard")
        if kind == "raises":
            raise self._fault.error()
        checked = self._guard(*arguments, **named)
        if kind == "raises after":
            raise self._fault.error()
        return None if kind == "nothing" else checked


class FaultyFallback:
    """A fallback that may fail."""

    def __init__(self, fallback: Fallback, fault: Fault) -> None:
        self._fallback, self._fault = fallback, fault

    def picture(self, *arguments: Any) -> Any:
        """What leaves, unless the fault says otherwise."""
        kind = self._fault.now("fallback")
        if kind == "raises":
            raise self._fault.error()
        out = self._fallback.picture(*arguments)
        if kind == "raises after":
            raise self._fault.error()
        return out


class FaultySource:
    """Gives a few pictures of a clip, some of them not as they should be. Obeys `Source`."""

    name, rate_hz, live, state, size = "faults", RATE_HZ, False, "ok", SIZE

    def __init__(
        self, pictures: Sequence[TruePicture], other: TruePicture, fault: Fault, see: Callable[[TruePicture], None]
    ) -> None:
        self._pictures, self._other, self._fault, self._see = pictures, other, fault, see
        self.before: Callable[[], None] = lambda: None

    def read(self) -> Frame | None:
        """The next picture, or what the fault makes of it."""
        fault = self._fault
        fault.frame += 1
        number = fault.frame
        if number >= len(self._pictures):
            return None
        self.before()
        kind, picture = fault.now("source"), self._pictures[number]
        if kind == "ends":
            return None
        if kind == "raises":
            raise fault.error()
        if kind == "repeated" and number:
            picture = self._pictures[number - 1]
        elif kind == "black":
            picture = TruePicture(number, np.zeros_like(picture.pixels), ())
        elif kind == "a cut":
            picture = self._other
        elif kind == "another size":
            picture = letterboxed(picture, [(160, 120), (640, 360), (90, 160)][int(fault.rng.integers(3))])
        elif kind == "turned":
            turned = np.ascontiguousarray(picture.pixels[::-1, ::-1])
            faces = tuple(
                replace(face, outline=np.array(SIZE, np.float32) - 1 - face.outline, seen=face.seen[::-1, ::-1])
                for face in picture.faces
            )
            picture = TruePicture(number, turned, faces)
        picture = replace(picture, number=number)
        self._see(letterboxed(picture, SIZE))
        media_s = None if kind == "no time" else number / RATE_HZ
        return Frame(picture.pixels.copy(), number, round(number / RATE_HZ * NS_PER_S), media_s)

    def unblock(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True, eq=False)
class FaultySink:
    """Has every picture judged, and may fail."""

    judge: Judge
    fault: Fault
    name: str = "faults"
    shown: int = 0
    leaked: dict[str, Any] | None = None

    def show(self, frame: Frame) -> None:
        """Judge one picture."""
        leaks = self.judge.leaks(self.fault.frame, frame.pixels)
        self.shown += 1
        if leaks and self.leaked is None:
            first = leaks[0]
            self.leaked = {
                "output": first.output,
                "input": first.input,
                "who": first.face.who,
                "own": round(first.likeness.own, 3),
            }
        kind = self.fault.now("sink")
        if kind is not None:
            raise DeviceError("the disk is full") if kind == "raises device" else self.fault.error()

    def close(self) -> None:
        """Nothing is open."""
