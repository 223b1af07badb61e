"""Microphone and virtual microphone of Linux, through the sound server's own tools.

`pactl`, `parec` and `pacat` (Debian's pulseaudio-utils) speak to PulseAudio and to PipeWire alike; a library between
would be one more to install and adds nothing. Names come from `pactl list short`, whose columns are the same in both.
"""

import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence

import numpy as np

from realtime.audio.microphone import SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.errors import DeviceError
from realtime.frame import Floats

INSTALL = "sudo apt install pulseaudio-utils"
LATENCY_S = 0.010
OUT_LATENCY_S = 0.020
HELD = 0.75
"""Of the latency asked for, what the server itself holds: it asks for more when a quarter is played. Measured with
PulseAudio 16: from `write` to a recording of the monitor 2 to 4 ms more than this and what waits in the pipe."""
_MOST_BYTES = 4 * HEARD_HZ  # a second
_MOST_WAITING_S = 0.040  # a pacat that starts, or a server that was slow, may have so much to take

OURS = "masquerade"
"""The name of our null sink; its monitor is the virtual microphone."""

LABEL = "masquerade AI voice"

Run = Callable[[Sequence[str]], str]
"""A command -> what it printed. Raises DeviceError."""


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
        why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise DeviceError(f"{' '.join(command[:3])}: {why}: is PulseAudio or PipeWire running?")
    return done.stdout


def _names(kind: str, run: Run) -> list[str]:
    rows = [line.split("\t") for line in run(["pactl", "list", "short", kind]).splitlines()]
    return [row[1] for row in rows if len(row) > 1]


def microphones(run: Run = run_tool) -> list[str]:
    """The names of the sound inputs; not what loudspeakers play, and not our own virtual microphone."""
    return [name for name in _names("sources", run) if not name.endswith(".monitor") and OURS not in name]


class PulseInput:
    """`parec` at our end of a pipe."""

    latency_s = LATENCY_S
    rate_hz = HEARD_HZ

    def __init__(self, device: str | None, tool: Sequence[str] = ("parec",)) -> None:
        self.name = device or "the default microphone"
        self._rest = b""
        which = [f"--device={device}"] if device else []
        self._process = _start(
            [
                *(*tool, "--raw", "--format=float32le", f"--rate={HEARD_HZ}", "--channels=1"),
                *(f"--latency-msec={round(LATENCY_S * 1000)}", f"--client-name={OURS}", "--stream-name=voice", *which),
            ],
            stdout=subprocess.PIPE,
        )

    def read(self, timeout_s: float) -> Floats | None:
        """All that arrived. Raises SoundDeviceGone when `parec` ended."""
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], timeout_s)[0]:
            return None
        got = os.read(stream.fileno(), _MOST_BYTES)
        if not got:
            raise SoundDeviceGone(_last_words(self._process, self.name))
        data = self._rest + got
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], "<f4").astype(np.float32)

    def close(self) -> None:
        """End `parec`. May be called twice."""
        _end(self._process)


class PulseOutput:
    """`pacat` into a sink, never waited for."""

    def __init__(self, sink: str, tool: Sequence[str] = ("pacat", "--playback")) -> None:
        self.name = sink
        self._rest = b""
        self._process = _start(
            [
                *(*tool, "--raw", "--format=float32le", f"--rate={HEARD_HZ}", "--channels=1", f"--device={sink}"),
                *(f"--latency-msec={round(OUT_LATENCY_S * 1000)}", f"--client-name={OURS}", "--stream-name=voice"),
            ],
            stdin=subprocess.PIPE,
        )
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
            raise SoundDeviceGone(_last_words(self._process, self.name))
        if self._waiting() > _MOST_WAITING_S * 4 * HEARD_HZ:
            return False
        data = self._rest + samples.astype("<f4").tobytes()
        try:
            taken = os.write(self._pipe, data) if data else 0
        except BlockingIOError:
            taken = 0
        except OSError as error:
            raise SoundDeviceGone(_last_words(self._process, self.name)) from error
        # A sample begun must be ended, or all that follow would be shifted by some bytes.
        self._rest = data[taken : -(-taken // 4) * 4]
        return taken == len(data)

    def close(self) -> None:
        """End `pacat`. May be called twice."""
        _end(self._process)


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
                self._load(
                    "module-remap-source", f"master={self.sink}.monitor", f"source_name={self.source}", _label("source")
                )
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


def _label(kind: str) -> str:
    """A name with spaces, as the server wants it: one pair of quotes for its arguments, one for the property."""
    return f"{kind}_properties=\"device.description='{LABEL}'\""


def _start(command: Sequence[str], **pipes: int) -> "subprocess.Popen[bytes]":
    if shutil.which(command[0]) is None:
        raise DeviceError(f"{command[0]} is missing: {INSTALL}")
    return subprocess.Popen(command, stderr=subprocess.PIPE, bufsize=0, **pipes)  # type: ignore[call-overload, no-any-return]


def _last_words(process: "subprocess.Popen[bytes]", name: str) -> str:
    """One line out of what a tool said before it ended."""
    said = b""
    if process.stderr is not None and select.select([process.stderr], [], [], 0.2)[0]:
        said = os.read(process.stderr.fileno(), 4096)
    why = " ".join(said.decode("utf-8", "replace").split())[:200]
    return f"{name} is gone{f' ({why})' if why else ''}: is it plugged in, and the sound server running?"


def _end(process: "subprocess.Popen[bytes]") -> None:
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
