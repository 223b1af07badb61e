"""The delayed voice spoken into a device: in time, and through the loss of the device."""

from collections.abc import Callable

import numpy as np
import pytest
from sounds import NS, FakeOutput, clicks, filled, onsets

from realtime.audio.delay_line import DelayLine
from realtime.audio.source import HEARD_HZ
from realtime.audio.virtual_microphone import MOST_MORE, PIECE_S, VirtualMicrophone
from realtime.errors import DeviceError

START = 60 * NS


class Hands:
    """A clock that waiting moves; after `seconds` it unblocks."""

    def __init__(self, seconds: float, late: Callable[[int], float] = lambda i: 0.0) -> None:
        self.late = late  # how much longer than asked for the i-th wait takes, in seconds
        self.now, self.end = START, START + round(seconds * NS)
        self.stop: Callable[[], None] = lambda: None
        self.states: list[str] = []
        self.state: Callable[[], str] = lambda: ""

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.states.append(self.state())
        self.now += max(round((seconds + self.late(len(self.states))) * NS), 0)
        if self.now >= self.end:
            self.stop()
        return False


def spoken(
    *devices: FakeOutput | DeviceError, seconds: float = 3.0, late: Callable[[int], float] = lambda i: 0.0
) -> tuple[VirtualMicrophone, Hands]:
    voice = filled(clicks([1.0, 2.0], 4.0, 48_000), 48_000, START)
    script = iter(devices)

    def open_output() -> FakeOutput:
        device = next(script, DeviceError("no such cable"))
        if isinstance(device, Exception):
            raise device
        return device

    hands = Hands(seconds, late)
    microphone = VirtualMicrophone(
        DelayLine(voice, lambda: 0.25), open_output=open_output, clock=hands, wait=hands.wait
    )
    hands.stop, hands.state = microphone.unblock, lambda: microphone.state
    microphone.run()
    microphone.close()
    microphone.close()
    return microphone, hands


def test_the_voice_is_heard_when_the_mouth_is_seen() -> None:
    device = FakeOutput(latency_s=0.04)
    microphone, _ = spoken(device)
    sound = np.concatenate(device.written)
    assert len(sound) == pytest.approx(3.0 * HEARD_HZ, rel=0.01)
    # A piece's beginning is 10 ms old when it is written, and that is 40 ms before it is heard.
    assert onsets(sound, HEARD_HZ) == pytest.approx([1.20, 2.20], abs=0.001)
    assert (device.closed, microphone.lost, microphone.name, microphone.state) == (1, 0, "fake cable", "ok")


def test_a_full_device_is_counted() -> None:
    microphone, _ = spoken(FakeOutput(full_at=5))
    assert microphone.lost == 1


def test_a_cable_that_is_gone_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    first, second = FakeOutput(gone_at=80), FakeOutput()
    microphone, hands = spoken(first, DeviceError("not yet"), second)
    assert (first.closed, second.closed) == (1, 1)
    assert "fake cable is gone: waiting for it" in hands.states
    assert microphone.state == "ok"
    assert sum("is gone" in record.getMessage() for record in caplog.records) == 1
    assert onsets(np.concatenate(second.written), HEARD_HZ) == pytest.approx([0.45], abs=0.05)


def test_a_thread_that_comes_late_gives_the_device_more_to_hold() -> None:
    steady, hurried = FakeOutput(latency_s=0.01), FakeOutput(latency_s=0.01)
    once, _ = spoken(steady, late=lambda i: 0.03 if i == 60 else 0.0)
    often, _ = spoken(hurried, late=lambda i: 0.03 if i % 20 == 0 else 0.0)
    assert once.dry == 1
    assert often.dry > 9
    lengths = [sum(map(len, device.written)) / HEARD_HZ for device in (steady, hurried)]
    assert lengths[1] - lengths[0] == pytest.approx(MOST_MORE * PIECE_S, abs=0.006)


def test_one_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(DeviceError, match="no such cable"):
        spoken()
