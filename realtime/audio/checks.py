"""What this machine has for sound, and how to mend what it lacks; nothing is made or changed by asking."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from realtime.audio.open_sound import has_sound_server, how_to_get_one, microphones
from realtime.audio.vad import open_gate
from realtime.errors import MasqueradeError


class SoundCheck(NamedTuple):
    """One thing looked at: what, whether it is well, and how to mend it if not."""

    what: str
    well: bool
    mend: str = ""


def sound_checks(
    list_microphones: Callable[[], list[str]] = microphones, find_cable: Callable[[], str | None] | None = None
) -> Iterator[SoundCheck]:
    """The microphones, the virtual microphone, and the network that hears speech. All for lip-sync."""
    yield _microphones(list_microphones)
    yield _virtual_microphone(find_cable or _cable)
    try:
        with closing(open_gate()):
            yield SoundCheck("hearing speech", True)
    except MasqueradeError as error:
        yield SoundCheck("hearing speech", False, str(error))


def _microphones(list_them: Callable[[], list[str]]) -> SoundCheck:
    try:
        names = list_them()
    except MasqueradeError as error:
        return SoundCheck("microphone", False, str(error))
    if not names:
        return SoundCheck("microphone", False, "none found: plug one in, or use --sound FILE")
    return SoundCheck(f"microphone: {', '.join(names)}", True)


def _virtual_microphone(find: Callable[[], str | None]) -> SoundCheck:
    try:
        found = find()
    except MasqueradeError as error:
        return SoundCheck("virtual microphone", False, str(error))
    if found is None:
        return SoundCheck("virtual microphone", False, how_to_get_one())
    return SoundCheck(f"virtual microphone: {found}", True)


def _cable() -> str | None:
    """The virtual cable that is there or can be made. Raises DeviceError."""
    if has_sound_server():
        from realtime.audio.pulse import LABEL, run_tool

        run_tool(["pactl", "info"])  # a server that answers can make one
        return f"{LABEL} (made while it is spoken into)"
    from realtime.audio.portaudio import find_cable

    return find_cable()


def microphone_lines() -> list[str]:
    """For `masquerade devices`: the names, or one line that says what to install."""
    try:
        return microphones() or ["none"]
    except MasqueradeError as error:
        return [f"unknown: {error}"]
