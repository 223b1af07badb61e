"""Voice activity detection: how likely each mel frame is speech, so that the mouth rests in silence and in noise.

The network is Silero VAD, trained on speech in many languages and noises; it comes with masquerade.
docs/studies/voice-activity-detection.md has the numbers against other detectors.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from realtime.audio.mel import HOP, SILENCE, SPAN
from realtime.audio.source import SPEECH_HZ
from realtime.errors import ModelError
from realtime.frame import Floats
from realtime.inference.session import Session
from realtime.models.bundle import hash_file
from realtime.models.library import built_in_folder

SURE = 0.5  # from here on a frame is speech: Silero's own threshold

# A part of the program, not a bundle with a card: it is neither listed nor taken for a model that a user can run.
FILE = ("hearing", "speech.onnx")
SHA256 = "sha256:7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"


class Vad(Protocol):
    """Hears what `MelStream` hears; answers for the frames that became known, in order, none left out."""

    def __call__(self, samples: Floats, frames: Floats) -> Floats:
        """How likely each of the new `frames`, (80, m), is speech: (m,) float32 0..1.

        `samples`: (n,) float32 at 16 kHz, those that came since the last call.
        """

    def close(self) -> None: ...


class SileroVad:
    """Silero's network on chunks of 32 ms: a frame gets the answer of the last chunk that was there when it was.

    Owns `session` and closes it. 5 ms of one core for a second of sound.
    """

    CHUNK, BEFORE = 512, 64
    """Samples it hears at once, and those before them that it is shown again (Silero's own constants)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state: Floats = np.zeros((2, 1, 128), np.float32)
        self._rate = np.array(SPEECH_HZ, np.int64)
        self._before: Floats = np.zeros(self.BEFORE, np.float32)
        self._held: Floats = np.zeros(0, np.float32)
        self._answers: list[float] = []  # for the chunks from number `_first` on
        self._first = 0
        self._frame = 0

    def __call__(self, samples: Floats, frames: Floats) -> Floats:
        self._held = np.concatenate([self._held, samples])
        while len(self._held) >= self.CHUNK:
            self._answers.append(self._run(self._held[: self.CHUNK]))
            self._held = self._held[self.CHUNK :]
        count = frames.shape[1]
        out = np.zeros(count, np.float32)
        for k in range(count):
            # The last chunk that is surely complete when this frame is: so the blocks' size does not matter.
            chunk = ((self._frame + k) * HOP + SPAN // 2) // self.CHUNK - 1 - self._first
            if chunk >= 0 and self._answers:
                out[k] = self._answers[min(chunk, len(self._answers) - 1)]
        self._frame += count
        over = min((self._frame * HOP + SPAN // 2) // self.CHUNK - 2 - self._first, len(self._answers) - 1)
        if over > 0:
            del self._answers[:over]
            self._first += over
        return out

    def _run(self, chunk: Floats) -> float:
        samples = np.concatenate([self._before, chunk])[None]
        result = self._session.run({"input": samples, "state": self._state, "sr": self._rate})
        self._state, self._before = np.asarray(result["stateN"], np.float32), chunk[-self.BEFORE :].copy()
        return float(result["output"][0, 0])

    def close(self) -> None:
        self._session.close()


class NoVad:
    """Takes everything for speech, as upstream does: whatever is heard moves the mouth."""

    def __call__(self, samples: Floats, frames: Floats) -> Floats:
        return np.ones(frames.shape[1], np.float32)

    def close(self) -> None:
        """Nothing is held."""


def open_vad(folder: Path | None = None) -> SileroVad:
    """The built-in network, verified, on one thread of the CPU. Raises ModelError where it is missing or changed.

    `folder` stands in for that of the built-in models.
    """
    from realtime.inference.ort import open_session  # heavy to import: only where a voice is heard

    path = (folder or built_in_folder()).joinpath(*FILE)
    try:
        unchanged = hash_file(path) == SHA256
    except OSError as error:
        raise ModelError(f"the voice detection network is missing ({path}): install masquerade again") from error
    if not unchanged:
        raise ModelError(f"the voice detection network was changed ({path}): install masquerade again")
    return SileroVad(open_session(path, provider="cpu", precision="fp32", threads=1))


_LEAD, _HANG, _FADE = 6, 8, 4
"""Frames of 12.5 ms: the mouth opens 75 ms before a word, closes 100 ms after it, and takes 50 ms over each."""


def speech_envelope(probability: Floats) -> Floats:
    """How far the mouth may follow the sound, (n,) float32 0..1, out of the frames' speech probability, (n,).

    0 far from speech, 1 from shortly before a word to shortly after it, straight lines between.
    """
    n = len(probability)
    if not n:
        return np.zeros(0, np.float32)
    padded = np.concatenate([np.zeros(_HANG, bool), probability >= SURE, np.zeros(_LEAD, bool)])
    wide = np.any(np.lib.stride_tricks.sliding_window_view(padded, _HANG + 1 + _LEAD), axis=1)
    ramp = np.convolve(np.concatenate([np.zeros(_FADE), wide, np.zeros(_FADE)]), np.full(2 * _FADE + 1, 1.0))
    soft = ramp[2 * _FADE : 2 * _FADE + n] / (_FADE + 1)
    return np.asarray(np.minimum(soft, 1.0), np.float32)


def fade_to_silence(mel: Floats, envelope: Floats) -> Floats:
    """Mel frames, (80, n), faded to digital silence where `envelope`, (n,), is 0: a new array."""
    return np.asarray(mel * envelope[None, :] + SILENCE * (1.0 - envelope[None, :]), np.float32)
