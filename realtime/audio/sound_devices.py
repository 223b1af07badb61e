"""Which microphones this machine has, and the virtual one: PulseAudio and PipeWire on Linux, PortAudio elsewhere.

Linux's sound server is reached through its own tools, `pactl`, `parec` and `pacat` (Debian's pulseaudio-utils), which
speak to PulseAudio and to PipeWire alike and end or are ended as processes. The library soundcard was tried instead:
its `record` cannot be interrupted while a device is silent, and libpulse aborts the whole program when a list is asked
for after the server ended (docs/decisions/0028).
"""

import contextlib
import importlib.util
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from realtime.audio.microphone import InputDevice, SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.audio.vad import open_vad
from realtime.audio.virtual_microphone import OutputDevice
from realtime.errors import DeviceError, MasqueradeError, pip_install
from realtime.frame import Floats
from realtime.threads import Event

with contextlib.suppress(ImportError):  # Windows has neither, and no sound server
    import fcntl
    import termios

INSTALL = "sudo apt install pulseaudio-utils"
IN_LATENCY_S = 0.010
OUT_LATENCY_S = 0.020
HELD = 0.75
"""Of the latency asked for, what the server itself holds: it asks for more when a quarter is played. Measured with
PulseAudio 16: from `write` to a recording of the monitor 2 to 4 ms more than this and what waits in the pipe."""

_MOST_BYTES = 4 * HEARD_HZ  # a second
_MOST_WAITING_S = 0.040  # a pacat that starts, or a server that was slow, may have so much to take

OURS = "masquerade"  # the name of our null sink; its monitor is the virtual microphone
LABEL = "masquerade AI voice"

CABLES = ("BlackHole", "CABLE Input", "VB-Cable", "Loopback Audio")
"""Virtual cables by the names they have as a loudspeaker: BlackHole (macOS), VB-Audio's CABLE (Windows, macOS)."""

_LOOK_S = 0.005

Run = Callable[[Sequence[str]], str]  # a command -> what it printed. Raises DeviceError.


def has_sound_server(find: Callable[[str], str | None] = shutil.which, platform: str = sys.platform) -> bool:
    """True on a Linux with the tools of PulseAudio or PipeWire."""
    return platform.startswith("linux") and all(find(tool) for tool in ("pactl", "parec", "pacat"))


def microphones() -> list[str]:
    """The names of the sound inputs; never our own virtual microphone. Raises DeviceError."""
    if has_sound_server():
        return pulse_microphones()
    return [name for name in portaudio_names("input") if not _is_cable(name)]


def open_microphone(device: str | None) -> InputDevice:
    """A microphone by its name or a part of it; the system's own choice for None. Raises DeviceError."""
    name = full_name(device, microphones())
    return PulseInput(name) if has_sound_server() else PortAudioInput(name)


def full_name(asked: str | None, known: list[str]) -> str | None:
    """The device that `asked` is a part of. Raises DeviceError where that is none, or several."""
    if asked is None or asked in known:
        return asked
    near = [name for name in known if asked.lower() in name.lower()]
    if len(near) == 1:
        return near[0]
    have = ", ".join(near or known) or "none"
    raise DeviceError(f"microphone {asked!r} is {'not clear' if near else 'not there'}: known are {have}")


def open_virtual_microphone() -> OutputDevice:
    """The virtual cable that a video call picks as its microphone. Raises DeviceError with what to install."""
    if has_sound_server():
        return PulseCable()
    cable = find_cable()
    if cable is None:
        raise DeviceError(how_to_get_one())
    return PortAudioOutput(cable)


def how_to_get_one(platform: str = sys.platform) -> str:
    """What to install for a virtual microphone."""
    if platform.startswith("linux"):
        return f"no virtual microphone: {INSTALL} (it works with PipeWire too)"
    if platform == "darwin":
        return "no virtual microphone: brew install blackhole-2ch, then start the programs again"
    return "no virtual microphone: install VB-CABLE (vb-audio.com/Cable), then restart"


def sound_checks(
    list_microphones: Callable[[], list[str]] = microphones, find_virtual: Callable[[], str | None] | None = None
) -> Iterator[tuple[str, str | None]]:
    """What lip-sync needs, for `doctor`: what was looked at, and how to mend it (None: it is well)."""
    try:
        names = ", ".join(list_microphones())
        missing = "none found: plug one in, or use --sound FILE"
        yield (f"microphone: {names}", None) if names else ("microphone", missing)
    except MasqueradeError as error:
        yield "microphone", str(error)
    try:
        cable = (find_virtual or _virtual_microphone)()
        yield (f"virtual microphone: {cable}", None) if cable else ("virtual microphone", how_to_get_one())
    except MasqueradeError as error:
        yield "virtual microphone", str(error)
    try:
        open_vad().close()
        yield "voice detection", None
    except MasqueradeError as error:
        yield "voice detection", str(error)


def _virtual_microphone() -> str | None:
    """The virtual cable that is there or can be made. Raises DeviceError."""
    if has_sound_server():
        run_tool(["pactl", "info"])  # a server that answers can make one
        return f"{LABEL} (made while it is used)"
    return find_cable()


def microphone_lines() -> list[str]:
    """For `masquerade devices`: the names, or one line that says what to install."""
    try:
        return microphones() or ["none"]
    except MasqueradeError as error:
        return [f"unknown: {error}"]


# PulseAudio and PipeWire


def run_tool(command: Sequence[str]) -> str:
    """What a tool prints. Raises DeviceError in one line where it is missing or fails."""
    if shutil.which(command[0]) is None:
        raise DeviceError(f"{command[0]} is missing: {INSTALL}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=5.0, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(
            f"the sound server does not answer {command[0]}: is PulseAudio or PipeWire running?"
        ) from error
    if done.returncode:
        why = _line(done.stderr) or f"exit code {done.returncode}"
        raise DeviceError(f"{' '.join(command[:3])}: {why}: is PulseAudio or PipeWire running?")
    return done.stdout


def _names(kind: str, run: Run) -> list[str]:
    # The columns of the short list are the same in PulseAudio and PipeWire.
    rows = [line.split("\t") for line in run(["pactl", "list", "short", kind]).splitlines()]
    return [row[1] for row in rows if len(row) > 1]


def pulse_microphones(run: Run = run_tool) -> list[str]:
    """The names of the sound inputs; not what loudspeakers play, and not our own virtual microphone."""
    return [name for name in _names("sources", run) if not name.endswith(".monitor") and OURS not in name]


class _Tool:
    """A running `parec` or `pacat` at our end of a pipe."""

    def __init__(self, name: str, command: Sequence[str], latency_s: float, device: str | None, **pipes: int) -> None:
        self.name = name
        self._rest = b""
        if shutil.which(command[0]) is None:
            raise DeviceError(f"{command[0]} is missing: {INSTALL}")
        options = ["--raw", "--format=float32le", f"--rate={HEARD_HZ}", "--channels=1", f"--client-name={OURS}"]
        options += [f"--latency-msec={round(latency_s * 1000)}", "--stream-name=voice"]
        options += [f"--device={device}"] if device else []
        self._process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, bufsize=0, **pipes)  # type: ignore[call-overload]

    def _gone(self) -> SoundDeviceGone:
        """The tool ended: one line out of what it said before."""
        said, errors = b"", self._process.stderr
        if errors is not None and select.select([errors], [], [], 0.2)[0]:
            said = os.read(errors.fileno(), 4096)
        why = _line(said.decode("utf-8", "replace"))[:200]
        reason = f" ({why})" if why else ""
        return SoundDeviceGone(f"{self.name} is gone{reason}: is it plugged in, and the sound server running?")

    def close(self) -> None:
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class PulseInput(_Tool):
    """A microphone read through `parec`. Obeys `InputDevice`."""

    latency_s = IN_LATENCY_S
    rate_hz = HEARD_HZ

    def __init__(self, device: str | None, tool: Sequence[str] = ("parec",)) -> None:
        super().__init__(device or "the default microphone", tool, IN_LATENCY_S, device, stdout=subprocess.PIPE)

    def read(self, timeout_s: float) -> Floats | None:
        """All that arrived. Raises SoundDeviceGone when `parec` ended."""
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], timeout_s)[0]:
            return None
        got = os.read(stream.fileno(), _MOST_BYTES)
        if not got:
            raise self._gone()
        data = self._rest + got
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], "<f4").astype(np.float32)


class PulseOutput(_Tool):
    """A sink played into through `pacat`, never waited for. Obeys `OutputDevice`."""

    def __init__(self, sink: str, tool: Sequence[str] = ("pacat", "--playback")) -> None:
        super().__init__(sink, tool, OUT_LATENCY_S, sink, stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    @property
    def latency_s(self) -> float:
        """What the server holds, and what waits in the pipe."""
        return HELD * OUT_LATENCY_S + self._waiting() / (4 * HEARD_HZ)

    def _waiting(self) -> int:
        answer = fcntl.ioctl(self._pipe, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(answer, sys.byteorder)

    def write(self, samples: Floats) -> bool:
        """Hand samples over; what the server does not take in time is thrown away, so that nothing queues up."""
        if self._process.poll() is not None:
            raise self._gone()
        if self._waiting() > _MOST_WAITING_S * 4 * HEARD_HZ:
            return False
        data = self._rest + samples.astype("<f4").tobytes()
        try:
            taken = os.write(self._pipe, data) if data else 0
        except BlockingIOError:
            taken = 0
        except OSError as error:
            raise self._gone() from error
        # A sample begun must be ended, or all that follow would be shifted by some bytes.
        self._rest = data[taken : -(-taken // 4) * 4]
        return taken == len(data)


class NullSink:
    """A sink of our own whose monitor is a microphone to every other program; gone when closed.

    `sink` is what to play into, `source` what other programs record from. One that is left from a run that was killed
    is used again.
    """

    def __init__(self, run: Run = run_tool) -> None:
        self.sink, self.source = OURS, f"{OURS}_voice"
        self._run = run
        self._modules: list[str] = []
        sinks, sources = _names("sinks", run), _names("sources", run)
        try:
            if self.sink not in sinks:
                self._load("module-null-sink", f"sink_name={self.sink}", "rate=48000", "channels=1", _label("sink"))
            # Video calls hide the monitors of loudspeakers: so the monitor once more, as a microphone.
            if self.source not in sources:
                master = f"master={self.sink}.monitor"
                self._load("module-remap-source", master, f"source_name={self.source}", _label("source"))
        except BaseException:
            self.close()
            raise

    def _load(self, *arguments: str) -> None:
        self._modules.append(self._run(["pactl", "load-module", *arguments]).strip())

    def close(self) -> None:
        """Take it away again. May be called twice."""
        while self._modules:
            number = self._modules.pop()
            with contextlib.suppress(DeviceError):  # the server itself may be gone
                self._run(["pactl", "unload-module", number])


class PulseCable(PulseOutput):
    """A null sink of our own, played into: closed together."""

    def __init__(self, tool: Sequence[str] = ("pacat", "--playback"), run: Run = run_tool) -> None:
        self._sink = NullSink(run)
        try:
            super().__init__(self._sink.sink, tool)
        except BaseException:
            self._sink.close()
            raise
        self.name = f"{self._sink.source} ({LABEL})"

    def close(self) -> None:
        super().close()
        self._sink.close()


def _label(kind: str) -> str:
    """A name with spaces, as the server wants it: one pair of quotes for its arguments, one for the property."""
    return f"{kind}_properties=\"device.description='{LABEL}'\""


# PortAudio: macOS and Windows, where the package sounddevice brings it along; on Linux Debian's libportaudio2


def load_portaudio() -> Any:
    """The module sounddevice. Raises DeviceError with what to install."""
    if importlib.util.find_spec("sounddevice") is None:
        tools = f"{INSTALL}, or " if sys.platform.startswith("linux") else ""
        raise DeviceError(f"no way to the sound devices: {tools}{pip_install('sound')}")
    try:
        import sounddevice
    except OSError as error:  # PortAudio itself is missing
        raise DeviceError("PortAudio is missing: sudo apt install libportaudio2 (or pulseaudio-utils)") from error
    return sounddevice


def portaudio_names(kind: str, driver: Any = None) -> list[str]:
    """The names of the devices; `kind` is `input` or `output`. Raises DeviceError."""
    driver = driver or load_portaudio()
    try:
        return [str(device["name"]) for device in driver.query_devices() if device[f"max_{kind}_channels"] > 0]
    except (OSError, driver.PortAudioError) as error:
        raise DeviceError(f"the sound devices can't be asked ({_line(error)}): restart the sound system") from error


def find_cable(driver: Any = None) -> str | None:
    """The virtual cable to play into; None where there is none. Raises DeviceError."""
    return next(filter(_is_cable, portaudio_names("output", driver)), None)


def _is_cable(name: str) -> bool:
    return any(cable.lower() in name.lower() for cable in CABLES)


class _PortAudioStream:
    """An open stream of PortAudio, `kind` Input or Output. Raises a DeviceError that ends in `mend`."""

    def __init__(self, kind: str, device: str | None, rate_hz: int | None, driver: Any, mend: str) -> None:
        driver = driver or load_portaudio()
        self.name = device or "the default microphone"
        self._error = driver.PortAudioError
        try:
            self.rate_hz = rate_hz or round(driver.query_devices(device, "input")["default_samplerate"])
            options = {"channels": 1, "samplerate": self.rate_hz, "dtype": "float32", "latency": "low"}
            self._stream = getattr(driver, f"{kind}Stream")(device=device, **options)
            self._stream.start()
        except (ValueError, OSError, self._error) as error:
            raise DeviceError(f"{self.name}: {_line(error)}: {mend}") from error

    @property
    def latency_s(self) -> float:
        return float(self._stream.latency)

    def close(self) -> None:
        with contextlib.suppress(OSError, self._error):
            self._stream.close()


class PortAudioInput(_PortAudioStream):
    """A microphone, read as its samples come. Obeys `InputDevice`."""

    def __init__(self, device: str | None, driver: Any = None) -> None:
        allow = "choose another microphone (masquerade devices), and allow it in the system's privacy settings"
        super().__init__("Input", device, None, driver, allow)
        self._pause = Event()

    def read(self, timeout_s: float) -> Floats | None:
        """All that arrived. Raises SoundDeviceGone."""
        try:
            for _ in range(max(round(timeout_s / _LOOK_S), 1)):
                if not self._stream.active:
                    raise SoundDeviceGone(f"{self.name} is gone: is it plugged in?")
                count = self._stream.read_available
                if count > 0:
                    samples, _overflowed = self._stream.read(count)  # what overflowed shows as a gap in time
                    return np.array(samples[:, 0], np.float32)
                # A blocking read could never be ended where a driver hangs.
                self._pause.wait(_LOOK_S)
            return None
        except self._error as error:
            raise SoundDeviceGone(f"{self.name} is gone ({_line(error)}): is it plugged in?") from error


class PortAudioOutput(_PortAudioStream):
    """A virtual cable, written to as far as it takes samples. Obeys `OutputDevice`."""

    def __init__(self, device: str, driver: Any = None) -> None:
        super().__init__("Output", device, HEARD_HZ, driver, f"set it to {HEARD_HZ} Hz")

    def write(self, samples: Floats) -> bool:
        """Hand samples over; what it does not take is thrown away. Raises SoundDeviceGone."""
        try:
            room = self._stream.write_available
            if room > 0 and len(samples):
                self._stream.write(np.ascontiguousarray(samples[:room, None]))
            return bool(len(samples) <= room)
        except self._error as error:
            raise SoundDeviceGone(f"{self.name} is gone ({_line(error)}): is it still installed?") from error


def _line(error: object) -> str:
    return " ".join(str(error).split())
