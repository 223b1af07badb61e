"""This machine's sound devices: the sound server's tools, a real server where one runs, PortAudio through a script."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import onsets, tone

from realtime.audio.microphone import SoundDeviceGone
from realtime.audio.sound_devices import (
    LABEL,
    NullSink,
    PortAudioInput,
    PortAudioOutput,
    PulseCable,
    PulseInput,
    PulseOutput,
    find_cable,
    microphone_lines,
    portaudio_names,
    pulse_microphones,
    run_tool,
    sound_checks,
)
from realtime.audio.source import HEARD_HZ
from realtime.errors import DeviceError
from realtime.frame import Floats

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tools are Linux's")


def tool(folder: Path, body: str) -> tuple[str, ...]:
    path = folder / "tool.py"
    path.write_text("import os, sys, struct, time\n" + body, encoding="utf-8")
    return (sys.executable, str(path))


@linux
def test_samples_come_whole_however_the_pipe_cuts_them(tmp_path: Path) -> None:
    made = tone(440, 0.1, HEARD_HZ)
    (tmp_path / "sound").write_bytes(made.tobytes())
    body = (
        f"data = open({str(tmp_path / 'sound')!r}, 'rb').read()\n"
        "for i in range(0, len(data), 1001): os.write(1, data[i:i + 1001])\n"
    )
    mic = PulseInput(None, tool(tmp_path, body))
    got = []
    while sum(map(len, got)) < len(made):
        piece = mic.read(60.0)
        assert piece is not None
        got.append(piece)
    with pytest.raises(SoundDeviceGone, match="the default microphone is gone"):
        mic.read(60.0)
    mic.close()
    mic.close()
    np.testing.assert_array_equal(np.concatenate(got), made)


@linux
def test_the_tool_is_asked_for_what_we_want(tmp_path: Path) -> None:
    mic = PulseInput("usb", tool(tmp_path, "os.write(2, ' '.join(sys.argv[1:]).encode()); sys.exit(1)\n"))
    with pytest.raises(SoundDeviceGone) as gone:
        mic.read(60.0)
    mic.close()
    line = str(gone.value)
    for word in ("usb is gone", "--raw", "--format=float32le", "--rate=48000", "--channels=1", "--device=usb"):
        assert word in line
    assert "\n" not in line


@linux
def test_nothing_in_time_is_none(tmp_path: Path) -> None:
    mic = PulseInput(None, tool(tmp_path, "time.sleep(60)\n"))
    assert mic.read(0.01) is None
    mic.close()


@linux
def test_what_is_spoken_arrives_and_nothing_queues_up(tmp_path: Path) -> None:
    target = tmp_path / "heard"
    out = PulseOutput("cable", tool(tmp_path, f"open({str(target)!r}, 'wb').write(sys.stdin.buffer.read(1920 * 4))\n"))
    piece = tone(440, 0.02, HEARD_HZ)
    taken = [out.write(piece) for _ in range(2)]
    assert all(taken)
    out._process.wait(60)
    np.testing.assert_array_equal(np.frombuffer(target.read_bytes(), np.float32), np.tile(piece, 2))
    with pytest.raises(SoundDeviceGone, match="cable is gone"):
        out.write(piece)
    out.close()
    stuck = PulseOutput("cable", tool(tmp_path, "time.sleep(60)\n"))
    taken = [stuck.write(piece) for _ in range(50)]
    assert 2 <= sum(taken) <= 4
    assert stuck.latency_s < 0.15
    stuck.close()
    stuck.close()


class Server:
    """pactl, faked: keeps what was loaded."""

    def __init__(self, sources: Sequence[str] = (), sinks: Sequence[str] = (), fail: str = "") -> None:
        self.lists, self.fail = {"sources": list(sources), "sinks": list(sinks)}, fail
        self.loaded: dict[str, list[str]] = {}

    def __call__(self, command: Sequence[str]) -> str:
        assert command[0] == "pactl"
        if command[1] == "list":
            return "".join(
                f"{i}\t{name}\tmodule\ts16le 2ch 44100Hz\tIDLE\n" for i, name in enumerate(self.lists[command[3]])
            )
        if command[1] == "load-module":
            if command[2] == self.fail:
                raise DeviceError("Failure: Module initialization failed")
            number = str(20 + len(self.loaded))
            self.loaded[number] = list(command[2:])
            return number + "\n"
        assert command[1] == "unload-module"
        del self.loaded[command[2]]
        return ""


def test_microphones_are_neither_loudspeakers_nor_our_own() -> None:
    server = Server(["usb-mic", "speakers.monitor", "masquerade_voice", "built in"])
    assert pulse_microphones(server) == ["usb-mic", "built in"]


def test_the_virtual_microphone_is_made_named_and_taken_away() -> None:
    server = Server(["usb-mic"])
    sink = NullSink(server)
    assert [arguments[0] for arguments in server.loaded.values()] == ["module-null-sink", "module-remap-source"]
    assert all(any(LABEL in argument for argument in arguments) for arguments in server.loaded.values())
    assert (sink.sink, sink.source) == ("masquerade", "masquerade_voice")
    sink.close()
    sink.close()
    assert not server.loaded


def test_one_left_behind_is_used_again_and_left() -> None:
    server = Server(["masquerade_voice"], ["masquerade"])
    NullSink(server).close()
    assert not server.loaded


@linux
def test_a_cable_made_for_it_is_closed_with_it(tmp_path: Path) -> None:
    server = Server()
    out = PulseCable(tool(tmp_path, "sys.stdin.buffer.read()\n"), server)
    assert out.name == f"masquerade_voice ({LABEL})"
    assert out.write(np.zeros(5, np.float32))
    out.close()
    out.close()
    assert not server.loaded
    with pytest.raises(DeviceError, match="is missing"):
        PulseCable(("no-such-tool-of-ours",), server)
    assert not server.loaded


def test_half_a_virtual_microphone_is_taken_away() -> None:
    server = Server(fail="module-remap-source")
    with pytest.raises(DeviceError):
        NullSink(server)
    assert not server.loaded


def test_a_tool_that_fails_is_one_line() -> None:
    for command in (["no-such-tool-of-ours"], [sys.executable, "-c", "import sys; sys.exit('no\\nserver')"]):
        with pytest.raises(DeviceError) as failed:
            run_tool(command)
        assert "\n" not in str(failed.value)


def _server_runs() -> bool:
    if not all(shutil.which(name) for name in ("pactl", "parec", "pacat")):
        return False
    return subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _server_runs(), reason="no sound server runs here")
def test_on_a_real_server_what_is_spoken_is_heard_in_the_virtual_microphone() -> None:
    sink = NullSink()
    out, mic = PulseOutput(sink.sink), PulseInput(sink.source)
    burst = np.zeros(HEARD_HZ // 50, np.float32)
    burst[: HEARD_HZ // 200] = tone(1000, 0.005, HEARD_HZ, 0.9)
    heard, spoken = [], 0
    try:
        for _ in range(3000):
            piece = mic.read(0.02)
            if piece is None:
                continue
            heard.append(piece)
            so_far = sum(map(len, heard))
            while spoken * len(burst) < so_far + 2 * len(burst):  # at the server's own pace
                spoken += 1
                out.write(burst if spoken % 50 == 25 else np.zeros_like(burst))
            if so_far > 4 * HEARD_HZ:
                break
        names = run_tool(["pactl", "list", "short", "sources"])
        assert "masquerade_voice" in names
        assert "masquerade_voice" not in pulse_microphones()
        assert len(onsets(np.concatenate(heard), HEARD_HZ, 0.2)) >= 2
    finally:
        mic.close()
        out.close()
        sink.close()
    assert "masquerade_voice" not in run_tool(["pactl", "list", "short", "sources"])


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


def no_server() -> list[str]:
    raise DeviceError("pactl is missing: sudo apt install pulseaudio-utils")


def no_cable() -> str | None:
    raise DeviceError("the sound devices can't be asked: restart the sound system")


def test_all_is_well() -> None:
    found = list(sound_checks(lambda: ["usb", "built in"], lambda: "BlackHole 2ch"))
    assert found == [
        ("microphone: usb, built in", None),
        ("virtual microphone: BlackHole 2ch", None),
        ("voice detection", None),
    ]


def test_what_is_missing_is_said_with_how_to_mend_it() -> None:
    for microphones, cable, says in (
        (no_server, no_cable, ("pulseaudio-utils", "restart")),
        (lambda: [], lambda: None, ("--sound FILE", "no virtual microphone")),
    ):
        found = list(sound_checks(microphones, cable))
        assert [mend is None for _, mend in found] == [False, False, True]
        for (_, mend), word in zip(found, says, strict=False):
            assert mend is not None
            assert word in mend
            assert "\n" not in mend


def test_on_this_machine_asking_never_fails() -> None:
    assert len(list(sound_checks())) == 3
    assert microphone_lines()
