"""The mel spectrogram: equal to Wav2Lip's recorded ones, and the same however the sound is cut."""

from pathlib import Path

import numpy as np
import pytest
from sounds import noise, tone

from realtime.audio.mel import LOOK_AHEAD_S, SILENCE, WINDOW, MelStream, Resampler, mel_basis, mel_frames, window_start
from realtime.errors import ConfigError
from realtime.frame import Floats

TOLERANCE = 1e-4
RATES = {"24": 24.0, "25": 25.0, "29.97": 29.97, "30": 30.0, "50": 50.0}


def streamed(samples: Floats, size: int) -> Floats:
    stream = MelStream()
    parts = [stream(samples[i : i + size]) for i in range(0, len(samples), size)]
    return np.concatenate([*parts, stream.finish()], axis=1)


@pytest.mark.parametrize("name", ["sweep16k", "espeak16k"])
def test_the_mels_are_those_that_wav2lip_recorded(shared: Path, name: str) -> None:
    with np.load(shared / "reference" / f"w2l_mel_{name}.npz") as recorded:
        ours = mel_frames(recorded["wav_f32"])
        assert ours.shape == recorded["mel"].shape
        assert np.abs(ours - recorded["mel"]).max() < TOLERANCE
        count = ours.shape[1]
        for fps, rate in RATES.items():
            starts = recorded[f"chunk_start_fps{fps}"]
            # The last of upstream's is moved back to end with the sound; ours is padded with silence there.
            assert [window_start(i / rate) for i in range(len(starts) - 1)] == starts[:-1].tolist()
            assert starts[-1] == count - WINDOW
        for i, chunk in zip([0, 1, 2, -1], recorded["chunks_fps25_first3_last"], strict=True):
            start = int(recorded["chunk_start_fps25"][i])
            assert np.abs(ours[:, start : start + WINDOW] - chunk).max() < TOLERANCE


def test_the_filters_are_those_that_librosa_makes(shared: Path) -> None:
    with np.load(shared / "reference" / "w2l_mel_basis.npz") as recorded:
        assert np.abs(mel_basis() - recorded["mel_basis"]).max() < 1e-8


@pytest.mark.parametrize("size", [1, 7, 160, 199, 200, 201, 320, 441, 1024, 5000])
def test_a_stream_gives_bit_for_bit_what_the_whole_gives(size: int) -> None:
    sound = noise(0.3 if size == 1 else 1.0, 16_000) + tone(440, 0.3 if size == 1 else 1.0, 16_000)
    assert np.array_equal(streamed(sound, size), mel_frames(sound))


def test_a_frame_is_known_25_ms_after_its_time_and_a_window_212_ms() -> None:
    sound, stream = noise(1.0, 16_000), MelStream()
    known = [stream(sound[i : i + 1]).shape[1] for i in range(8000)]
    arrived = np.flatnonzero(known)
    assert arrived[1] == 1 * 200 + 400 - 1
    assert arrived[WINDOW - 1] + 1 == round(LOOK_AHEAD_S * 16_000)


def test_a_frame_is_about_its_own_time() -> None:
    sound = np.zeros(16_000, np.float32)
    sound[8000] = 1.0
    level = mel_frames(sound).mean(axis=0)
    assert int(level.argmax()) == 8000 // 200


@pytest.mark.parametrize("sound", [np.zeros(16_000, np.float32), np.full(16_000, 1e-30, np.float32)])
def test_pure_silence_is_the_floor_and_no_nan(sound: Floats) -> None:
    assert np.array_equal(mel_frames(sound), np.full((80, 81), SILENCE))


def test_full_scale_stays_in_range() -> None:
    square = np.sign(tone(300, 0.5, 16_000)).astype(np.float32)
    mel = mel_frames(square)
    assert -4 <= mel.min() < mel.max() <= 4
    assert mel.max() > 2


@pytest.mark.parametrize("count", [0, 1, 400, 401, 799, 800, 801])
def test_a_short_sound_has_as_many_frames_as_it_has(count: int) -> None:
    frames = mel_frames(noise(1.0, 16_000)[:count])
    assert frames.shape == (80, 0 if count <= 400 else 1 + count // 200)
    assert np.isfinite(frames).all()


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
