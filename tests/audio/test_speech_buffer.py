"""A voice on the clock: mel windows and clean samples at the right times, through faults of every kind."""

import numpy as np
import pytest
from sounds import NS, blocks, clicks, noise, onsets, tone

from realtime.audio.mel import SILENCE, mel_frames
from realtime.audio.source import HEARD_HZ, Block
from realtime.audio.speech_buffer import (
    GAP_S,
    KEPT_S,
    LONGEST_S,
    ClockRecovery,
    SpeechBuffer,
    SpeechSnapshot,
    at_positions,
)
from realtime.audio.vad import NoVad
from realtime.frame import Floats

START = 77 * NS


def heard(sound: Floats, rate_hz: int, *, size: int = 960, end: bool = True, exact: bool = False) -> SpeechSnapshot:
    voice = SpeechBuffer(NoVad(), exact=exact)
    for block in blocks(sound, rate_hz, START, size):
        voice.push(block)
    if end:
        voice.end()
    voice.close()
    return voice.snapshot


@pytest.mark.parametrize("size", [80, 320, 1000, 16_000])
def test_windows_are_those_of_the_whole_sound(size: int) -> None:
    sound = noise(2.0, 16_000)
    whole, snapshot = mel_frames(sound), heard(sound, 16_000, size=size)
    for at_s in (0.0, 0.04, 0.5, 1.23, 1.8):
        spoken = snapshot.window(START + round(at_s * NS))
        start = int(at_s * 80 + 1e-6)
        np.testing.assert_array_equal(spoken.mel, whole[:, start : start + 16])
        assert spoken.whole
        assert spoken.speech == 1.0


def test_beyond_its_ends_a_voice_is_silent() -> None:
    snapshot = heard(noise(1.0, 16_000), 16_000)
    early, late = snapshot.window(START - NS), snapshot.window(START + 5 * NS)
    assert (early.mel == SILENCE).all()
    assert (late.mel == SILENCE).all()
    assert (early.whole, late.whole) == (False, True)
    assert (early.speech, late.speech) == (0.0, 0.0)
    half = snapshot.window(START + round(0.95 * NS))
    assert (half.mel[:, -8:] == SILENCE).all()
    assert (half.mel[:, 0] > SILENCE).any()


def test_a_window_whose_sound_has_not_come_is_not_whole() -> None:
    snapshot = heard(noise(1.0, 16_000), 16_000, end=False)
    assert snapshot.window(snapshot.until_ns - 1000).whole
    assert not snapshot.window(snapshot.until_ns + 1000).whole
    assert START + round(0.77 * NS) < snapshot.until_ns <= START + round(0.8 * NS)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 48_000, 192_000])
def test_samples_are_given_at_their_time_whatever_the_rate(rate_hz: int) -> None:
    snapshot = heard(clicks([0.5, 1.5], 2.0, rate_hz), rate_hz)
    got = snapshot.samples(START, 2 * HEARD_HZ)
    assert got.dtype == np.float32
    assert onsets(got, HEARD_HZ) == pytest.approx([0.5, 1.5], abs=0.0005)
    assert not snapshot.samples(START - 3 * NS, 100).any()
    # And the mel's click is where the samples' is.
    levels = [snapshot.window(START + round(t * NS)).mel[:, 0].mean() for t in (0.45, 0.5, 0.55)]
    assert np.argmax(levels) == 1


def test_between_samples_lies_what_a_tone_has_there() -> None:
    sound = tone(1000, 0.1, HEARD_HZ)
    got = at_positions(sound, 1000.5, 500)
    true = 0.5 * np.sin(2 * np.pi * 1000 * (np.arange(500) + 1000.5) / HEARD_HZ)
    assert np.abs(got - true).max() < 1e-3
    np.testing.assert_array_equal(at_positions(sound, 10.0, 5), sound[10:15])
    np.testing.assert_array_equal(at_positions(sound, -2.0, 4), [0, 0, sound[0], sound[1]])


def test_what_is_no_number_becomes_silence_and_is_counted() -> None:
    sound = noise(1.0, 16_000)
    sound[[5, 300, 4000]] = np.nan, np.inf, -np.inf
    voice = SpeechBuffer(NoVad())
    voice.push(Block(sound, 16_000, START))
    voice.end()
    assert voice.broken == 3
    assert np.isfinite(voice.snapshot.frames).all()
    assert np.isfinite(voice.snapshot.samples(START, 1000)).all()


def test_too_loud_is_cut_off_and_counted() -> None:
    voice = SpeechBuffer(NoVad())
    voice.push(Block(tone(200, 0.5, 48_000, level=3.0), 48_000, START))
    voice.end()
    assert voice.clipped > 10_000
    assert np.abs(voice.snapshot.samples(START, 20_000)).max() < 1.3  # the resampler's own overshoot
    assert voice.snapshot.frames.max() <= 4


def test_a_dropout_is_silence_and_what_follows_is_in_time() -> None:
    sound = clicks([0.5, 2.5], 3.0, 48_000)
    voice = SpeechBuffer(NoVad())
    for block in blocks(sound, 48_000, START):
        if not 1.0 <= (block.start_ns - START) / NS < 1.7:
            voice.push(block)
    voice.end()
    assert voice.timing.gaps == 1
    assert voice.timing.missing_s == pytest.approx(0.7, abs=0.001)
    assert onsets(voice.snapshot.samples(START, 3 * HEARD_HZ), HEARD_HZ) == pytest.approx([0.5, 2.5], abs=0.001)


def test_a_rate_that_changes_on_the_way_is_followed() -> None:
    voice = SpeechBuffer(NoVad())
    rates = [48_000, 16_000, 44_100, 8_000]
    for i, rate_hz in enumerate(rates):
        for block in blocks(clicks([0.5], 1.0, rate_hz), rate_hz, START + i * NS, rate_hz // 50):
            voice.push(block)
    voice.end()
    assert voice.timing.gaps == 0
    times = onsets(voice.snapshot.samples(START, 4 * HEARD_HZ), HEARD_HZ)
    assert times == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.001)


def test_only_the_last_seconds_are_kept() -> None:
    voice, second = SpeechBuffer(NoVad()), noise(1.0, 48_000)
    for i in range(20):
        for block in blocks(second, 48_000, START + i * NS):
            voice.push(block)
    snapshot = voice.snapshot
    assert snapshot.frames.shape[1] == KEPT_S * 80
    assert sum(len(piece) for _, piece in snapshot.pieces) <= (KEPT_S + 0.1) * HEARD_HZ
    assert snapshot.window(START + 18 * NS).whole
    assert not snapshot.window(START + 10 * NS).whole


def test_an_empty_voice_is_silent() -> None:
    voice = SpeechBuffer(NoVad())
    voice.push(Block(np.zeros(0, np.float32), 48_000, START))
    voice.end()
    voice.end()
    assert voice.snapshot.window(START).whole
    assert not voice.snapshot.samples(START, 10).any()
    voice.push(Block(noise(1, 48_000), 48_000, START))  # after its end nothing is heard
    assert not voice.snapshot.pieces


def test_where_nobody_speaks_the_mouth_hears_silence() -> None:
    class Half(NoVad):
        """Speech in the first second only."""

        frame = 0

        def __call__(self, samples: Floats, frames: Floats) -> Floats:
            at = self.frame + np.arange(frames.shape[1])
            self.frame += frames.shape[1]
            return (at < 80).astype(np.float32)

    voice = SpeechBuffer(Half())
    for block in blocks(noise(2.0, 16_000), 16_000, START):
        voice.push(block)
    assert voice.snapshot.window(START + NS // 2).speech == 1.0
    rest = voice.snapshot.window(START + round(1.3 * NS))
    assert rest.speech == 0.0
    assert (rest.mel == SILENCE).all()


def test_what_is_said_while_it_is_to_be_silent_is_never_heard_nor_what_still_waits() -> None:
    pressed = [False]
    voice = SpeechBuffer(NoVad())
    voice.silent = lambda: pressed[0]
    for block in blocks(noise(3.0, 48_000, 0.3), 48_000, START):
        at_s = (block.start_ns - START) / NS
        pressed[0] = 1.0 <= at_s < 2.0
        voice.push(block)
        if at_s == pytest.approx(1.0, abs=0.005):
            assert not voice.snapshot.samples(START, HEARD_HZ + 960).any()
            assert (voice.snapshot.window(START + NS // 2).mel == SILENCE).all()
    snapshot = voice.snapshot
    assert not snapshot.samples(START, 2 * HEARD_HZ).any()
    assert (snapshot.samples(START + 2 * NS + NS // 100, HEARD_HZ // 2) != 0).mean() > 0.99


NS = 1_000_000_000
STEP_S = 0.02


def run(arrival: ClockRecovery, starts_s: list[float], step_s: float = STEP_S) -> list[float]:
    """Blocks of one length, with these stamps; what was put before each."""
    position, out = 0.0, []
    for start in starts_s:
        gap = arrival.place(position, round(start * NS))
        position += step_s + gap
        out.append(gap)
    return out


def test_jitter_moves_nothing() -> None:
    late = np.random.default_rng(0).exponential(0.004, 1000)
    arrival = ClockRecovery()
    gaps = run(arrival, [100 + i * STEP_S + late[i] for i in range(1000)])
    assert not any(gaps)
    # The earliest arrivals are the true ones.
    assert arrival.zero_ns / NS == pytest.approx(100.0, abs=0.001)


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_a_crystal_that_runs_apart_is_followed_for_ten_minutes(ppm: int) -> None:
    arrival, late = ClockRecovery(), np.random.default_rng(1).exponential(0.003, 30_000)
    true_step = STEP_S * (1 + ppm * 1e-6)
    position = 0.0
    worst = 0.0
    for i in range(30_000):
        start = i * true_step
        assert arrival.place(position, round((start + late[i]) * NS)) == 0.0
        if i > 200:
            worst = max(worst, abs(arrival.zero_ns / NS + position - start))
        position += STEP_S
    assert arrival.gaps == 0
    assert worst < 0.003


def test_what_is_missing_becomes_silence_and_is_counted() -> None:
    arrival = ClockRecovery()
    gaps = run(arrival, [0.0, 0.02, 0.04, 0.56, 0.58])
    assert gaps == pytest.approx([0, 0, 0, 0.5, 0], abs=1e-6)
    assert (arrival.gaps, arrival.zero_ns) == (1, 0)
    assert arrival.missing_s == pytest.approx(0.5)


def test_what_is_too_much_is_cut() -> None:
    arrival = ClockRecovery()
    gaps = run(arrival, [0.0, 0.02, 0.04 - 0.1, 0.06 - 0.1])
    assert gaps == pytest.approx([0, 0, -0.1, 0], abs=1e-6)
    assert arrival.cut_s == pytest.approx(0.1)


def test_a_long_gap_is_a_new_beginning() -> None:
    arrival = ClockRecovery()
    later = LONGEST_S + 3.0
    assert run(arrival, [0.0, 0.02, 0.04 + later, 0.06 + later]) == [0, 0, 0, 0]
    assert arrival.zero_ns == round(later * NS)
    assert arrival.gaps == 1


def test_a_file_s_own_times_are_taken_at_their_word() -> None:
    arrival = ClockRecovery(exact=True)
    hole = 0.03
    assert hole < GAP_S
    assert run(arrival, [0.0, 0.02, 0.04 + hole]) == pytest.approx([0, 0, hole])
