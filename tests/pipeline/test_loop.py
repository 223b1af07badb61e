"""The loop with scripted parts: order, drops, the constant rate, model switches, ends."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from fakes import SIZE, FakeFinder, FakeSelection, FakeSink, FakeSource, FakeSwapper, a_loop, pixels

from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import DeviceError, ModelError
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Frame, Pixels
from realtime.pipeline.loop import MANY_ERRORS, run_live, run_offline
from realtime.threads import Crew
from realtime.tracking.face import Face

RAW = 17


def centre(picture: Pixels) -> int:
    return int(picture[SIZE[1] // 2, SIZE[0] // 2, 0])


def plain() -> Settings:
    return Settings(color_transfer="none", mask_blur=0, mask_erode=0)


class WatchedSink(FakeSink):
    """Sets `enough` when it has been shown so many pictures."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.enough = count, threading.Event()

    def show(self, frame: Frame) -> None:
        super().show(frame)
        if len(self.shown) >= self.count:
            self.enough.set()


def test_offline_loses_no_frame_and_keeps_their_order() -> None:
    values = [30 + i for i in range(20)]
    sink = FakeSink()
    loop = a_loop(FakeSource([pixels(v) for v in values]), [sink], settings=plain)
    run_offline(loop, lambda: False)
    # The corner lies outside the face: it shows which frame this was.
    assert [int(p[-1, 0, 0]) for p in sink.shown] == values
    assert all(abs(centre(p) - 200) <= 2 for p in sink.shown)
    assert loop.tally.captured == loop.tally.processed == loop.tally.emitted == 20
    assert loop.tally.dropped == loop.tally.repeated == loop.tally.raw == 0


def test_the_stages_add_up_to_the_latency() -> None:
    loop = a_loop(FakeSource([pixels()] * 5), [FakeSink()], settings=plain)
    run_offline(loop, lambda: False)
    report = loop.tally.report()
    # The fake clock steps 1 ms a reading and the source's stamps 33 ms: compare sums, not values.
    assert loop.tally.latency.count == 5
    for stage in ("detect", "align", "swap", "blend", "output"):
        assert report["stages_ms"][stage]["p50"] > 0


def test_live_ends_with_the_source_after_its_last_frame_was_shown() -> None:
    sink = FakeSink()
    loop = a_loop(FakeSource([pixels(i) for i in range(1, 6)]), [sink], settings=plain)
    with Crew() as crew:
        run_live(loop, crew)
        assert crew.wait("output", 60)
    assert int(sink.shown[-1][-1, 0, 0]) == 5
    assert loop.tally.captured == 5
    assert loop.tally.processed + loop.tally.dropped >= 5 - loop.tally.dropped


def test_the_newest_frame_wins_while_the_engine_is_busy() -> None:
    release, source_done = threading.Event(), threading.Event()

    class Source(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            if (frame := super().read()) is None:
                source_done.set()
            return frame

    def busy(seq: int) -> list:  # type: ignore[type-arg]
        release.wait(60)
        return FakeFinder()._script(seq)

    sink = FakeSink()
    loop = a_loop(Source([pixels(i) for i in range(1, 11)]), [sink], tracker=FakeFinder(busy), settings=plain)
    with Crew() as crew:
        run_live(loop, crew)
        assert source_done.wait(60)
        release.set()
        assert crew.wait("output", 60)
    assert int(sink.shown[-1][-1, 0, 0]) == 10
    assert loop.tally.processed <= 3
    assert loop.tally.dropped >= 7 or loop.tally.processed + loop.tally.dropped >= 9


def test_a_silent_engine_is_covered_at_the_constant_rate() -> None:
    release = threading.Event()

    def stuck(seq: int) -> list:  # type: ignore[type-arg]
        release.wait(60)
        return []

    sink = WatchedSink(3)
    loop = a_loop(FakeSource([pixels(RAW)]), [sink], tracker=FakeFinder(stuck))
    loop.rate_hz = 200.0
    with Crew() as crew:
        run_live(loop, crew)
        assert sink.enough.wait(60)
        release.set()
        crew.wait("output", 60)
    assert loop.tally.repeated >= 3
    assert all(centre(p) != RAW for p in sink.shown)


def test_the_picture_goes_on_while_another_identity_loads() -> None:
    """Frames pass the loop, drawn by the first identity, while the second is still being made."""
    loading, enough = threading.Event(), threading.Event()

    class Source(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            frame = super().read()
            if frame is not None and frame.seq == 3:
                assert loading.wait(60)
            elif frame is not None and frame.seq == 20:
                assert sink.enough.wait(60)
                enough.set()
            return frame

    def load(selection: FakeSelection) -> Effect:
        loading.set()
        assert enough.wait(60)
        return FaceSwap(FakeSwapper(90, "Bo"))

    sink = WatchedSink(1)
    loop = a_loop(Source([pixels()] * 25), [sink], settings=plain, load=load)
    assert loop.identities is not None
    loop.identities.request(FakeSelection("bo"))  # type: ignore[arg-type]
    loop.rate_hz = 0.01  # nothing is filled in where the engine takes its time
    with Crew() as crew:
        run_live(loop, crew)
        assert crew.wait("output", 60)
    assert loop.tally.guarded == 0
    assert abs(centre(sink.shown[0]) - 200) <= 2


def test_one_failing_sink_leaves_and_the_last_one_ends_the_run() -> None:
    bad, good = FakeSink("file", 2, DeviceError("the disk is full")), FakeSink("camera")
    loop = a_loop(FakeSource([pixels()] * 6), [bad, good], settings=plain)
    run_offline(loop, lambda: False)
    assert (len(bad.shown), bad.closed, len(good.shown)) == (2, 1, 6)
    assert [str(e) for e in loop.lost] == ["the disk is full"]
    loop = a_loop(FakeSource([pixels()] * 6), [FakeSink("file", 2, DeviceError("the disk is full"))])
    with pytest.raises(DeviceError, match="disk is full"):
        run_offline(loop, lambda: False)


def test_endless_errors_end_the_run_with_the_reason() -> None:
    def broken() -> None:
        raise RuntimeError("kernel missing")

    sink = FakeSink()
    loop = a_loop(FakeSource([pixels(RAW)] * (MANY_ERRORS + 5)), [sink], effect=FaceSwap(FakeSwapper(fault=broken)))
    with pytest.raises(ModelError, match=r"100 frames failed in a row \(RuntimeError: kernel missing\)"):
        run_offline(loop, lambda: False)
    assert all(centre(p) != RAW for p in sink.shown)
    assert loop.tally.raw == 0


def test_every_picture_carries_the_badge_unless_it_may_be_off() -> None:
    on, off = FakeSink(), FakeSink()
    run_offline(a_loop(FakeSource([pixels(size=SIZE)] * 2), [on], settings=plain), lambda: False)
    without = plain().model_copy(update={"badge": "off"})
    run_offline(a_loop(FakeSource([pixels(size=SIZE)] * 2), [off], settings=lambda: without), lambda: False)
    assert not np.array_equal(on.shown[0], off.shown[0])


def test_a_repeat_on_a_slow_machine_is_no_lost_face() -> None:
    loop = a_loop(FakeSource([pixels()] * 2), [FakeSink()], settings=plain)
    run_offline(loop, lambda: False)
    assert loop.state == "synthetic"
    loop.show(None, 40_000_000)
    assert (loop.tally.repeated, loop.state) == (1, "synthetic")
    loop.show(None, 5_000_000_000)
    assert loop.state == "card"


def test_the_user_sees_every_frame_of_the_camera() -> None:
    seen: list[int] = []
    loop = a_loop(FakeSource([pixels(30), pixels(31)]), [FakeSink()], settings=plain)
    loop.on_source_frame = lambda frame: seen.append(int(frame.pixels[0, 0, 0]))
    with Crew() as crew:
        run_live(loop, crew)
        assert crew.wait("output", 60)
    assert seen == [30, 31]


class Seeking(FaceSwap):
    """Has no picture before it has seen the third frame; then one for every frame."""

    known = False

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        self.known = self.known or frame.seq == 2
        return super().__call__(frame, faces, settings, timer) if self.known else None


@pytest.mark.parametrize(("ahead", "stand_ins"), [(True, 0), (False, 2)])
def test_a_film_does_not_begin_with_a_slate_where_it_is_looked_ahead(ahead: bool, stand_ins: int) -> None:
    values, sink = list(range(1, 7)), FakeSink()
    loop = a_loop(FakeSource([pixels(i) for i in values]), [sink], settings=plain, effect=Seeking(FakeSwapper()))
    run_offline(loop, lambda: False, ahead=ahead)
    assert loop.tally.guarded == stand_ins
    assert loop.tally.captured == loop.tally.processed == loop.tally.emitted == 6
    assert [int(p[-1, 0, 0]) for p in sink.shown][stand_ins:] == values[stand_ins:], "in order, none twice"


def test_nothing_is_shown_ahead_of_a_film_without_a_face() -> None:
    sink = FakeSink()
    loop = a_loop(FakeSource([pixels(RAW)] * 4), [sink], effect=FaceSwap(FakeSwapper(fault=lambda: 1 / 0)))  # type: ignore[arg-type,return-value]
    run_offline(loop, lambda: False, ahead=True)
    assert (loop.tally.captured, loop.tally.guarded, len(sink.shown)) == (4, 4, 4)
