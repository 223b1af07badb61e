"""`check`: measures what the bundle does with voices it never heard and faces it never saw, for its card."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from realtime.audio.mel import BANDS, SILENCE, WINDOW, mel_frames, window_start
from realtime.audio.source import SPEECH_HZ
from realtime.audio.speech_buffer import MelWindow
from realtime.audio.vad import SileroVad, fade_to_silence, open_vad, speech_envelope
from realtime.clock import StageTimer
from realtime.families.lip_sync.effect import LipSync
from realtime.families.lip_sync.network import LipSyncNetwork, open_lip_sync
from realtime.frame import Floats, Pixels
from realtime.models.avatar import avatar_pixels
from realtime.models.library import AVATARS, face_folder, load_bundle
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker
from trained_models.recipes.lip_sync.dataset import HELD_OUT, held_out
from trained_models.recipes.lip_sync.samples import PICTURES, SEEN, SIDE, large, read_samples, window_of
from trained_models.recipes.lip_sync.spoken import HELD_OUT_TEXTS, wave
from trained_models.recipes.sample_files import finished

FPS = 25.0
INNER_UPPER, INNER_LOWER, EYES = 13, 14, (33, 263)
"""Of MediaPipe's 478: the middles of the lips where they meet, and the eyes' outer corners."""
LIPS = (61, 291, 0, 17, 13, 14, 78, 308, 37, 267, 84, 314)
LAGS = 8


@dataclass(frozen=True, slots=True)
class InStep:
    """`offset`: pictures by which the mouth comes after the sound; `r` at that offset and `r_at_0` at none. `opening`:
    how far the mouth opens, 95th percentile less 5th, in distances between the eyes' outer corners."""

    offset: float
    r: float
    r_at_0: float
    opening: float


def opening(face: Face) -> float:
    """The gap between the lips, in distances between the eyes' outer corners."""
    points = face.landmarks[:, :2]
    eyes = float(np.linalg.norm(points[EYES[0]] - points[EYES[1]]))
    return float(np.linalg.norm(points[INNER_UPPER] - points[INNER_LOWER])) / max(eyes, 1e-6)


def envelope(samples: Floats, count: int) -> Floats:
    """(count,) how loud the sound is at each picture's time: the root mean square of 100 ms about it."""
    reach = round(0.05 * SPEECH_HZ)
    padded = np.pad(samples, reach)
    at = [round(k / FPS * SPEECH_HZ) for k in range(count)]
    return np.array(
        [np.sqrt((padded[a : a + 2 * reach] ** 2).mean() + 1e-12) if a < len(samples) else 0 for a in at], np.float32
    )


def in_step(opened: Floats, loud: Floats) -> InStep:
    """By cross-correlation over eight pictures either way, as a parabola through the highest three has it."""

    def at(lag: int) -> float:
        mouth = opened[max(lag, 0) : len(opened) + min(lag, 0)]
        sound = loud[max(-lag, 0) : len(loud) + min(-lag, 0)]
        return float(np.corrcoef(mouth, sound)[0, 1]) if mouth.std() > 1e-9 else 0.0

    found = np.array([at(lag) for lag in range(-LAGS, LAGS + 1)])
    best = int(found.argmax())
    fine = 0.0
    if 0 < best < 2 * LAGS:
        low, high, after = found[best - 1 : best + 2]
        bend = low - 2 * high + after
        fine = 0.5 * (low - after) / bend if bend < -1e-9 else 0.0
    spread = float(np.percentile(opened, 95) - np.percentile(opened, 5))
    return InStep(best - LAGS + fine, float(found[best]), float(found[LAGS]), spread)


def windows(samples: Floats, gate: Any = None) -> Callable[[float], MelWindow]:
    """What is said at a time in seconds; `gate` as `realtime.audio.vad` has it, None for none."""
    mel = mel_frames(samples)
    opened = speech_envelope(gate(samples, mel)) if gate is not None else np.ones(mel.shape[1], np.float32)
    quiet = fade_to_silence(mel, opened)

    def at(time_s: float) -> MelWindow:
        start = window_start(time_s)
        window: Floats = np.full((BANDS, WINDOW), SILENCE, np.float32)
        part = quiet[:, start : start + WINDOW]
        window[:, : part.shape[1]] = part
        return MelWindow(window, float(opened[start]) if start < len(opened) else 0.0, True)

    return at


def mouth_error(made: Face, truth: Face) -> float:
    """How far twelve points of the lips are off, a mean, in distances between the eyes' outer corners."""
    a, b = made.landmarks[list(LIPS), :2], truth.landmarks[list(LIPS), :2]
    eyes = float(np.linalg.norm(truth.landmarks[EYES[0], :2] - truth.landmarks[EYES[1], :2]))
    return float(np.linalg.norm(a - b, axis=1).mean()) / max(eyes, 1e-6)


VOICES = (("en-gb-x-rp+michel", 150, 35), ("en-gb-x-rp+alicia", 170, 60), ("sk+grandpa", 160, 40), ("nb+adam", 190, 50))


@dataclass(frozen=True, slots=True)
class Rig:
    """What is measured, and with what: `variant` is `fast` or `fine`."""

    network: LipSyncNetwork
    tracker: Tracker
    variant: str

    def speaks(self, still: Pixels, samples: Floats, gate: SileroVad | None) -> Floats:
        """(n,) how far the mouth of a still picture is open at each picture's time."""
        lips, clock = (
            LipSync(self.network, SimpleNamespace(by_media=True, delay_s=0.0), title="check"),
            StageTimer(perf_counter_ns),
        )
        say = windows(samples, gate)
        face = self.tracker.find(still)[0]
        opened: list[float] = []
        for k in range(int(len(samples) / SPEECH_HZ * FPS)):
            made = lips.say(still, face, say(k / FPS), k / FPS, clock, 1.0, self.variant)
            seen = self.tracker.find(made)
            opened.append(opening(seen[0]) if seen else opened[-1] if opened else 0.0)
        return np.array(opened, np.float32)


def check(bundle: Path, data: Path, variant: str = "fast") -> dict[str, str]:
    """Print everything; gives what belongs on the card. Filmed people's figures: `masquerade bench quality`."""
    tracker, network = (
        Tracker(face_folder(), provider="cpu"),
        open_lip_sync(load_bundle(bundle), provider="cpu", threads=1),
    )
    rig = Rig(network, tracker, variant)
    still = avatar_pixels(sorted(AVATARS.built_in.glob("*/picture.*"))[0])[0]
    found, speech = [], None
    for k, (voice, rate, pitch) in enumerate(VOICES):
        samples = wave(HELD_OUT_TEXTS[k % 3], voice, rate, pitch)
        speech = samples if speech is None else speech
        gate = open_vad()
        opened = rig.speaks(still, samples, gate)
        gate.close()
        found.append(in_step(opened, envelope(samples, len(opened))))
        print(f"{voice}: {found[-1]}", flush=True)
    assert speech is not None
    facts = {"voices": f"espeak-ng, held out: {_range(found)}; recipe's check", "silence": _silence(rig, still, speech)}
    if finished(data / "takes"):
        facts["held_out_lips"] = _held_out(rig, data)
    network.close()
    tracker.close()
    mark = "fine_" if variant == "fine" else ""
    return {mark + name: fact for name, fact in facts.items()}


def _range(found: list[InStep]) -> str:
    offsets, r = [one.offset for one in found], [one.r for one in found]
    return (
        f"the mouth opens {min(offsets):+.1f} to {max(offsets):+.1f} pictures after the sound, "
        f"r {min(r):.2f} to {max(r):.2f} with its envelope"
    )


def _silence(rig: Rig, still: Pixels, speech: Floats) -> str:
    """Mouth motion where nobody speaks, in shares of that in speech: with the gate, and without."""
    rng = np.random.default_rng(2)
    quiet = {"digital silence": np.zeros(3 * SPEECH_HZ, np.float32)}
    quiet["noise at -50 dB"] = (10 ** (-50 / 20) * rng.standard_normal(3 * SPEECH_HZ)).astype(np.float32)
    quiet["noise at -30 dB"] = (10 ** (-30 / 20) * rng.standard_normal(3 * SPEECH_HZ)).astype(np.float32)
    told: list[str] = []

    def motion(samples: Floats, gate: SileroVad | None) -> float:
        return float(rig.speaks(still, samples, gate).std())

    gate = open_vad()
    spoken = motion(speech, gate)
    for name, samples in quiet.items():
        fresh = open_vad()
        gated, bare = (motion(samples, g) / spoken for g in (fresh, None))
        told.append(f"{name} {gated:.2f} ({bare:.2f} without the gate)")
        print(f"{name}: motion {gated:.3f} of that in speech, {bare:.3f} without the gate", flush=True)
        fresh.close()
    gate.close()
    return "motion, of that in speech: " + ", ".join(told)


def _said(rig: Rig, face: Pixels, mel: Floats, lips: Floats) -> Pixels:
    """A crop of 128 speaking, whatever the side that the variant draws in."""
    side = rig.network.side(rig.variant)
    share = side / len(face)
    large = np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    made = rig.network.mouth(large, mel, np.asarray((lips + 0.5) * share - 0.5, np.float32))
    return np.asarray(cv2.resize(made, face.shape[:2], interpolation=cv2.INTER_AREA), np.uint8)


def _held_out(rig: Rig, data: Path) -> str:
    """Landmarks of mouths drawn from sound alone, from a face at rest, against rendered truth."""
    people = held_out(data)
    off, still = [], []
    mels = np.concatenate([read_samples(p).mel for p in finished(data / "takes")[:HELD_OUT]])
    edge = (SIDE - SEEN) // 2
    middle = slice(edge, edge + SEEN)
    for take in range(len(people.frames)):
        for k in range(2, PICTURES, 4):
            start = window_of(k)
            rest, truth = (np.ascontiguousarray(people.frames[take, j][middle, middle]) for j in (0, k))
            lips = people.outlines[take, 0] - edge
            made = _said(rig, rest, np.ascontiguousarray(mels[take][:, start : start + 16]), lips)
            seen = [rig.tracker.find(large(p)) for p in (rest, made, truth)]
            if all(seen):
                off.append(mouth_error(seen[1][0], seen[2][0]))
                still.append(mouth_error(seen[0][0], seen[2][0]))
    return f"{np.mean(off):.3f} of the eyes' distance from rendered truth, {np.mean(still):.3f} if left at rest"
