"""A microphone that is unplugged, muted, too loud, or silent: one line, and sound again when it is back."""

import numpy as np
import pytest
from sounds import NS, Devices, FakeInput, tone

from realtime.audio.microphone import MUTE_S, SILENT_S, Microphone, SoundDeviceGone
from realtime.errors import DeviceError

PIECE = tone(300, 0.02, 48_000)


class Hands:
    """A clock that runs 20 ms with each reading, and a wait that only advances it."""

    def __init__(self, step_s: float = 0.02) -> None:
        self.now, self.step, self.waits = 100 * NS, round(step_s * NS), 0

    def __call__(self) -> int:
        self.now += self.step
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        self.now += round(seconds * NS)
        return False


def opened(*devices: FakeInput | DeviceError, hands: Hands | None = None, name: str | None = None) -> Microphone:
    hands = hands or Hands()
    return Microphone(name, open_input=Devices(*devices), clock=hands, wait=hands.wait)


def test_blocks_are_stamped_with_the_moment_of_their_first_sample() -> None:
    hands = Hands()
    mic = opened(FakeInput([PIECE, PIECE], latency_s=0.03), hands=hands)
    block = mic.read()
    assert block is not None
    assert block.start_ns == hands.now - round(0.05 * NS)
    assert (block.rate_hz, mic.live, mic.state, mic.name) == (48_000, True, "ok", "fake microphone")
    np.testing.assert_array_equal(block.samples, PIECE)
    assert not block.samples.flags.writeable
    mic.close()
    mic.close()


def test_an_unplugged_microphone_is_waited_for() -> None:
    hands = Hands()
    first, second = FakeInput([PIECE, SoundDeviceGone("pulled")]), FakeInput([PIECE])
    mic = opened(first, DeviceError("not yet"), DeviceError("not yet"), second, hands=hands, name="usb")
    assert mic.read() is not None
    block = mic.read()
    assert block is not None
    assert block.start_ns > 101 * NS
    assert (mic.losses, first.closed, hands.waits) == (1, 1, 3)
    assert mic.state == "ok"
    mic.close()
    assert second.closed == 1


def test_while_it_is_gone_it_says_so() -> None:
    hands = Hands()
    mic = opened(FakeInput([SoundDeviceGone("pulled")]), hands=hands)
    states = []

    def wait(seconds: float) -> bool:
        states.append(mic.state)
        if len(states) == 5:
            mic.unblock()
        return False

    mic._wait = wait
    assert mic.read() is None
    assert set(states) == {"fake microphone is gone: waiting for it"}
    mic.close()


def test_one_that_sends_nothing_is_opened_again() -> None:
    nothing: list[None] = [None] * round(SILENT_S / 0.02 + 5)
    first = FakeInput(nothing)
    mic = opened(first, FakeInput([PIECE]))
    assert mic.read() is not None
    assert (mic.losses, first.closed) == (1, 1)
    mic.close()


def test_pure_silence_is_worth_a_word_and_sound_takes_it_back() -> None:
    count = round(MUTE_S / 0.02) + 3
    mic = opened(FakeInput([np.zeros(960, np.float32)] * count + [PIECE]))
    for _ in range(count):
        assert mic.read() is not None
    assert "pure silence" in mic.state
    mic.read()
    assert mic.state == "ok"
    mic.close()


def test_distortion_is_worth_a_word() -> None:
    mic = opened(FakeInput([np.clip(PIECE * 5, -1, 1), np.full(960, np.nan, np.float32), PIECE]))
    mic.read()
    assert "lower its level" in mic.state
    mic.read()
    mic.read()
    assert mic.state == "ok"
    mic.close()


def test_one_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(DeviceError, match="no such"):
        opened(DeviceError("no such microphone"))


def test_unblocking_ends_the_reading() -> None:
    mic = opened(FakeInput([PIECE] * 5))
    mic.unblock()
    assert mic.read() is None
    mic.close()
