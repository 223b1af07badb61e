"""Resampling: the quality its docstring states, and the same whatever the blocks."""

import numpy as np
import pytest

from realtime.audio.mel import Resampler
from realtime.errors import ConfigError
from realtime.frame import Floats

TOP_HZ = 7600.0


def resampled(samples: Floats, from_hz: int, to_hz: int, size: int = 1024) -> Floats:
    change = Resampler(from_hz, to_hz)
    parts = [change(samples[i : i + size]) for i in range(0, len(samples), size)]
    return np.concatenate([*parts, change.finish(), change.finish()])


def sweep(from_hz: float, to_hz: float, rate_hz: int, seconds: float = 1.0) -> Floats:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * (from_hz * t + (to_hz - from_hz) * t * t / (2 * seconds)))).astype(np.float32)


def decibels(signal: Floats, against: float = 0.125) -> float:
    return float(10 * np.log10(np.mean(signal.astype(np.float64) ** 2) / against))


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_what_speech_needs_comes_through_and_nothing_folds_back(rate_hz: int) -> None:
    top = min(TOP_HZ, 0.45 * rate_hz)
    kept = resampled(sweep(50, top, rate_hz), rate_hz, 16_000)
    assert abs(len(kept) - 16_000) <= 1
    inner = slice(800, 15_200)
    assert decibels(kept[inner] - sweep(50, top, 16_000)[inner]) < -95
    if rate_hz > 20_000:
        gone = resampled(sweep(8700, 0.49 * rate_hz, rate_hz), rate_hz, 16_000)
        assert decibels(gone[inner]) < -95


def test_the_blocks_do_not_matter() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)
    whole = resampled(sound, 44_100, 16_000, len(sound))
    for size in (97, 441, 960, 4096):
        assert np.array_equal(resampled(sound, 44_100, 16_000, size), whole)


def test_the_same_rate_is_passed_on_as_a_copy() -> None:
    sound = np.ones(10, np.float32)
    out = Resampler(16_000, 16_000)(sound)
    assert np.array_equal(out, sound)
    assert not np.shares_memory(out, sound)


def test_little_is_held_back() -> None:
    change = Resampler(48_000, 16_000)
    out = sum(len(change(np.zeros(960, np.float32))) for _ in range(50))
    assert 16_000 - out < 0.006 * 16_000


@pytest.mark.parametrize("rate_hz", [0, -8000, 50, 10_000_000])
def test_an_impossible_rate_is_refused(rate_hz: int) -> None:
    with pytest.raises(ConfigError, match=f"{rate_hz} Hz"):
        Resampler(rate_hz, 16_000)


def test_nothing_in_gives_nothing_out() -> None:
    change = Resampler(48_000, 16_000)
    assert len(change(np.zeros(0, np.float32))) == 0
    assert len(change.finish()) == 0
