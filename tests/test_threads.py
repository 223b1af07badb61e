import threading

import pytest

from realtime.errors import DeviceError, StuckThread
from realtime.threads import Closed, Crew, Event, Latest, Slot


def test_slot_gives_the_newest_and_counts_what_it_replaced() -> None:
    slot: Slot[int] = Slot()
    for item in (1, 2, 3):
        slot.put(item)
    assert slot.get() == 3
    assert slot.replaced == 2
    assert slot.get(timeout_s=0) is None


def test_a_closed_slot_gives_its_last_item_then_raises() -> None:
    slot: Slot[str] = Slot()
    slot.put("last")
    slot.close()
    slot.put("too late")
    assert slot.get() == "last"
    with pytest.raises(Closed):
        slot.get()


def test_closing_wakes_a_waiting_reader() -> None:
    slot: Slot[int] = Slot()
    ended = []

    def reader() -> None:
        try:
            slot.get()
        except Closed:
            ended.append(True)

    with Crew() as crew:
        crew.start("reader", reader, slot.close)
    assert ended == [True]


def test_latest_is_replaced_whole() -> None:
    latest = Latest(1)
    latest.set(2)
    assert latest.update(lambda v: v + 1) == 3
    assert latest.get() == 3


def test_the_first_error_stops_all_and_is_raised_by_the_owner() -> None:
    waiting = threading.Event()

    def fails() -> None:
        raise DeviceError("gone")

    crew = Crew()
    crew.start("waits", lambda: (waiting.wait(), None)[1], waiting.set)
    crew.start("fails", fails)
    assert crew.wait("waits")
    with pytest.raises(DeviceError, match="gone"):
        crew.close()
    crew.close()


def test_a_stuck_thread_is_named() -> None:
    release = threading.Event()
    crew = Crew(patience_s=0.05)
    crew.start("camera driver", lambda: (release.wait(), None)[1])
    try:
        with pytest.raises(StuckThread, match="camera driver did not end"):
            crew.close()
    finally:
        release.set()


def test_wait_times_out_while_the_thread_runs() -> None:
    release = threading.Event()
    with Crew() as crew:
        crew.start("works", lambda: (release.wait(), None)[1], release.set)
        assert not crew.wait("works", 0.01)
        release.set()
        assert crew.wait("works", 60)


def test_a_set_event_ends_every_wait() -> None:
    event = Event()
    assert event.wait(0.0) is False
    event.set()
    event.set()
    assert event.wait(3600.0) is True
    assert event.is_set()


def test_an_event_set_by_another_thread_ends_a_wait() -> None:
    event = Event()
    with Crew() as crew:
        crew.start("setter", event.set)
        assert event.wait(60.0) is True
