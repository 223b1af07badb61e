"""The contest of the gates: what counts as speech and as rest, and how a gate is judged."""

import json
from pathlib import Path

import numpy as np
import pytest
from sounds import noise, tone

from benchmarks.speech_gate import LEVEL, by_bands, by_level, judge, noises, truth

RATE = 16_000
RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "speech_gate.json"


def test_short_pauses_belong_to_speech_and_what_is_near_it_counts_for_nothing() -> None:
    word = tone(300, 0.3, RATE, LEVEL * 2**0.5)
    clean = np.concatenate(
        [np.zeros(RATE, np.float32), word, np.zeros(1600, np.float32), word, np.zeros(RATE, np.float32)]
    )
    speech, rest = truth(clean)
    assert np.flatnonzero(speech).tolist() == list(range(80, 80 + 56))
    assert not (speech & rest).any()
    assert np.flatnonzero(~speech & ~rest).tolist() == [*range(64, 80), *range(136, 152)]


def test_a_gate_that_knows_makes_no_mistakes_and_one_that_is_stuck_makes_all() -> None:
    speech = np.zeros(200, bool)
    speech[80:120] = True
    rest = np.ones(200, bool)
    rest[60:140] = False
    assert judge(speech.astype(np.float32), 0.5, speech, rest) == (0, 0)
    assert judge(np.ones(200, np.float32), 0.5, speech, rest) == (0, 1)
    assert judge(np.zeros(200, np.float32), 0.5, speech, rest) == (1, 0)


def test_level_and_bands_rise_with_a_voice() -> None:
    sound = np.concatenate([noise(2, RATE, 0.001), tone(700, 1, RATE, 0.1) + noise(1, RATE, 0.001)])
    for scores in (by_level, by_bands):
        told = scores(sound)
        assert told[170:230].mean() > told[80:150].mean() + 1


def test_the_noises_are_as_loud_as_each_other() -> None:
    try:
        made = dict(noises(2 * RATE, np.random.default_rng(0)))
    except OSError:
        pytest.skip("libespeak-ng is not here")
    assert len(made) == 8
    for sound in made.values():
        assert np.sqrt(np.mean(sound.astype(np.float64) ** 2)) == pytest.approx(1.0, abs=1e-3)
        assert sound.dtype == np.float32


def test_the_recorded_contest_is_the_one_the_gate_was_chosen_by() -> None:
    gates = json.loads(RESULTS.read_text(encoding="utf-8"))["gates"]
    wrong = {name: gate["miss"] + gate["false"] for name, gate in gates.items()}
    assert min(wrong, key=lambda name: wrong[name]) == "network"
    for name, gate in gates.items():
        assert len(gate["conditions"]) == 33, name
        assert np.mean([miss for miss, _ in gate["conditions"].values()]) == pytest.approx(gate["miss"], abs=1e-3)
