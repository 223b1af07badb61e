"""Reads a mouth's shape from what a voice says: how loud it is, and which sound its spectrum is most like."""

from dataclasses import replace

import numpy as np

from realtime.audio.mel import SILENCE
from realtime.audio.speech_buffer import MelWindow
from realtime.families.figure.expression import Expression, within
from realtime.frame import Floats

DB_A_MEL = 12.5
HEARD = 2  # frames of 12.5 ms at the picture's time; more would hear past a short m
EDGES = (3, 10, 20, 32, 43, 52, 63, 80)
"""Mel bands where these begin: 200, 450, 800, 1300, 1900, 2700, 4000 and 7600 Hz."""
VOICED = 6  # of the seven bands between them: up to 4 kHz, where loudness is measured
QUIETEST_DB = -30.0  # of a band, below the loudest: less is the room's or the microphone's

# What a mouth does for a sound, (jaw, round, wide, bite); and how the sound is heard: the power in the seven bands
# below the loudest one, then its loudness below the loudest of late, in decibels. Medians of eight espeak-ng voices.
SOUNDS: dict[str, tuple[tuple[float, float, float, float], tuple[float, ...]]] = {
    "ah": ((0.90, 0.0, 0.1, 0.0), (-15, -2, 0, -4, -13, -8, -30, 0)),
    "eh": ((0.60, 0.0, 0.4, 0.0), (-9, 0, -25, -5, -1, -3, -29, -3)),
    "uh": ((0.50, 0.0, 0.0, 0.0), (-10, -1, -16, 0, -8, -6, -25, -3)),
    "ee": ((0.25, 0.0, 0.9, 0.0), (-6, -29, -30, -30, -4, 0, -25, -5)),
    "oh": ((0.65, 0.8, 0.0, 0.0), (-13, 0, -2, -30, -12, -8, -27, -1)),
    "oo": ((0.25, 1.0, 0.0, 0.0), (0, -13, -11, -6, -12, -8, -20, -7)),
    "w": ((0.20, 1.0, 0.0, 0.0), (0, -8, -14, -30, -18, -20, -30, -14)),
    "l": ((0.35, 0.0, 0.1, 0.0), (-4, -6, -26, -6, -24, 0, -22, -11)),
    "n": ((0.15, 0.0, 0.1, 0.0), (0, -9, -30, -20, -10, -13, -23, -15)),
    "m": ((0.00, 0.1, 0.0, 0.2), (-3, -22, 0, -22, -18, -11, -27, -18)),
    "b": ((0.00, 0.0, 0.0, 0.1), (0, -13, -14, -15, -14, -11, -18, -24)),
    "f": ((0.05, 0.0, 0.1, 0.9), (-13, -17, -16, -10, -8, -4, 0, -24)),
    "s": ((0.10, 0.0, 0.5, 0.0), (-30, -30, -27, -25, -23, -14, 0, -19)),
    "sh": ((0.15, 0.6, 0.0, 0.0), (-30, -30, -30, -22, -3, -2, 0, -7)),
}
_SHAPES = np.array([shape for shape, _ in SOUNDS.values()])
_HEARD_AS = np.array([heard for _, heard in SOUNDS.values()])
_SPREAD_DB = np.array([5.0, 6.0, 8.0, 9.0, 7.0, 6.0, 8.0, 5.0])
"""How much one sound differs from voice to voice, in each of these."""

LOUD_RANGE_DB = (-24.0, -6.0)  # below the loudest of late: a mouth that is shut, and one that is as open as it gets
FAINT_RANGE_DB = (-34.0, -26.0)  # likewise: the room between two words, and the faintest of sounds
LEAST_LOUD_DB = -6.0  # of the loudest, in the mel's own decibels: a quiet voice, of -42 dB of full scale
QUIETER_DB_A_S = 1.0  # how fast the loudest of late is forgotten
OPENS_S, SHUTS_S, FORMS_S = 0.05, 0.06, 0.12  # a mouth's whole way; and that of its corners
STRESS_S = 0.25


class VoiceMouth:
    """Follows one voice, picture by picture. `loud`: how loud it is of late, 0..1, for what moves along."""

    def __init__(self) -> None:
        self.loud = 0.0
        self._loudest_db = LEAST_LOUD_DB
        self._jaw, self._corners = 0.0, np.zeros(3)
        self._share = 0.0

    def __call__(self, face: Expression, spoken: MelWindow, step_s: float) -> Expression:
        """The face with the mouth of what is spoken; its own mouth where nobody speaks, or is about to."""
        level, shape = self._hear(spoken, step_s)
        self.loud += (level - self.loud) * min(step_s / STRESS_S, 1.0)
        self._jaw = _towards(self._jaw, float(shape[0]), step_s / OPENS_S, step_s / SHUTS_S)
        most = step_s / FORMS_S
        self._corners = self._corners + np.clip(shape[1:] - self._corners, -most, most)
        # The window's later part is heard already: before a word a driver's mouth, which is ahead of it, is left.
        near = 1.0 if spoken.speech > 0 or bool((spoken.mel > SILENCE).any()) else 0.0
        self._share = _towards(self._share, near, step_s / OPENS_S, step_s / SHUTS_S)
        rounded, wide, bite = (float(v) for v in self._corners)

        def mixed(own: float, said: float) -> float:
            return own + (said - own) * self._share

        return replace(
            face,
            jaw=mixed(face.jaw, self._jaw),
            round=mixed(face.round, rounded),
            wide=mixed(face.wide, wide),
            bite=mixed(face.bite, bite),
            smile=face.smile * (1.0 - self._share * rounded),
        )

    def _hear(self, spoken: MelWindow, step_s: float) -> tuple[float, Floats]:
        """How loud it is, 0..1, and the (jaw, round, wide, bite) of the sound."""
        if spoken.speech == 0.0:
            return 0.0, np.zeros(4, np.float32)
        power = 10.0 ** (spoken.mel[:, :HEARD].astype(np.float64).mean(axis=1) * DB_A_MEL / 10)
        bands = 10 * np.log10(np.add.reduceat(power, EDGES[:-1]) / np.diff(EDGES))
        loud_db = 10 * np.log10(power[EDGES[0] : EDGES[VOICED]].sum())
        self._loudest_db = max(self._loudest_db - QUIETER_DB_A_S * step_s, loud_db, LEAST_LOUD_DB)
        below_db = loud_db - self._loudest_db
        heard = np.append(np.maximum(bands - bands.max(), QUIETEST_DB), below_db)
        far = (((heard - _HEARD_AS) / _SPREAD_DB) ** 2).sum(axis=1)
        likely = np.exp(-0.5 * (far - far.min()))
        level, heard_at_all = (spoken.speech * within(below_db, span) for span in (LOUD_RANGE_DB, FAINT_RANGE_DB))
        shape = likely @ _SHAPES / likely.sum()
        shape *= (level, min(2 * level, 1.0), heard_at_all, heard_at_all)
        return level, shape.astype(np.float32)


def _towards(now: float, wanted: float, rises: float, falls: float) -> float:
    """`now` moved to `wanted` by at most so much."""
    return now + min(max(wanted - now, -falls), rises)
