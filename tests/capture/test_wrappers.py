"""Sources around other sources: in real time, ended by a condition, exchanged in the middle of a run."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import FakeClock, FakeFinder, FakeSink, FakeSource, FakeSwapper, TurnedClock, pixels
from sources import MS, ScriptedFile
from written_video import number_of

from realtime.capture.source import Source
from realtime.capture.synthetic import Synthetic
from realtime.capture.wrappers import (
    MAX_LATE_S,
    RECOVERED_S,
    Continued,
    Paced,
    SourceSpec,
    SwitchableSource,
    Until,
)
from realtime.clock import NS_PER_S
from realtime.config import Settings
from realtime.errors import DeviceError
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Frame
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.loop import Loop, run_offline


def test_frames_come_when_due_and_are_stamped_so() -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), 25.0, count=4), clock=clock, wait=clock.wait)
    start = clock.now
    for i in range(4):
        frame = source.read()
        assert number_of(frame.pixels) == frame.seq == i
        assert frame.captured_ns == clock.now == start + i * 40 * MS
    assert source.read() is None
    source.close()


def test_a_late_reader_gets_every_frame_stamped_with_its_due_time() -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), 25.0, count=6), clock=clock, wait=clock.wait)
    start = clock.now
    source.read()
    clock.now += 170 * MS  # stalled through frames 1 to 4
    frames = [source.read() for _ in range(4)]
    assert clock.now == start + 170 * MS
    assert [f.captured_ns - start for f in frames if f] == [40 * MS, 80 * MS, 120 * MS, 160 * MS]
    fifth = source.read()
    assert fifth.captured_ns == clock.now == start + 200 * MS
    source.close()


def test_after_a_long_sleep_the_schedule_starts_anew() -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), 25.0), clock=clock, wait=clock.wait)
    source.read()
    assert source.state == "ok"
    clock.now += int((MAX_LATE_S + 9) * NS_PER_S)
    late = source.read()
    assert late.captured_ns == clock.now
    following = source.read()
    assert following.captured_ns == late.captured_ns + 40 * MS
    assert source.lost_s == pytest.approx(MAX_LATE_S + 9 - 0.04)
    assert source.state.startswith("synthetic plays slower than it should: 10.0 s")
    source.close()


def test_a_file_that_keeps_up_again_is_ok_again() -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), 25.0), clock=clock, wait=clock.wait)
    source.read()
    clock.now += int((MAX_LATE_S + 1) * NS_PER_S)
    again = source.read().captured_ns
    while clock.now <= again + RECOVERED_S * NS_PER_S:
        assert "slower" in source.state
        source.read()
    clock.now += 100 * MS
    source.read()  # late
    assert "slower" in source.state
    for _ in range(3):
        source.read()
    assert source.state == "ok"
    assert source.lost_s > 1
    source.close()


def test_variable_rates_keep_their_gaps() -> None:
    clock = TurnedClock()
    times = [0.0, 0.01, 0.05, 0.4]
    source = Paced(ScriptedFile(times, 30, 0.5), clock=clock, wait=clock.wait)
    start = clock.now
    stamps = [frame.captured_ns - start for frame in iter(source.read, None)]
    assert stamps == [round(t * 1000) * MS for t in times]
    source.close()


def test_a_loop_keeps_the_length_of_the_file() -> None:
    clock = TurnedClock()
    # The sound lasts 0.25 s, the pictures 0.2: the next lap starts with the sound.
    reel = ScriptedFile([0.0, 0.1], 10, 0.25)
    source = Paced(reel, loop=True, clock=clock, wait=clock.wait)
    start = clock.now
    frames = [source.read() for _ in range(6)]
    assert [f.captured_ns - start for f in frames if f] == [t * MS for t in (0, 100, 250, 350, 500, 600)]
    assert [f.seq for f in frames if f] == [0, 1, 2, 3, 4, 5]
    assert [f.media_s for f in frames if f] == [0.0, 0.1] * 3
    source.close()
    assert reel.closed == 1


def test_an_empty_reel_is_not_looped_for_ever() -> None:
    clock = TurnedClock()
    source = Paced(ScriptedFile([], 10, None), loop=True, clock=clock, wait=clock.wait)
    assert source.read() is None
    source.close()


@pytest.mark.parametrize(
    ("rate", "fps", "kept"), [(60.0, 30.0, 30), (30.0, 20.0, 20), (30.0, 60.0, 30), (50.0, 7.0, 7)]
)
def test_fps_thins(rate: float, fps: float, kept: int) -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), rate, count=int(rate)), fps=fps, clock=clock, wait=clock.wait)
    assert source.rate_hz == min(rate, fps)
    frames = list(iter(source.read, None))
    assert abs(len(frames) - kept) <= 1
    assert [f.seq for f in frames] == list(range(len(frames)))
    gaps = np.diff([f.captured_ns for f in frames]) / NS_PER_S
    assert gaps.max() <= 1 / min(rate, fps) + 1 / rate
    source.close()


def test_it_ends_where_it_is_over_and_stays_so() -> None:
    inner = FakeSource([pixels()] * 5)
    source = Until(inner, lambda frame: frame.seq >= 3)
    assert (source.name, source.size, source.rate_hz, source.live, source.state) == (
        inner.name, inner.size, inner.rate_hz, inner.live, "ok",
    )  # fmt: skip
    seen = [frame.seq for frame in iter(source.read, None)]
    assert seen == [0, 1, 2]
    assert source.read() is None  # frame 4 is not shown
    source.close()
    assert inner.closed == 1


A, B = SourceSpec("a"), SourceSpec("b", (64, 48))


def played(source: Continued) -> list[tuple[int | None, float]]:
    """The numbers and the times of its frames."""
    return [(number_of(f.pixels), round(f.media_s or 0.0, 6)) for f in iter(source.read, None)]


@pytest.mark.parametrize(
    ("count", "turns", "numbers"),
    [
        (4, True, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]),
        (1, True, [0] * 12),
        (2, True, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
    ],
)
def test_it_goes_on_back_and_forth(count: int, turns: bool, numbers: list[int]) -> None:
    film = Synthetic((320, 180), rate_hz=10, count=count)
    source = Continued(film, lambda frame: (frame.media_s or 0) > 1.15, turns=turns, clock=lambda: 7)
    assert played(source) == [(number, i / 10) for i, number in enumerate(numbers)]
    assert source.read() is None
    source.close()


def test_what_is_too_long_to_be_kept_goes_back_and_forth_at_its_end() -> None:
    film = Synthetic((320, 180), rate_hz=10, count=9)
    source = Continued(film, lambda frame: (frame.media_s or 0) > 1.55, turns=True, most_bytes=1)
    assert [number for number, _ in played(source)] == [*range(9), 7, 8, 7, 8, 7, 8, 7]


@pytest.mark.parametrize("rises", [True, False])
def test_it_begins_again_until_it_is_over(rises: bool) -> None:
    laps: list[float] = []

    def over(frame: Frame) -> bool:
        laps.append(frame.media_s or 0.0)
        return len(laps) > 5

    source = Continued(ScriptedFile([0.0, 0.1, 0.3], 10, 0.4), over, rises=rises)
    times = [frame.media_s for frame in iter(source.read, None)]
    again = [0.4, 0.5, 0.7, 0.8, 0.9] if rises else [0.0, 0.1, 0.3, 0.0, 0.1]
    assert times == pytest.approx([0.0, 0.1, 0.3, *again])


def test_a_clip_is_played_whole_before_anything_ends_it() -> None:
    for turns in (True, False):
        source = Continued(Synthetic((320, 180), rate_hz=10, count=3), lambda frame: True, turns=turns)
        assert [number for number, _ in played(source)] == [0, 1, 2]
    empty = Continued(ScriptedFile([], 10, None), lambda frame: False)
    assert empty.read() is None


class Waiting(FakeSource):
    """A camera that is gone: it has nothing until it is unblocked. `read` asks `meanwhile` to do something."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__([])
        self.meanwhile = meanwhile

    def read(self) -> None:
        if not self._blocked:
            self.meanwhile()
        assert self._blocked, "it would wait for ever"


def grey(value: int, count: int = 3, size: tuple[int, int] = (160, 120)) -> FakeSource:
    return FakeSource([pixels(value, size) for _ in range(count)], size)


@pytest.fixture
def switched() -> Iterator[Callable[..., SwitchableSource]]:
    made: list[SwitchableSource] = []

    def make(source: Source, choice: SourceSpec, open_one: Callable[[SourceSpec], Source]) -> SwitchableSource:
        made.append(SwitchableSource(source, choice, open_one))
        return made[-1]

    yield make
    for source in made:
        source.close()
        source.close()


Make = Callable[[Source, SourceSpec, Callable[[SourceSpec], Source]], SwitchableSource]


def levels(source: Source, most: int = 99) -> list[int]:
    found = []
    while len(found) < most and (frame := source.read()) is not None:
        found.append(int(frame.pixels[0, 0, 0]))
    return found


def test_the_new_one_goes_on_where_the_old_one_stopped(switched: Make) -> None:
    old, opened = grey(10, 5), []

    def open_one(choice: SourceSpec) -> Source:
        assert old.closed == 1  # a camera is not opened twice
        opened.append(choice)
        return grey(20, 2, (64, 48))

    source = switched(old, A, open_one)
    assert levels(source, 2) == [10, 10]
    source.switch(B)
    assert source.spec == B
    frame = source.read()
    assert (frame.seq, frame.size, source.size) == (2, (64, 48), (64, 48))
    assert levels(source) == [20]
    assert opened == [B]


def test_a_camera_that_is_gone_does_not_hold_the_change_up(switched: Make) -> None:
    def another() -> None:
        source.switch(B)

    source = switched(Waiting(another), A, lambda choice: grey(20))
    assert levels(source) == [20] * 3

    def there_and_back() -> None:  # the one that waited gives nothing any more, so it is opened anew
        source.switch(B)
        source.switch(A)

    source = switched(Waiting(there_and_back), A, lambda choice: grey(30 if choice == A else 20))
    assert levels(source) == [30] * 3


def test_what_cannot_be_had_leaves_the_one_before(switched: Make, caplog: pytest.LogCaptureFixture) -> None:
    def open_one(choice: SourceSpec) -> Source:
        if choice == B:
            raise DeviceError("there is no camera b")
        return grey(11)

    source = switched(grey(10), A, open_one)
    assert levels(source, 1) == [10]
    with caplog.at_level(logging.WARNING):
        source.switch(B)
        assert levels(source) == [11] * 3
    assert source.spec == A
    assert "there is no camera b; the source before goes on" in caplog.text


def test_where_nothing_can_be_had_it_waits_for_another_choice(switched: Make, caplog: pytest.LogCaptureFixture) -> None:
    tried: list[SourceSpec] = []

    def open_one(choice: SourceSpec) -> Source:
        tried.append(choice)
        if len(tried) < 3:
            if len(tried) == 2:
                source.switch(SourceSpec("c"))  # somebody sees that it does not work
            raise DeviceError(f"there is no camera {choice.address}")
        return grey(30)

    source = switched(grey(10), A, open_one)
    source.switch(B)
    assert source.state == "ok"
    with caplog.at_level(logging.WARNING):
        assert levels(source) == [30] * 3
    assert [choice.address for choice in tried] == ["b", "a", "c"]
    assert "there is no other source" in caplog.text


def test_while_it_changes_nobody_sees_a_raw_picture(switched: Make) -> None:
    """Through the real loop, with a size that changes too: what leaves is drawn, or a card."""
    settings = Settings(badge="off", color_transfer="none")
    size = (160, 120)

    def open_one(choice: SourceSpec) -> Source:
        # What leaves while nothing is read: the last picture, and after a second a card.
        for seconds in (0.1, 5):
            out = loop.show(None, clock.now + round(seconds * 1e9))
            assert out.kind == ("hold" if seconds < 1 else "card")
        return grey(20, 3, (320, 180))

    clock, sink = FakeClock(), FakeSink()
    source = switched(grey(10), A, open_one)
    engine = Engine(FakeFinder(), FaceSwap(FakeSwapper(200)), lambda: settings, clock)
    fallback = Fallback(size, "Fake")
    loop = Loop(source, engine, fallback, [sink], lambda: settings, clock, 30.0)
    read = source.read

    def read_and_switch() -> object:
        frame = read()
        if loop.tally.captured == 1:
            source.switch(B)
        return frame

    source.read = read_and_switch  # type: ignore[assignment, method-assign]
    run_offline(loop, lambda: False)
    assert loop.tally.captured == 5
    assert [picture.shape for picture in sink.shown] == [(120, 160, 3)] * 7
    assert loop.tally.raw == 0
    for picture in sink.shown:
        assert not np.all(picture == picture[0, 0])  # neither camera's bare grey
