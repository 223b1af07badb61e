"""What every source of sound keeps: `SoundSource`, over all implementations."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import TurnedClock
from sounds import Devices, FakeInput, tone, write_sound

from realtime.audio.microphone import Microphone, SelectableMicrophone
from realtime.audio.sound_file import PacedSound, SoundFile
from realtime.audio.source import SoundSource
from realtime.threads import Crew, Event

PATIENCE_S = 60.0
"""A safety net: nothing here takes so long."""


def _file(folder: Path) -> SoundFile:
    return SoundFile(write_sound(folder / "a.wav", [tone(440, 0.5, 16_000)], 16_000))


def _paced(folder: Path, *, real: bool = False) -> PacedSound:
    clock = TurnedClock()
    return PacedSound(lambda: _file(folder), clock=clock, wait=None if real else clock.wait)


def _microphone(count: int, *, selectable: bool = False) -> Microphone:
    devices = Devices(FakeInput([tone(300, 0.02, 48_000)] * count))
    return Microphone(None, open_input=SelectableMicrophone(devices).open if selectable else devices)


SOURCES: dict[str, Callable[[Path], SoundSource]] = {
    "file": _file,
    "file in real time": _paced,
    "microphone": lambda folder: _microphone(100),
    "selectable microphone": lambda folder: _microphone(100, selectable=True),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_blocks_are_mono_and_read_only_and_the_end_stays(tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind](tmp_path)
    assert source.name
    assert "\n" not in source.name
    assert source.live == (kind != "file")
    blocks = [block for _ in range(3) if (block := source.read()) is not None]
    assert len(blocks) == 3
    assert {block.rate_hz for block in blocks} == {16_000 if "file" in kind else 48_000}
    assert all(block.samples.ndim == 1 and not block.samples.flags.writeable for block in blocks)
    starts = [block.start_ns for block in blocks]
    assert starts == sorted(starts)
    assert source.state == "ok"
    source.unblock()
    source.unblock()
    assert source.read() is None
    assert source.read() is None
    source.close()
    source.close()
    assert source.read() is None


BLOCKED: dict[str, Callable[[Path], SoundSource]] = {
    "file in real time": lambda folder: _paced(folder, real=True),
    "lost microphone": lambda folder: _microphone(0),
}


@pytest.mark.parametrize("kind", BLOCKED)
def test_unblock_from_another_thread_ends_a_read_that_waits(tmp_path: Path, kind: str) -> None:
    source = BLOCKED[kind](tmp_path)
    begun, ended = Event(), Event()

    def read_on() -> None:
        begun.set()
        while source.read() is not None:
            pass
        ended.set()

    with Crew(PATIENCE_S) as crew:
        crew.start("reader", read_on)
        assert begun.wait(PATIENCE_S)
        source.unblock()
        assert ended.wait(PATIENCE_S)
    source.close()
