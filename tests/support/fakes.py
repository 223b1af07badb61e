"""Scripted sources, sinks, finders and swappers, and a clock that tests turn by hand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from realtime.clock import NS_PER_S
from realtime.config import Settings
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped
from realtime.inference.session import Session
from realtime.models.library import built_in_folder
from realtime.pipeline.active_identity import ActiveIdentity, IdentitySwitch
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.loop import Loop
from realtime.tracking.face import Face

SIZE = (160, 120)


def pixels(value: int = 100, size: tuple[int, int] = SIZE) -> Pixels:
    return np.full((size[1], size[0], 3), value, np.uint8)


class FakeClock:
    """Advances by `step_ns` with every reading."""

    def __init__(self, step_ns: int = 1_000_000) -> None:
        self.now = 0
        self.step_ns = step_ns

    def __call__(self) -> int:
        self.now += self.step_ns
        return self.now


class TurnedClock:
    """A clock that waiting turns, and each reading by `step_s`; `ended` is what a wait answers."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now, self.step, self.waits, self.ended = 100 * NS_PER_S, round(step_s * NS_PER_S), 0, False

    def __call__(self) -> int:
        self.now += self.step
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        self.now += max(round(seconds * NS_PER_S), 0)
        return self.ended


class FakeSource:
    """Gives the scripted items: a frame, or an exception to raise."""

    name = "fake"
    rate_hz = 30.0
    live = False

    def __init__(self, items: Iterable[Pixels | Exception], size: tuple[int, int] = SIZE) -> None:
        self._items = iter(list(items))
        self.size = size
        self.state = "ok"
        self.closed = 0
        self._seq = 0
        self._blocked = False

    def read(self) -> Frame | None:
        item = None if self._blocked else next(self._items, None)
        if isinstance(item, Exception):
            raise item
        if item is None:
            return None
        frame = Frame(item, self._seq, self._seq * 33_000_000, self._seq / 30)
        self._seq += 1
        return frame

    def unblock(self) -> None:
        self._blocked = True

    def close(self) -> None:
        self.closed += 1


class FakeSink:
    """Keeps what it was shown; raises the scripted error at picture number `fail_at`."""

    def __init__(self, name: str = "fake", fail_at: int | None = None, error: Exception | None = None) -> None:
        self.name = name
        self.shown: list[Pixels] = []
        self.closed = 0
        self._fail_at, self._error = fail_at, error

    def show(self, frame: Frame) -> None:
        if self._error is not None and self._fail_at is not None and len(self.shown) >= self._fail_at:
            raise self._error
        self.shown.append(frame.pixels)

    def close(self) -> None:
        self.closed += 1


class FakeDriver:
    """A virtual camera's driver."""

    def __init__(self, device: str, size: tuple[int, int]) -> None:
        self.device, self.size = device, size
        self.sent: list[Pixels] = []
        self.closed = 0
        self.error: Exception | None = None

    def send(self, frame: Pixels) -> None:
        if self.error is not None:
            raise self.error
        assert frame.shape == (self.size[1], self.size[0], 3)
        self.sent.append(frame)

    def close(self) -> None:
        self.closed += 1


class FakeDrivers:
    """Opens drivers; devices in `errors` fail with that error."""

    def __init__(self, errors: dict[str | None, Exception] | None = None) -> None:
        self.errors = errors or {}
        self.opened: list[FakeDriver] = []

    def __call__(self, size: tuple[int, int], rate_hz: float, device: str | None) -> FakeDriver:
        if device in self.errors:
            raise self.errors[device]
        self.opened.append(FakeDriver(device or "OBS Virtual Camera", size))
        return self.opened[-1]


with np.load(built_in_folder() / "face" / "pose.npz", allow_pickle=False) as _stored:
    _HEAD = _stored["canonical"]  # (468, 3) in centimetres, y up


def a_face(centre: tuple[float, float] = (80, 60), height: float = 50) -> Face:
    """The canonical head seen from the front, `height` pixels tall; the irises are guessed."""
    scale = height / np.ptp(_HEAD[:, 1])
    flat = _HEAD * (scale, -scale, -scale) + (*centre, 0)
    points = np.concatenate([flat, np.repeat(flat[[468 - 1]], 10, axis=0)])
    return Face(points.astype(np.float32), np.zeros(52, np.float32), np.eye(4, dtype=np.float32), 0.9)


class FakeFinder:
    """Finds a face in every frame unless the script says otherwise."""

    steadiness = 1.0
    sessions: Sequence[Session] = ()

    def __init__(self, script: Callable[[int], list[Face]] | None = None) -> None:
        self._script = script or (lambda _seq: [a_face()])
        self.closed = 0

    def __call__(self, frame: Frame) -> list[Face]:
        return self._script(frame.seq)

    def close(self) -> None:
        self.closed += 1


class FakeSwapper:
    """Paints the whole crop in one colour."""

    size = 32
    sessions: Sequence[Session] = ()

    def crop(self, landmarks: Floats) -> tuple[Matrix, int]:
        return crop_from_frame(landmarks, "whole_face", self.size), self.size

    def __init__(self, value: int = 200, title: str = "Fake", fault: Callable[[], None] | None = None) -> None:
        self.value, self.title, self._fault = value, title, fault
        self.closed = 0

    def __call__(self, crop: Pixels, face: Face, *rest: object) -> Swapped:
        if self._fault is not None:
            self._fault()
        picture = np.full((self.size, self.size, 3), self.value, np.uint8)
        return Swapped(picture, np.ones((self.size, self.size), np.float32))

    def close(self) -> None:
        self.closed += 1


@dataclass(frozen=True)
class FakeSelection:
    """Stands for a bundle of that name."""

    name: str
    may_hide_badge: bool = True

    @property
    def bundle(self) -> Any:
        return SimpleNamespace(name=self.name)


def a_switch(effect: Effect, load: Callable[[Any], Effect], **more: Any) -> IdentitySwitch:
    """Identities by name: `load` gets the selection asked for."""
    selection: Any = FakeSelection(effect.title)
    return IdentitySwitch(ActiveIdentity(selection, effect), load, **more)


def a_loop(
    source: Any,
    sinks: Sequence[Any],
    *,
    tracker: Any = None,
    effect: Effect | None = None,
    settings: Callable[[], Settings] = Settings,
    clock: Callable[[], int] | None = None,
    load: Callable[[Any], Effect] | None = None,
) -> Loop:
    """A loop of scripted parts. `load` makes other identities, which `loop.identities.request` asks for."""
    clock, effect = clock or FakeClock(), effect or FaceSwap(FakeSwapper())
    engine = Engine(tracker or FakeFinder(), effect, settings, clock, may_hide_badge=True)
    switch = a_switch(effect, load) if load is not None else None
    return Loop(source, engine, Fallback(source.size, effect.title), list(sinks), settings, clock, 30.0, switch)
