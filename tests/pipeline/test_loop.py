"""The loop with scripted parts: order, drops, the constant rate, model switches, ends."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from fakes import SIZE, FakeClock, FakeFinder, FakeSink, FakeSource, FakeSwapper, pixels

from realtime.errors import DeviceError, ModelError
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Pixels
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.loop import MANY_ERRORS, Loop, run_live, run_offline
from realtime.settings import Settings
from realtime.threads import Crew

RAW = 17


def make_loop(
    source: FakeSource,
    *sinks: FakeSink,
    finder: FakeFinder | None = None,
    swapper: FakeSwapper | None = None,
    settings: Callable[[], Settings] = Settings,
    open_character: Callable[[str], Effect] | None = None,
    clock: Callable[[], int] | None = None,
) -> Loop:
    clock = clock or FakeClock()
    engine = Engine(finder or FakeFinder(), FaceSwap(swapper or FakeSwapper()), settings, clock)
    guard = Fallback(SIZE, "Fake", settings)
    return Loop(
        source, engine, guard, list(sinks), settings, open_character or (lambda _: FaceSwap(FakeSwapper())), clock, 30.0
    )


def centre(picture: Pixels) -> int:
    return int(picture[SIZE[1] // 2, SIZE[0] // 2, 0])


def plain() -> Settings:
    return Settings(color_transfer="none", mask_blur=0, mask_erode=0)


def test_offline_loses_no_frame_and_keeps_their_order() -> None:
    values = [30 + i for i in range(20)]
    sink = FakeSink()
    loop = make_loop(FakeSource([pixels(v) for v in values]), sink, settings=plain)
    run_offline(loop, lambda: False)
    # The corner lies outside the face: it shows which frame this was.
    assert [int(p[-1, 0, 0]) for p in sink.shown] == values
    assert all(abs(centre(p) - 200) <= 2 for p in sink.shown)
    assert loop.tally.captured == loop.tally.processed == loop.tally.emitted == 20
    assert loop.tally.dropped == loop.tally.repeated == loop.tally.raw == 0


def test_the_stages_add_up_to_the_latency() -> None:
    loop = make_loop(FakeSource([pixels()] * 5), FakeSink(), settings=plain)
    run_offline(loop, lambda: False)
    report = loop.tally.report()
    # The fake clock steps 1 ms a reading and the source's stamps 33 ms: compare sums, not values.
    assert loop.tally.latency.count == 5
    for stage in ("detect", "align", "swap", "blend", "output"):
        assert report["stages_ms"][stage]["p50"] > 0


def test_live_ends_with_the_source_after_its_last_frame_was_shown() -> None:
    sink = FakeSink()
    loop = make_loop(FakeSource([pixels(i) for i in range(1, 6)]), sink, settings=plain)
    with Crew() as crew:
        run_live(loop, crew)
        assert crew.wait("output", 10)
    assert int(sink.shown[-1][-1, 0, 0]) == 5
    assert loop.tally.captured == 5
    assert loop.tally.processed + loop.tally.dropped >= 5 - loop.tally.dropped


def test_the_newest_frame_wins_while_the_engine_is_busy() -> None:
    release, source_done = threading.Event(), threading.Event()

    class Source(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            frame = super().read()
            if frame is None:
                source_done.set()
            return frame

    def wait_once(seq: int) -> list:  # type: ignore[type-arg]
        if seq == 0:
            release.wait(10)
        return FakeFinder()._script(seq)

    sink = FakeSink()
    loop = make_loop(Source([pixels(i) for i in range(1, 11)]), sink, finder=FakeFinder(wait_once), settings=plain)
    with Crew() as crew:
        run_live(loop, crew)
        assert source_done.wait(10)
        release.set()
        assert crew.wait("output", 10)
    assert int(sink.shown[-1][-1, 0, 0]) == 10
    assert loop.tally.processed <= 3
    assert loop.tally.dropped >= 7 or loop.tally.processed + loop.tally.dropped >= 9


def test_a_silent_engine_is_covered_at_the_constant_rate() -> None:
    release = threading.Event()

    def stuck(seq: int) -> list:  # type: ignore[type-arg]
        release.wait(10)
        return []

    shown = threading.Event()

    class Sink(FakeSink):
        def show(self, frame):  # type: ignore[no-untyped-def]
            super().show(frame)
            if len(self.shown) >= 3:
                shown.set()

    sink = Sink()
    loop = make_loop(FakeSource([pixels(RAW)]), sink, finder=FakeFinder(stuck))
    loop.rate_hz = 200.0
    with Crew() as crew:
        run_live(loop, crew)
        assert shown.wait(10)
        release.set()
        crew.wait("output", 10)
    assert loop.tally.repeated >= 3
    assert all(centre(p) != RAW for p in sink.shown)


def test_the_identity_changes_while_running_and_a_bad_name_keeps_the_old_one() -> None:
    names = iter(["", "bo", "bo", "nobody", "nobody"])
    now = {"settings": plain()}

    class Source(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            name = next(names, None)
            now["settings"] = plain().model_copy(update={"model": name or None})
            return super().read()

    def another(name: str) -> Effect:
        if name == "nobody":
            raise ModelError("no bundle nobody")
        return FaceSwap(FakeSwapper(90, "Bo"))

    sink, first = FakeSink(), FakeSwapper()
    loop = make_loop(
        Source([pixels()] * 5), sink, swapper=first, settings=lambda: now["settings"], open_character=another
    )
    run_offline(loop, lambda: False)
    assert [round(centre(p) / 10) * 10 for p in sink.shown] == [200, 90, 90, 90, 90]
    assert first.closed == 1


def test_one_failing_sink_leaves_and_the_others_go_on() -> None:
    bad = FakeSink("file", 2, DeviceError("the disk is full"))
    good = FakeSink("camera")
    loop = make_loop(FakeSource([pixels()] * 6), bad, good, settings=plain)
    run_offline(loop, lambda: False)
    assert len(bad.shown) == 2
    assert bad.closed == 1
    assert len(good.shown) == 6
    assert [str(e) for e in loop.lost] == ["the disk is full"]


def test_the_last_sink_failing_ends_the_run() -> None:
    loop = make_loop(FakeSource([pixels()] * 6), FakeSink("file", 2, DeviceError("the disk is full")))
    with pytest.raises(DeviceError, match="disk is full"):
        run_offline(loop, lambda: False)


def test_endless_errors_end_the_run_with_the_reason() -> None:
    def broken() -> None:
        raise RuntimeError("kernel missing")

    sink = FakeSink()
    loop = make_loop(FakeSource([pixels(RAW)] * (MANY_ERRORS + 5)), sink, swapper=FakeSwapper(fault=broken))
    with pytest.raises(ModelError, match=r"100 frames failed in a row \(RuntimeError: kernel missing\)"):
        run_offline(loop, lambda: False)
    assert all(centre(p) != RAW for p in sink.shown)
    assert loop.tally.raw == 0


def test_every_picture_carries_the_badge_unless_it_may_be_off() -> None:
    on, off = FakeSink(), FakeSink()
    run_offline(make_loop(FakeSource([pixels(size=SIZE)] * 2), on, settings=plain), lambda: False)
    without = plain().model_copy(update={"badge": "off"})
    run_offline(make_loop(FakeSource([pixels(size=SIZE)] * 2), off, settings=lambda: without), lambda: False)
    assert not np.array_equal(on.shown[0], off.shown[0])


def test_raising_the_edition_opens_the_same_identity_anew_and_says_so_meanwhile() -> None:
    asked: list[tuple[str, str | None]] = []

    class Source(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            frame = super().read()
            if frame is not None and frame.seq in (2, 4):
                loop.edition += 1
            return frame

    def another(name: str) -> Effect:
        asked.append((name, loop.changing))
        return FaceSwap(FakeSwapper(90 + 10 * len(asked), "Bo"))

    sink = FakeSink()
    settings = plain().model_copy(update={"model": "bo"})
    loop = make_loop(Source([pixels()] * 6), sink, settings=lambda: settings, open_character=another)
    run_offline(loop, lambda: False)
    assert asked == [("bo", "bo")] * 3
    assert loop.changing is None
    assert [round(centre(p) / 10) * 10 for p in sink.shown] == [100, 100, 110, 110, 120, 120]


def test_a_repeat_on_a_slow_machine_is_no_lost_face() -> None:
    loop = make_loop(FakeSource([pixels()] * 2), FakeSink(), settings=plain)
    run_offline(loop, lambda: False)
    assert loop.state == "synthetic"
    loop.show(loop.guard.picture(None, 40_000_000), None)
    assert loop.tally.repeated == 1
    assert loop.state == "synthetic"
    loop.show(loop.guard.picture(None, 5_000_000_000), None)
    assert loop.state == "card"


def test_the_user_sees_every_frame_of_the_camera() -> None:
    seen: list[int] = []
    loop = make_loop(FakeSource([pixels(30), pixels(31)]), FakeSink(), settings=plain)
    loop.see = lambda frame: seen.append(int(frame.pixels[0, 0, 0]))
    with Crew() as crew:
        run_live(loop, crew)
        assert crew.wait("output", 10)
    assert seen == [30, 31]
