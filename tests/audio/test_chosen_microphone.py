"""Another microphone in the middle of a sentence."""

import numpy as np
import pytest
from fakes import FakeClock
from pages import switches

from realtime.audio.microphone import Microphone, SelectableMicrophone
from realtime.errors import ConfigError, DeviceError
from realtime.frame import Floats
from realtime.web.controls import LiveDevices


class Level:
    """A microphone that hears one loudness for ever."""

    rate_hz = 48_000
    latency_s = 0.0

    def __init__(self, name: str, level: float) -> None:
        self.name, self._level, self.closed = name, level, 0

    def read(self, timeout_s: float) -> Floats:
        return np.full(480, self._level, np.float32)

    def close(self) -> None:
        self.closed += 1


def test_another_choice_is_listened_to_at_once_and_the_old_one_let_go() -> None:
    opened: list[Level] = []

    def open_input(device: str | None) -> Level:
        if device == "broken":
            raise DeviceError("microphone broken cannot be opened")
        opened.append(Level(device or "the system's", {"desk": 0.5, None: 0.1}[device]))
        return opened[-1]

    chosen = SelectableMicrophone(open_input)
    assert (chosen.name, chosen.level) == (None, 0.0)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) > 2:
            chosen.select("desk")  # the broken one was looked for in vain
        return False

    microphone = Microphone(None, open_input=chosen.open, clock=FakeClock(), wait=wait)
    live = LiveDevices(switches(microphone=chosen), list_microphones=lambda: ["desk", "broken"])
    block = microphone.read()
    assert block is not None
    assert block.samples[0] == np.float32(0.1)
    assert (chosen.name, round(chosen.level, 3)) == ("the system's", 0.1)
    live.choose_microphone("desk")
    block = microphone.read()
    assert block is not None
    assert block.samples[0] == np.float32(0.5)
    assert (chosen.name, live.report()["level"], opened[0].closed) == ("desk", 0.5, 1)
    waits.clear()
    live.choose_microphone("broken")
    block = microphone.read()
    assert block is not None
    assert chosen.name == "desk"
    assert len(waits) == 3
    with pytest.raises(ConfigError, match="no such microphone"):
        live.choose_microphone("mic; rm")
    with pytest.raises(ConfigError, match="--sound mic"):
        LiveDevices(switches()).choose_microphone("desk")
    microphone.close()
    assert chosen.level == 0.0


def test_a_system_that_does_not_tell_has_no_list() -> None:
    def silent() -> list[str]:
        raise DeviceError("no sound here")

    live = LiveDevices(
        switches(microphone=SelectableMicrophone(lambda device: Level("x", 0))),
        list_cameras=lambda: [],
        find_camera=lambda: "x",
        list_microphones=silent,
    )
    assert live.listed()["microphones"] == []
