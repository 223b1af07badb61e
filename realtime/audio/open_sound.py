"""From the user's `--sound` words to an open source, and what this machine has to hear and speak with."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from realtime.audio.microphone import InputDevice, Microphone, OpenInput, OutputDevice
from realtime.audio.sound_file import PacedSound, SoundFile
from realtime.audio.source import SoundSource
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError, DeviceError

FORMS = "mic, mic:NAME or a sound or video file"


def is_microphone(spec: str) -> bool:
    """True where `--sound` means a microphone."""
    return spec == "mic" or spec.startswith("mic:")


def check_sound(spec: str) -> None:
    """Refuse what can't be a sound, before anything is opened. Raises ConfigError."""
    if is_microphone(spec) and spec != "mic:":
        return
    if spec in ("", "mic:"):
        raise ConfigError(f"sound {spec!r}: use {FORMS}")
    SoundFile(Path(spec)).close()


def open_sound(
    spec: str, *, loop: bool = False, clock: Clock = now_ns, open_input: OpenInput | None = None
) -> SoundSource:
    """A live source: the microphone, or a file spoken in real time.

    For a file whose pictures are all processed use `SoundFile` with `ReadAhead`. `open_input` stands in for this
    system's own way to its microphones. Raises ConfigError, DeviceError.
    """
    check_sound(spec)
    if is_microphone(spec):
        return Microphone(spec[4:] or None, open_input=open_input or open_microphone, clock=clock)
    return PacedSound(lambda: SoundFile(Path(spec)), loop=loop, clock=clock)


def has_sound_server(find: Callable[[str], str | None] = shutil.which, platform: str = sys.platform) -> bool:
    """True on a Linux with the tools of PulseAudio or PipeWire."""
    return platform.startswith("linux") and all(find(tool) for tool in ("pactl", "parec", "pacat"))


def open_microphone(device: str | None) -> InputDevice:
    """A microphone by its name or a part of it; the system's own choice for None. Raises DeviceError."""
    if has_sound_server():
        from realtime.audio.pulse import PulseInput

        return PulseInput(_full_name(device, microphones()))
    from realtime.audio.portaudio import PortAudioInput

    return PortAudioInput(_full_name(device, microphones()))


def _full_name(asked: str | None, known: list[str]) -> str | None:
    if asked is None or asked in known:
        return asked
    near = [name for name in known if asked.lower() in name.lower()]
    if len(near) == 1:
        return near[0]
    have = ", ".join(near or known) or "none"
    raise DeviceError(f"microphone {asked!r} is {'not clear' if near else 'not there'}: known are {have}")


def microphones() -> list[str]:
    """The names of the sound inputs; never our own virtual microphone. Raises DeviceError."""
    if has_sound_server():
        from realtime.audio import pulse

        return pulse.microphones()
    from realtime.audio import portaudio

    return [name for name in portaudio.names("input") if not any(c.lower() in name.lower() for c in portaudio.CABLES)]


def open_virtual_microphone() -> OutputDevice:
    """What a video call picks as its microphone, ready to be spoken into. Raises DeviceError with what to install."""
    if has_sound_server():
        from realtime.audio.pulse import NullSink, PulseOutput
        from realtime.audio.virtual_microphone import OwnedOutput

        sink = NullSink()
        try:
            return OwnedOutput(PulseOutput(sink.sink), sink, f"{sink.source} (masquerade AI voice)")
        except BaseException:
            sink.close()
            raise
    from realtime.audio import portaudio

    cable = portaudio.find_cable()
    if cable is None:
        raise DeviceError(how_to_get_one())
    return portaudio.PortAudioOutput(cable)


def how_to_get_one(platform: str = sys.platform) -> str:
    """What to install for a virtual microphone."""
    if platform.startswith("linux"):
        return "no virtual microphone: sudo apt install pulseaudio-utils (it works with PipeWire too)"
    if platform == "darwin":
        return "no virtual microphone: brew install blackhole-2ch, then start the programs again"
    return "no virtual microphone: install VB-CABLE (vb-audio.com/Cable), then restart"
