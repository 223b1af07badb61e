"""Offset, confidence and correlation of a mouth with a voice, where both are known."""

import numpy as np
import pytest
from mesh_faces import a_face, a_shape

from benchmarks.lip_offset import envelope, in_step, opening
from realtime.audio.source import SPEECH_HZ
from realtime.frame import Floats

RATE_HZ = 25.0


def a_voice(seconds: float = 12.0) -> tuple[Floats, Floats]:
    """(sound, how loud it is meant to be at each picture): syllables of random height and length."""
    rng = np.random.default_rng(1)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    loud = np.interp(
        times, np.arange(0, seconds + 0.3, 0.22), rng.uniform(0, 1, len(np.arange(0, seconds + 0.3, 0.22)))
    )
    at = np.arange(round(seconds * SPEECH_HZ)) / SPEECH_HZ
    buzz = np.sin(2 * np.pi * 700 * at) + 0.3 * rng.standard_normal(len(at))
    return (0.1 * np.interp(at, times, loud) * buzz).astype(np.float32), loud.astype(np.float32)


@pytest.mark.parametrize("late", [-4, 0, 1, 7])
def test_a_mouth_that_comes_late_is_told_by_how_much(late: int) -> None:
    sound, loud = a_voice()
    level = envelope(sound, np.arange(len(loud)) / RATE_HZ)
    mouth = np.roll(loud.astype(np.float64), late)
    found = in_step(mouth, level, RATE_HZ)
    assert found["offset_frames"] == late
    assert found["away_frames"] == abs(late)
    assert found["offset_ms"] == pytest.approx(1000 * late / RATE_HZ, abs=12)
    assert found["correlation"] > 0.8
    assert found["confidence"] > 0.5
    assert (found["correlation_unshifted"] == found["correlation"]) == (late == 0)


def test_a_mouth_of_its_own_mind_is_told_too() -> None:
    sound, loud = a_voice()
    level = envelope(sound, np.arange(len(loud)) / RATE_HZ)
    other = np.random.default_rng(5).uniform(0, 1, len(loud))
    found = in_step(other, level, RATE_HZ)
    assert found["correlation"] < 0.35
    assert found["confidence"] < 0.35
    assert "missing" in in_step(np.zeros(len(loud)), level, RATE_HZ)
    assert "missing" in in_step(np.full(len(loud), np.nan), level, RATE_HZ)
    gaps = loud.astype(np.float64)
    gaps[20:40] = np.nan
    assert in_step(gaps, level, RATE_HZ)["offset_frames"] == 0


def test_the_envelope_hears_speech_s_band_alone_and_knows_a_floor() -> None:
    at = np.arange(2 * SPEECH_HZ) / SPEECH_HZ
    times = np.arange(50) / RATE_HZ
    hum = envelope(np.sin(2 * np.pi * 60 * at).astype(np.float32), times)
    vowel = envelope(np.sin(2 * np.pi * 700 * at).astype(np.float32), times)
    assert vowel[10:40].mean() - hum[10:40].mean() > 30
    half = np.where(at < 1.0, np.sin(2 * np.pi * 700 * at), 0.0).astype(np.float32)
    level = envelope(half, times)
    assert level.max() - level.min() == pytest.approx(40.0)
    assert level[5:20].min() == pytest.approx(-3.0, abs=0.3)  # a sine's, in decibels of full scale


def test_an_opening_is_measured_in_eyes() -> None:
    closed, wide = opening(a_face()), opening(a_face(a_shape(jaw_cm=2.0)))
    assert closed < 0.03
    assert wide == pytest.approx(2.0 / 9.0, rel=0.2)
    assert opening(a_face(a_shape(jaw_cm=2.0), px_per_cm=3.0)) == pytest.approx(wide, rel=1e-3)
    assert np.isnan(opening(None))
