"""Files in real time, on a clock that the test turns."""

from collections.abc import Sequence

import numpy as np
import pytest

from realtime.capture.paced import MAX_LATE_S, Paced
from realtime.capture.synthetic import Synthetic, number_of
from realtime.clock import NS_PER_S
from realtime.frame import Frame

MS = 1_000_000


class TurnedClock:
    """A clock that moves only by waiting, or by hand."""

    def __init__(self) -> None:
        self.now = 5 * NS_PER_S
        self.waits: list[float] = []

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += round(seconds * NS_PER_S)
        return False


class Scripted:
    """A reel with given times."""

    live, state, name, size = False, "ok", "scripted", (2, 2)

    def __init__(self, times_s: Sequence[float], rate_hz: float, duration_s: float | None) -> None:
        self.times_s, self.rate_hz, self.duration_s = times_s, rate_hz, duration_s
        self.at = self.seq = self.closed = 0
        self.unblocked = False

    def read(self) -> Frame | None:
        if self.at == len(self.times_s) or self.unblocked:
            return None
        frame = Frame(np.zeros((2, 2, 3), np.uint8), self.seq, -1, self.times_s[self.at])
        self.at, self.seq = self.at + 1, self.seq + 1
        return frame

    def rewind(self) -> None:
        self.at = 0

    def unblock(self) -> None:
        self.unblocked = True

    def close(self) -> None:
        self.closed += 1


def test_frames_come_when_due_and_are_stamped_so() -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), 25.0, count=4), clock=clock, wait=clock.wait)
    start = clock.now
    for i in range(4):
        frame = source.read()
        assert frame is not None
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
    assert fifth is not None
    assert fifth.captured_ns == clock.now == start + 200 * MS
    source.close()


def test_after_a_long_sleep_the_schedule_starts_anew() -> None:
    clock = TurnedClock()
    source = Paced(Synthetic((80, 45), 25.0), clock=clock, wait=clock.wait)
    source.read()
    assert source.state == "ok"
    clock.now += int((MAX_LATE_S + 9) * NS_PER_S)
    late = source.read()
    assert late is not None
    assert late.captured_ns == clock.now
    following = source.read()
    assert following is not None
    assert following.captured_ns == late.captured_ns + 40 * MS
    assert source.lost_s == pytest.approx(MAX_LATE_S + 9 - 0.04)
    assert source.state.startswith("synthetic plays slower than it should: 10.0 s")
    source.close()


def test_variable_rates_keep_their_gaps() -> None:
    clock = TurnedClock()
    times = [0.0, 0.01, 0.05, 0.4]
    source = Paced(Scripted(times, 30, 0.5), clock=clock, wait=clock.wait)
    start = clock.now
    stamps = [frame.captured_ns - start for frame in iter(source.read, None)]
    assert stamps == [round(t * 1000) * MS for t in times]
    source.close()


def test_a_loop_keeps_the_length_of_the_file() -> None:
    clock = TurnedClock()
    # The sound lasts 0.25 s, the pictures 0.2: the next lap starts with the sound.
    reel = Scripted([0.0, 0.1], 10, 0.25)
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
    source = Paced(Scripted([], 10, None), loop=True, clock=clock, wait=clock.wait)
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


def test_unblocked_while_waiting_it_ends() -> None:
    clock = TurnedClock()
    reel = Scripted([0.0, 5.0], 10, None)
    source = Paced(reel, clock=clock, wait=lambda _: source.unblock() or True)  # type: ignore[func-returns-value]
    assert source.read() is not None
    assert source.read() is None
    assert reel.unblocked
    assert source.read() is None
    source.close()
