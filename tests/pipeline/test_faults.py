"""Faults in every stage, at every moment, of every kind: the user's own face never leaves.

The check does not believe the counters: it looks at the pixel in the middle of the face.
"""

import errno
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fakes import (
    SIZE,
    FakeClock,
    FakeFinder,
    FakeSelection,
    FakeSink,
    FakeSource,
    FakeSwapper,
    a_face,
    a_switch,
    pixels,
)

from realtime.config import Settings
from realtime.errors import DeviceError, MasqueradeError, ModelError
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Frame, Pixels
from realtime.imaging.blend import Swapped
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.loop import Loop, run_live, run_offline
from realtime.threads import Crew
from realtime.tracking.face import Face

RAW = 17
FRAMES = 12

KINDS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("bad value"),
    "runtime": lambda: RuntimeError("provider died"),
    "memory": lambda: MemoryError(),
    "opencv": lambda: cv2.error("assertion failed"),
    "model": lambda: ModelError("NaN in the output"),
    "device": lambda: DeviceError("the device is gone"),
    "disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
}
MOMENTS = {"start-up": {0}, "early": {1, 2}, "mid-run": {5}, "row": {4, 5, 6, 7}, "last": {FRAMES - 1}}
STAGES = ("detect", "swap", "settings", "no face", "face outside", "broken face", "wrong crop", "model switch")


class Fault:
    """Raises the scripted error whenever the frame's number is one of the moment's."""

    def __init__(self, at: set[int], kind: Callable[[], BaseException]) -> None:
        self.at, self.kind, self.seq = at, kind, -1
        self.strikes: Callable[[], object] = lambda: None

    @property
    def now(self) -> bool:
        return self.seq in self.at

    def strike(self) -> None:
        if self.now:
            raise self.kind()


def build(stage: str, fault: Fault, sink: FakeSink, items: list[Pixels | Exception]) -> Loop:
    calm, whole = Settings(color_transfer="none", mask_blur=0, mask_erode=0), a_face()
    found = {
        "no face": [],
        "face outside": [a_face((900, -400))],  # the landmarks run away, the face in the picture does not
        "broken face": [replace(whole, landmarks=np.full_like(whole.landmarks, np.nan))],
    }

    def find(seq: int) -> list[Face]:
        if stage == "detect":
            fault.strike()
        return found.get(stage, [whole]) if fault.now else [whole]

    class Swapper(FakeSwapper):
        def __call__(self, crop: Pixels, face: Face, *rest: object) -> Swapped:
            if stage == "swap":
                fault.strike()
            good = super().__call__(crop, face)
            wrong = stage == "wrong crop" and fault.now
            return Swapped(good.pixels[:5, :5].copy(), good.mask[:3]) if wrong else good

    class Source(FakeSource):
        """Tells the fault which frame is on its way."""

        def read(self) -> Frame | None:
            if (frame := super().read()) is not None:
                fault.seq = frame.seq
                if fault.now:
                    fault.strikes()
            return frame

    def settings() -> Settings:
        if stage == "settings":
            fault.strike()
        return calm

    def load(selection: FakeSelection) -> Effect:
        if fault.seq % 2:
            raise ModelError(f"{selection.name} is broken")
        return FaceSwap(FakeSwapper(90, selection.name))

    clock, first = FakeClock(), FaceSwap(Swapper())
    engine = Engine(FakeFinder(find), first, settings, clock)
    switch = a_switch(first, load)
    if stage == "model switch":
        fault.strikes = lambda: switch.request(FakeSelection(f"identity-{fault.seq}"))  # type: ignore[arg-type]
    # The output reads settings of its own: its copy does not fail.
    return Loop(Source(items), engine, Fallback(SIZE, "Fake"), [sink], lambda: calm, clock, 30.0, switch)


def no_raw_face(sink: FakeSink) -> bool:
    y, x = SIZE[1] // 2, SIZE[0] // 2
    return all((p[y - 2 : y + 3, x - 2 : x + 3] != RAW).all() for p in sink.shown)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stage", STAGES)
def test_no_fault_inside_the_engine_lets_the_raw_face_out(stage: str, moment: str, kind: str) -> None:
    sink = FakeSink()
    fault = Fault(MOMENTS[moment], KINDS[kind])
    loop = build(stage, fault, sink, [pixels(RAW)] * FRAMES)
    run_offline(loop, lambda: False)
    assert len(sink.shown) == FRAMES
    assert no_raw_face(sink)
    assert loop.tally.raw == 0
    if stage != "model switch":
        assert loop.tally.guarded == len(MOMENTS[moment])


@pytest.mark.parametrize("at", [0, 1, 6, FRAMES - 1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_dying_source_or_sink_ends_the_live_run_and_shows_no_raw_face(at: int, kind: str) -> None:
    error = KINDS[kind]()
    items: list[Pixels | Exception] = [pixels(RAW)] * FRAMES
    assert isinstance(error, Exception)
    items[at] = error
    sink = FakeSink()
    loop = build("none", Fault(set(), KINDS[kind]), sink, items)
    crew = Crew()
    run_live(loop, crew)
    crew.wait("output", 60)
    with pytest.raises(type(error)):
        crew.close()
    assert no_raw_face(sink)

    dying = FakeSink("file", at, error)
    loop = build("none", Fault(set(), KINDS[kind]), dying, [pixels(RAW)] * FRAMES)
    with pytest.raises((type(error), MasqueradeError)):
        run_offline(loop, lambda: False)
    assert len(dying.shown) == at
    assert no_raw_face(dying)
