"""Which gate lets a mouth rest: speech in eight noises, spoken by espeak-ng, and what each gate makes of it.

    python -m benchmarks.speech_gate [--json FILE]

A frame of 12.5 ms is speech where the clean voice is (pauses under 200 ms belong to it), and rest where no voice is
within 200 ms; what lies between counts for nothing. `miss` is the share of speech in which the mouth would rest,
`false` that of rest in which it would move, after `openness`, as the live path has it. The network is judged at its own
threshold; the others at the one that serves them best over all of this, which they would not know in life.
"""

import argparse
import importlib.util
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.stamp import stamp
from realtime.sound import SPEECH_HZ, Floats
from realtime.sound.gate import SURE, open_gate, openness
from realtime.sound.mel import HOP, mel_frames
from realtime.sound.resample import Resampler

Mask = npt.NDArray[np.bool_]
Scores = Callable[[Floats], Floats]

LINES = (
    ("en-us", "The quick brown fox jumps over the lazy dog, and then it sleeps."),
    ("en-gb", "Good morning. Could you please tell me what time it is?"),
    ("de", "Heute ist das Wetter schön, und wir gehen in den Park."),
    ("fr", "Bonjour, je voudrais une tasse de café, s'il vous plaît."),
    ("es", "Mañana vamos a la playa con toda la familia."),
    ("pl", "Dzień dobry, jak się masz?"),
    ("en-us+f3", "She sells sea shells by the sea shore."),
    ("de+f4", "Fischers Fritz fischt frische Fische."),
    ("en-gb+m5", "Sixty six thick thistle sticks, yes."),
)
LEVEL = 0.08
RATIOS_DB = (20, 10, 5, 0)


def say(voice: str, text: str, words_per_minute: int, pitch: int) -> Floats:
    """A sentence at 16 kHz, its loud parts at LEVEL. Raises OSError without libespeak-ng."""
    from trained_models.recipes.people.speech import speak

    spoken = speak(text, voice, words_per_minute, pitch)
    change = Resampler(spoken.rate_hz, SPEECH_HZ)
    sound = np.concatenate([change((spoken.samples / 32768).astype(np.float32)), change.finish()])
    loud = sound[np.abs(sound) > 0.01]
    return np.asarray(sound * (LEVEL / np.sqrt(np.mean(loud**2))), np.float32)


def voices(rng: np.random.Generator) -> Floats:
    """Every line once, in a shuffled order, with pauses of 0.8 to 2 s."""
    parts = [np.zeros(24_000, np.float32)]
    for i in rng.permutation(len(LINES)):
        sound = say(*LINES[i], int(rng.uniform(120, 210)), int(rng.uniform(25, 80)))
        parts += [sound * np.float32(10 ** (rng.uniform(-4, 4) / 20))]
        parts += [np.zeros(int(rng.uniform(0.8, 2.0) * SPEECH_HZ), np.float32)]
    return np.concatenate(parts)


def truth(clean: Floats) -> tuple[Mask, Mask]:
    """Which frames are speech, and which are rest, (n,) each."""
    count = len(clean) // HOP
    loud = np.sqrt(np.mean(clean[: count * HOP].reshape(count, HOP) ** 2, axis=1)) > LEVEL * 10 ** (-30 / 20)
    at = np.flatnonzero(loud)
    for a, b in itertools.pairwise(at):
        if b - a <= 16:
            loud[a:b] = True
    return loud, ~(np.convolve(loud, np.ones(33), "same") > 0)


def noises(count: int, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Eight noises of `count` samples, each with an effective value of 1."""
    t = np.arange(count) / SPEECH_HZ
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / SPEECH_HZ), 20.0)

    def shaped(power: float, lowest: float = 20.0) -> Any:
        spectrum = np.fft.rfft(rng.normal(size=count)) * np.maximum(hertz, lowest) ** power
        return np.fft.irfft(spectrum, count)

    keys = 0.003 * rng.normal(size=count)
    for start in np.cumsum(rng.exponential(0.15 * SPEECH_HZ, count // 2000)).astype(int):
        if start + 900 < count:
            keys[start : start + 900] += rng.normal(size=900) * np.exp(-np.arange(900) / rng.uniform(30, 150))
    music = np.zeros(count)
    beat = np.arange(6400) / SPEECH_HZ
    for start in range(0, count - 6400, 6400):
        root = 220 * 2 ** (rng.integers(-12, 12) / 12)
        for step in (1, 1.26, 1.5):
            chord = sum(np.sin(2 * np.pi * root * step * k * beat) / k for k in (1, 2, 3, 4))
            music[start : start + 6400] += chord * np.exp(-3 * beat)
    babble = np.zeros(count)
    for _ in range(8):
        sound = say(*LINES[rng.integers(len(LINES))], int(rng.uniform(130, 200)), int(rng.uniform(20, 80)))
        babble += np.roll(np.resize(sound, count), int(rng.integers(count)))
    swell = np.interp(t, np.arange(0, t[-1] + 2), rng.uniform(0, 1.5, int(t[-1]) + 3))
    made = {
        "white": rng.normal(size=count),
        "pink": shaped(-0.5),
        "hum": sum(np.sin(2 * np.pi * 50 * k * t + k) / k for k in range(1, 12)) + 0.1 * rng.normal(size=count),
        "fan": shaped(-1.0, 60.0) * (1 + 0.3 * np.sin(2 * np.pi * 3 * t)),
        "traffic": shaped(-1.0, 100.0) * (0.3 + swell),
        "keys": keys,
        "music": music,
        "babble": babble,
    }
    for name, sound in made.items():
        yield name, np.asarray(sound / np.sqrt(np.mean(sound**2)), np.float32)


def by_network(sound: Floats) -> Floats:
    """The gate that is built in."""
    gate = open_gate()
    told = gate(sound, mel_frames(sound))
    gate.close()
    return told


def by_level(sound: Floats) -> Floats:
    """The level of each frame in decibels of full scale."""
    count = len(sound) // HOP
    return np.asarray(10 * np.log10(np.mean(sound[: count * HOP].reshape(count, HOP) ** 2, axis=1) + 1e-12), np.float32)


def by_bands(sound: Floats) -> Floats:
    """How far each mel band stands out of a noise floor that follows it, on average, in decibels.

    The floor falls quickly and rises slowly, slower still under what may be a word (after Doblinger 1995).
    """
    levels = (mel_frames(sound).astype(np.float64)[8:60] + 4) * 12.5
    floor = levels[:, :8].mean(axis=1)
    out = np.zeros(levels.shape[1], np.float32)
    for k, level in enumerate(levels.T):
        rise = np.where(level < floor + 12, 0.02, 0.005) * np.minimum(level - floor, 6)
        floor = floor + np.where(level < floor, 0.3 * (level - floor), rise)
        out[k] = np.maximum(level - floor - 3, 0).mean()
    return out


def by_webrtc(mode: int) -> Scores:
    """WebRTC's Gaussian mixtures, by the package webrtcvad-wheels where it is installed."""

    def scores(sound: Floats) -> Floats:
        import webrtcvad  # type: ignore[import-not-found,unused-ignore]

        judge, words = webrtcvad.Vad(mode), (np.clip(sound, -1, 1) * 32767).astype(np.int16)
        told = np.array(
            [judge.is_speech(words[i : i + 320].tobytes(), SPEECH_HZ) for i in range(0, len(words) - 319, 320)]
        )
        at = np.minimum(np.arange(len(sound) // HOP) * HOP // 320, len(told) - 1)
        return told[at].astype(np.float32)

    return scores


def judge(told: Floats, threshold: float, speech: Mask, rest: Mask) -> tuple[float, float]:
    """(miss, false) of one condition."""
    moves = openness((told[: len(speech)] >= threshold).astype(np.float32)) > 0.5
    return float(1 - moves[speech].mean()), float(moves[rest].mean())


def measure() -> dict[str, Any]:
    """Every gate in every condition."""
    rng = np.random.default_rng(0)
    clean = voices(rng)
    speech, rest = truth(clean)
    sounds = {"clean": clean + 1e-5 * rng.normal(size=len(clean)).astype(np.float32)}
    for name, sound in noises(len(clean), rng):
        sounds |= {f"{name} {db} dB": clean + sound * np.float32(LEVEL * 10 ** (-db / 20)) for db in RATIOS_DB}
    gates: dict[str, Scores] = {"network": by_network, "level": by_level, "bands": by_bands}
    if importlib.util.find_spec("webrtcvad") is not None:
        gates |= {f"webrtc {mode}": by_webrtc(mode) for mode in (0, 3)}
    results: dict[str, Any] = {}
    for gate, scores in gates.items():
        began = time.thread_time()
        told = {name: scores(sound) for name, sound in sounds.items()}
        cost = (time.thread_time() - began) / (len(sounds) * len(clean) / SPEECH_HZ)
        every = np.concatenate(list(told.values()))
        fixed = gate == "network" or gate.startswith("webrtc")
        thresholds = [SURE] if fixed else np.quantile(every, np.arange(0.02, 1, 0.02)).tolist()
        tried = [(at, [judge(told[name], at, speech, rest) for name in told]) for at in thresholds]
        threshold, pairs = min(tried, key=lambda one: float(np.sum(one[1])))
        results[gate] = {
            "threshold": round(threshold, 3),
            "miss": round(float(np.mean([m for m, _ in pairs])), 3),
            "false": round(float(np.mean([f for _, f in pairs])), 3),
            "ms_a_second": round(1000 * cost, 2),
            "conditions": {name: [round(m, 3), round(f, 3)] for name, (m, f) in zip(told, pairs, strict=True)},
        }
    return {"seconds": round(len(clean) / SPEECH_HZ, 1), "gates": results}


def main() -> None:
    """Print the table; write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    found = measure()
    for gate, result in found["gates"].items():
        print(f"{gate:9} miss {result['miss']:.3f} false {result['false']:.3f} {result['ms_a_second']:.2f} ms a second")
    if wanted.json:
        wanted.json.write_text(json.dumps(found | {"stamp": stamp()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
