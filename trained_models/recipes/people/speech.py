"""A sentence → sound and mouth movements. espeak-ng speaks and says when each sound begins."""

import ctypes
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import Floats

PAIRED_MOUTH = ("mouthPress", "mouthUpperUp", "mouthLowerDown", "mouthStretch", "mouthSmile")


def _shape(**weights: float) -> dict[str, float]:
    out: dict[str, float] = {}
    for name, weight in weights.items():
        if name in PAIRED_MOUTH:
            out[name + "Left"] = out[name + "Right"] = weight
        else:
            out[name] = weight
    return out


VISEMES: dict[str, dict[str, float]] = {
    "sil": {},
    "PP": _shape(mouthPress=0.35, mouthRollLower=0.25, mouthRollUpper=0.2, mouthClose=0.0),
    "FF": _shape(mouthRollLower=0.55, mouthUpperUp=0.25, jawOpen=0.06),
    "TH": _shape(jawOpen=0.14, tongueOut=0.35, mouthLowerDown=0.2),
    "DD": _shape(jawOpen=0.14, mouthLowerDown=0.25, mouthUpperUp=0.1),
    "kk": _shape(jawOpen=0.18, mouthLowerDown=0.2),
    "CH": _shape(jawOpen=0.10, mouthFunnel=0.45, mouthShrugUpper=0.15),
    "SS": _shape(jawOpen=0.05, mouthStretch=0.3, mouthLowerDown=0.25, mouthUpperUp=0.15),
    "nn": _shape(jawOpen=0.12, mouthLowerDown=0.2),
    "RR": _shape(jawOpen=0.14, mouthFunnel=0.3, mouthPucker=0.2),
    "aa": _shape(jawOpen=0.52, mouthLowerDown=0.2, mouthUpperUp=0.15),
    "E": _shape(jawOpen=0.32, mouthStretch=0.25, mouthUpperUp=0.15, mouthLowerDown=0.25),
    "I": _shape(jawOpen=0.16, mouthSmile=0.25, mouthStretch=0.25, mouthLowerDown=0.25),
    "O": _shape(jawOpen=0.34, mouthFunnel=0.55, mouthPucker=0.15),
    "U": _shape(jawOpen=0.14, mouthPucker=0.75, mouthFunnel=0.2),
}
"""The fifteen visemes of the usual lip-sync sets, as weights of ARKit-style actions."""

DOMINANCE = {
    **{"PP": 1.6, "FF": 1.4, "U": 1.3, "O": 1.2, "CH": 1.2, "aa": 1.0, "E": 0.9, "I": 0.9},
    **{"SS": 1.0, "TH": 0.9, "DD": 0.55, "kk": 0.35, "nn": 0.5, "RR": 0.8, "sil": 0.8},
}
"""How strongly a sound insists on its shape against its neighbours."""

_SOUNDS = {
    "PP": "p b m",
    "FF": "f v",
    "TH": "θ ð T D",
    "CH": "ʃ ʒ tʃ dʒ S Z tS dZ",
    "SS": "s z",
    "nn": "n l ŋ N ɫ əl L",
    "RR": "r ɹ ɚ ɝ 3 ɜ R r-",
    "DD": "t d ɾ t# ɐ#",
    "kk": "k ɡ g h x q ʔ C",
    "U": "u ʊ w U uː y",
    "O": "o ɔ oʊ ɒ O 0 oː aU OI",
    "I": "i ɪ iː j I e eɪ i:",
    "E": "ɛ æ E a# eI eə A@",
    "aa": "a ɑ ʌ ə ɐ aɪ aʊ A aI V @ I2 3:",
}
"""espeak-ng's names of sounds, in its own notation and in IPA."""


def viseme(sound: str) -> str:
    """The mouth shape of a sound; stress marks and pauses are understood, unknown sounds guessed."""
    sound = sound.replace("ˈ", "").replace("ˌ", "").replace("ː", "").strip("'_,:;|?*#%=~ ")
    if not sound:
        return "sil"
    for wanted in (sound, sound[0]):
        for name, sounds in _SOUNDS.items():
            if wanted in sounds.split():
                return name
    return "aa" if sound[0] in "aɑʌəɐ" else "DD"


SYNCHRONOUS, PHONEME_EVENTS, PHONEME, END = 2, 1, 7, 0  # constants of speak_lib.h
RATE, PITCH = 1, 3
SHORTEST_S = 0.005
LEAD_S = 0.04  # lips move a little before the sound
LIP_OPENERS = (*("mouthLowerDownLeft", "mouthLowerDownRight"), *("mouthUpperUpLeft", "mouthUpperUpRight"))


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """`samples` (n,) int16 mono at `rate_hz`; `sounds`: (start in seconds, espeak's name) in order."""

    samples: npt.NDArray[np.int16]
    rate_hz: int
    sounds: list[tuple[float, str]]


class _Name(ctypes.Union):
    _fields_: ClassVar[Any] = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


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
    """Speak a sentence with the shared library libespeak-ng (GPL-3, loaded when called, not shipped). Its command line
    tells no times; its events do. Raises OSError where the library is missing."""
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
    """(frames, 52) action weights over time. Each sound pulls with a bell about its middle, as strongly as its
    dominance (after Cohen and Massaro 1993); closed lips (p, b, m) and lip on teeth (f, v) are made certain."""
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
