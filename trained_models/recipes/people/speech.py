"""A sentence → sound and mouth movements. espeak-ng speaks and says when each sound begins."""

import ctypes
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.visemes import DOMINANCE, VISEMES, viseme

SYNCHRONOUS, PHONEME_EVENTS, PHONEME, END = 2, 1, 7, 0  # constants of speak_lib.h
RATE, PITCH = 1, 3
SHORTEST_S = 0.005
LEAD_S = 0.04
"""Lips move a little before the sound."""
LIP_OPENERS = (
    *("mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """`samples` (n,) int16 mono at `rate_hz`; `sounds`: (start in seconds, espeak's name) in order."""

    samples: npt.NDArray[np.int16]
    rate_hz: int
    sounds: list[tuple[float, str]]


class _Name(ctypes.Union):
    _fields_: ClassVar[Any] = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_: ClassVar[Any] = [
        *((field, ctypes.c_int) for field in ("type",)),
        ("unique_identifier", ctypes.c_uint),
        *((field, ctypes.c_int) for field in ("text_position", "length", "audio_position", "sample")),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    ]


def speak(text: str, voice: str = "en-us", words_per_minute: int = 160, pitch: int = 50) -> Speech:
    """Speak a sentence with the shared library libespeak-ng (GPL-3, loaded when called, not shipped).

    Its command line tells no times; its events do. Raises OSError where the library is missing.
    """
    library = ctypes.CDLL("libespeak-ng.so.1")
    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS)
    if rate_hz <= 0:
        raise OSError("espeak-ng found no voices: install espeak-ng-data")
    library.espeak_SetVoiceByName(voice.encode())
    library.espeak_SetParameter(RATE, words_per_minute, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    pieces: list[npt.NDArray[np.int16]] = []
    sounds: list[tuple[float, str]] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != END:
            if events[i].type == PHONEME:
                name = events[i].id.string.decode("utf8", "ignore")
                sounds.append((events[i].audio_position / 1000.0, name))
            i += 1
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
    callback = kind(collect)  # held until espeak-ng is done with it
    library.espeak_SetSynthCallback(callback)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    return Speech(np.concatenate(pieces), rate_hz, sounds)


def mouth_curves(sounds: list[tuple[float, str]], duration_s: float, fps: float, actions: list[str]) -> Floats:
    """(frames, 52) action weights over time.

    Each sound pulls with a bell about its middle, as strongly as its dominance (after Cohen and Massaro 1993); closed
    lips (p, b, m) and lip on teeth (f, v) are made certain.
    """
    segments = []
    for (start, name), (end, _) in zip(sounds, [*sounds, (duration_s, "")][1:], strict=True):
        if end - start >= SHORTEST_S or viseme(name) == "PP":
            segments.append((start, max(end, start + 0.02), viseme(name)))
    if not segments or segments[0][0] > 0:
        segments.insert(0, (0.0, segments[0][0] if segments else duration_s, "sil"))
    times = (np.arange(round(duration_s * fps)) + 0.5) / fps
    out = np.zeros((len(times), len(actions)), np.float32)
    total, closed = np.zeros(len(times)), np.zeros(len(times))
    for start, end, name in segments:
        half = (end - start) / 2
        away = np.abs(times - ((start + end) / 2 - LEAD_S / 2))
        beyond = np.maximum(0, away - half * 0.35) / np.maximum(0.035, half * 0.75)
        pull = DOMINANCE[name] * np.exp(-0.5 * beyond**2)
        total += pull
        for action, weight in VISEMES[name].items():
            out[:, actions.index(action)] += pull * weight
        if name in ("PP", "FF"):
            bell = np.exp(-0.5 * (away / max(0.03, half * 0.8)) ** 2)
            closed = np.maximum(closed, bell * (1 if name == "PP" else 0.75))
    out /= np.maximum(total, 0.05)[:, None]
    out[:, actions.index("jawOpen")] *= 1 - closed * 0.92
    for action in LIP_OPENERS:
        out[:, actions.index(action)] *= 1 - closed * 0.9
    return out
