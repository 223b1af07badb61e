"""A file's sound in real time."""

from pathlib import Path

import pytest
from sounds import NS, tone, write_sound

from realtime.audio.sound_file import PacedSound, SoundFile


class Hands:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now, self.ends = 1000 * NS, False

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += max(round(seconds * NS), 0)
        return self.ends


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "a.wav", [tone(440, 0.5, 16_000)], 16_000)


def test_a_block_comes_when_its_last_sample_is_due(path: Path) -> None:
    hands = Hands()
    source = PacedSound(lambda: SoundFile(path), clock=hands, wait=hands.wait)
    count = 0
    while (block := source.read()) is not None:
        assert block.start_ns == 1000 * NS + count * NS // 16_000
        count += len(block.samples)
        assert hands.now == pytest.approx(block.end_ns, abs=2)
    assert count == 8000
    assert (source.name, source.state, source.live) == ("a.wav", "ok", True)
    source.close()
    source.close()


def test_a_loop_goes_on_without_a_gap(path: Path) -> None:
    hands = Hands()
    source = PacedSound(lambda: SoundFile(path), loop=True, clock=hands, wait=hands.wait)
    end_ns = None
    for _ in range(30):
        block = source.read()
        assert block is not None
        assert end_ns is None or block.start_ns == pytest.approx(end_ns, abs=2)
        end_ns = block.end_ns
    assert hands.now > 1001 * NS
    source.close()


def test_it_ends_when_unblocked(path: Path) -> None:
    hands = Hands()
    source = PacedSound(lambda: SoundFile(path), loop=True, clock=hands, wait=hands.wait)
    assert source.read() is not None
    hands.ends = True  # rung while it waits
    assert source.read() is None
    source.unblock()
    assert source.read() is None
    source.close()
