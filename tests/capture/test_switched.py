"""A source that becomes another one in the middle of a run."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import FakeClock, FakeFinder, FakeSink, FakeSource, FakeSwapper, pixels

from realtime.capture.source import Source
from realtime.capture.switched import Choice, Switched
from realtime.errors import DeviceError
from realtime.families.face_swap.effect import FaceSwap
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback
from realtime.pipeline.loop import Loop, run_offline
from realtime.settings import Settings

A, B = Choice("a"), Choice("b", (64, 48))


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
def switched() -> Iterator[Callable[..., Switched]]:
    made: list[Switched] = []

    def make(source: Source, choice: Choice, open_one: Callable[[Choice], Source]) -> Switched:
        made.append(Switched(source, choice, open_one))
        return made[-1]

    yield make
    for source in made:
        source.close()
        source.close()


Make = Callable[[Source, Choice, Callable[[Choice], Source]], Switched]


def levels(source: Source, most: int = 99) -> list[int]:
    found = []
    while len(found) < most and (frame := source.read()) is not None:
        found.append(int(frame.pixels[0, 0, 0]))
    return found


def test_the_new_one_goes_on_where_the_old_one_stopped(switched: Make) -> None:
    old, opened = grey(10, 5), []

    def open_one(choice: Choice) -> Source:
        assert old.closed == 1  # a camera is not opened twice
        opened.append(choice)
        return grey(20, 2, (64, 48))

    source = switched(old, A, open_one)
    assert levels(source, 2) == [10, 10]
    source.switch(B)
    assert source.choice == B
    frame = source.read()
    assert frame is not None
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
    def open_one(choice: Choice) -> Source:
        if choice == B:
            raise DeviceError("there is no camera b")
        return grey(11)

    source = switched(grey(10), A, open_one)
    assert levels(source, 1) == [10]
    with caplog.at_level(logging.WARNING):
        source.switch(B)
        assert levels(source) == [11] * 3
    assert source.choice == A
    assert "there is no camera b; the source before goes on" in caplog.text


def test_where_nothing_can_be_had_it_waits_for_another_choice(switched: Make, caplog: pytest.LogCaptureFixture) -> None:
    tried: list[Choice] = []

    def open_one(choice: Choice) -> Source:
        tried.append(choice)
        if len(tried) < 3:
            if len(tried) == 2:
                source.switch(Choice("c"))  # somebody sees that it does not work
            raise DeviceError(f"there is no camera {choice.address}")
        return grey(30)

    source = switched(grey(10), A, open_one)
    source.switch(B)
    assert source.state == "ok"
    with caplog.at_level(logging.WARNING):
        assert levels(source) == [30] * 3
    assert [choice.address for choice in tried] == ["b", "a", "c"]
    assert "there is no other source" in caplog.text


def test_the_end_and_an_end_from_outside(switched: Make) -> None:
    source = switched(grey(10, 1), A, lambda choice: grey(20))
    assert levels(source) == [10]
    assert source.read() is None
    source.switch(B)
    source.unblock()
    assert source.read() is None


def test_while_it_changes_nobody_sees_a_raw_picture(switched: Make) -> None:
    """Through the real loop, with a size that changes too: what leaves is drawn, or a card."""
    settings = Settings(badge="off", color_transfer="none")
    size = (160, 120)

    def open_one(choice: Choice) -> Source:
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
