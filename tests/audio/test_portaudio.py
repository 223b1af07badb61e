"""PortAudio's devices, through a driver that is a script. No device of macOS or Windows was tried with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from sounds import tone

from realtime.audio.microphone import SoundDeviceGone
from realtime.audio.sound_devices import PortAudioInput, PortAudioOutput, find_cable, portaudio_names
from realtime.errors import DeviceError
from realtime.frame import Floats

DEVICES = [
    {"name": "Built-in Microphone", "max_input_channels": 1, "max_output_channels": 0, "default_samplerate": 44_100.0},
    {"name": "Speakers", "max_input_channels": 0, "max_output_channels": 2, "default_samplerate": 48_000.0},
    {"name": "BlackHole 2ch", "max_input_channels": 2, "max_output_channels": 2, "default_samplerate": 48_000.0},
]


class PortAudioError(Exception):
    """As the driver's."""


class Stream:
    """Gives the scripted pieces, takes `room` samples a time."""

    latency = 0.012

    def __init__(self, driver: "Driver", options: Mapping[str, Any]) -> None:
        self.driver, self.options = driver, options
        self.active = True
        self.closed = 0
        self.written: list[Floats] = []

    def start(self) -> None:
        if self.options.get("device") == "broken":
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    @property
    def read_available(self) -> int:
        return self.driver.pieces[0] if self.driver.pieces else 0

    def read(self, count: int) -> tuple[Floats, bool]:
        assert count == self.driver.pieces.pop(0)
        return tone(440, count / 44_100, 44_100)[:count, None], False

    @property
    def write_available(self) -> int:
        return self.driver.room

    def write(self, samples: Floats) -> None:
        if self.driver.gone:
            raise PortAudioError("Stream is stopped [PaErrorCode -9983]")
        assert samples.shape[1] == 1
        assert samples.flags.c_contiguous
        self.written.append(samples[:, 0])

    def close(self) -> None:
        self.closed += 1


class Driver:
    """The module sounddevice, as far as it is used."""

    PortAudioError = PortAudioError

    def __init__(self, pieces: Sequence[int] = (), room: int = 960) -> None:
        self.pieces, self.room, self.gone = list(pieces), room, False
        self.opened: list[Stream] = []

    def query_devices(self, device: str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return DEVICES
        if device == "nowhere":
            raise ValueError("No input device matching 'nowhere'")
        return DEVICES[0]

    def _stream(self, **options: Any) -> Stream:
        self.opened.append(Stream(self, options))
        return self.opened[-1]

    InputStream = OutputStream = _stream


def test_devices_are_named_and_the_cable_found() -> None:
    driver = Driver()
    assert portaudio_names("input", driver) == ["Built-in Microphone", "BlackHole 2ch"]
    assert portaudio_names("output", driver) == ["Speakers", "BlackHole 2ch"]
    assert find_cable(driver) == "BlackHole 2ch"


def test_a_microphone_is_read_at_its_own_rate_as_it_comes() -> None:
    driver = Driver([441, 100])
    mic = PortAudioInput(None, driver)
    assert (mic.rate_hz, mic.latency_s) == (44_100, 0.012)
    assert driver.opened[0].options["channels"] == 1
    first, second = mic.read(0.1), mic.read(0.1)
    assert first is not None
    assert second is not None
    assert (len(first), len(second)) == (441, 100)
    assert mic.read(0.01) is None
    driver.opened[0].active = False
    with pytest.raises(SoundDeviceGone, match="plugged in"):
        mic.read(0.01)
    mic.close()
    mic.close()
    assert driver.opened[0].closed == 2


@pytest.mark.parametrize("device", ["nowhere", "broken"])
def test_one_that_cannot_be_opened_is_one_line(device: str) -> None:
    with pytest.raises(DeviceError) as refused:
        PortAudioInput(device, Driver())
    assert device in str(refused.value)
    assert "\n" not in str(refused.value)
    if device == "broken":
        with pytest.raises(DeviceError, match="48000"):
            PortAudioOutput(device, Driver())


def test_a_cable_takes_what_it_has_room_for() -> None:
    driver = Driver(room=960)
    out = PortAudioOutput("BlackHole 2ch", driver)
    assert out.write(np.ones(960, np.float32))
    assert not out.write(np.ones(1000, np.float32))
    assert [len(piece) for piece in driver.opened[0].written] == [960, 960]
    assert out.write(np.zeros(0, np.float32))
    driver.gone = True
    with pytest.raises(SoundDeviceGone, match="BlackHole"):
        out.write(np.ones(10, np.float32))
    out.close()
    out.close()
