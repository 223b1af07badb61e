"""What the finished network does: lips against voices, mouths in silence, and mouths that were held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.audio.mel import BANDS, SILENCE, WINDOW, mel_frames, window_start
from realtime.audio.source import SPEECH_HZ
from realtime.audio.speech_buffer import MelWindow
from realtime.audio.vad import hushed, openness
from realtime.clock import StageTimer
from realtime.families.lip_sync.effect import LipSync
from realtime.frame import Floats, Pixels
from realtime.tracking.face import Face

FPS = 25.0
INNER_UPPER, INNER_LOWER, EYES = 13, 14, (33, 263)
"""Of MediaPipe's 478: the middles of the lips where they meet, and the eyes' outer corners."""
LIPS = (61, 291, 0, 17, 13, 14, 78, 308, 37, 267, 84, 314)
LAGS = 8
Find = Callable[[Pixels], Sequence[Face]]


@dataclass(frozen=True, slots=True)
class InStep:
    """`offset`: pictures by which the mouth comes after the sound; `r` at that offset and `r_at_0` at none.

    `opening`: how far the mouth opens, 95th percentile less 5th, in distances between the eyes' outer corners.
    """

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
    opened = openness(gate(samples, mel)) if gate is not None else np.ones(mel.shape[1], np.float32)
    quiet = hushed(mel, opened)

    def at(time_s: float) -> MelWindow:
        start = window_start(time_s)
        window: npt.NDArray[np.float32] = np.full((BANDS, WINDOW), SILENCE, np.float32)
        part = quiet[:, start : start + WINDOW]
        window[:, : part.shape[1]] = part
        return MelWindow(window, float(opened[start]) if start < len(opened) else 0.0, True)

    return at


def spoken_by(
    lips: LipSync, find: Find, frames: Sequence[Pixels], samples: Floats, gate: Any = None, variant: str = "fast"
) -> tuple[Floats, list[Pixels]]:
    """(n,) how far the mouth is open in each picture, and the pictures; `frames` (one for all, or n) are re-voiced."""
    say, clock = windows(samples, gate), StageTimer(perf_counter_ns)
    count = len(frames) if len(frames) > 1 else int(len(samples) / SPEECH_HZ * FPS)
    opened: list[float] = []
    pictures: list[Pixels] = []
    face: Face | None = None
    for k in range(count):
        if k == 0 or len(frames) > 1:
            found = find(frames[k])
            face = found[0] if found else face
        if face is None:
            continue
        made = lips.say(frames[min(k, len(frames) - 1)], face, say(k / FPS), k / FPS, clock, 1.0, variant)
        pictures.append(made)
        seen = find(made)
        opened.append(opening(seen[0]) if seen else opened[-1] if opened else 0.0)
    return np.array(opened, np.float32), pictures


def mouth_error(made: Face, truth: Face) -> float:
    """How far twelve points of the lips are off, a mean, in distances between the eyes' outer corners."""
    a, b = made.landmarks[list(LIPS), :2], truth.landmarks[list(LIPS), :2]
    eyes = float(np.linalg.norm(truth.landmarks[EYES[0], :2] - truth.landmarks[EYES[1], :2]))
    return float(np.linalg.norm(a - b, axis=1).mean()) / max(eyes, 1e-6)
