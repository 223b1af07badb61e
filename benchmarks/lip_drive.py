"""A clip's voice with silence and noise behind it, and the mouth of an avatar that hears it."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.lip_offset import Reals
from benchmarks.reading import Reader
from realtime.audio.delay_line import ReadAhead
from realtime.audio.mel import Resampler
from realtime.audio.sound_file import SoundFile
from realtime.audio.source import SPEECH_HZ, Block
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.clock import NS_PER_S, StageTimer, now_ns
from realtime.config import RunConfig
from realtime.families.lip_sync.open_model import open_lips
from realtime.families.motion.canvas import read_background
from realtime.frame import Floats, Frame, Pixels
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face

REST_S, SHORT_REST_S = 3.0, 1.2
"""So long is the silence behind a clip, and the noise behind that; and where time matters more."""
SETTLE_S = 0.5
"""Of either, what does not count: the gate closes 100 ms after a word, the window of sound ends 200 ms later."""
NOISE_DB = -20.0
"""Pink noise, under the speech by so much: a fan in the room."""

RATE_HZ = 25.0
"""How often a still that speaks is shown: Wav2Lip's own rate, whatever the clip's."""


@dataclass(frozen=True, slots=True, eq=False)
class Voiced:
    """A clip's voice at 16 kHz: `samples` with `speech_s` seconds of speech, then `rest_s` of silence and of noise."""

    samples: Floats
    speech_s: float
    rest_s: float

    def times(self) -> Reals:
        """When the pictures are, in seconds."""
        return np.arange(int((self.speech_s + 2 * self.rest_s) * RATE_HZ)) / RATE_HZ

    def part(self, name: str) -> Reals:
        """Which pictures belong to `speech`, `silence` or `noise`, (n,) bool."""
        noisy_s = self.speech_s + self.rest_s
        start, end = {
            "speech": (0.0, self.speech_s),
            "silence": (self.speech_s + SETTLE_S, noisy_s),
            "noise": (noisy_s + SETTLE_S, noisy_s + self.rest_s),
        }[name]
        times = self.times()
        return np.asarray((times >= start) & (times < end))


def voice_of(clip: Path, most_s: float | None = None, rest_s: float = REST_S) -> Voiced:
    """A clip's sound, from where its pictures begin, at most `most_s` of it. Raises ConfigError where there is none."""
    pieces: list[Floats] = []
    at = 0
    with closing(SoundFile(clip)) as source:
        change: Resampler | None = None
        while (block := source.read()) is not None:
            change = change or Resampler(block.rate_hz, SPEECH_HZ)
            lead = round(block.start_ns / NS_PER_S * SPEECH_HZ) - at if not pieces else 0
            pieces += [np.zeros(max(lead, 0), np.float32), change(block.samples)]
            at += sum(len(piece) for piece in pieces[-2:])
        if change is not None:
            pieces.append(change.finish())
    speech = np.concatenate(pieces)[: None if most_s is None else round(most_s * SPEECH_HZ)]
    loud = float(np.sqrt(np.mean(speech[np.abs(speech) > 0.1 * np.abs(speech).max()] ** 2)))
    count = round(rest_s * SPEECH_HZ)
    noise = _pink(count) * np.float32(loud * 10 ** (NOISE_DB / 20))
    return Voiced(np.concatenate([speech, np.zeros(count, np.float32), noise]), len(speech) / SPEECH_HZ, rest_s)


def _pink(count: int) -> Floats:
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(count)) / np.sqrt(np.maximum(np.fft.rfftfreq(count, 1 / SPEECH_HZ), 20))
    sound = np.fft.irfft(spectrum, count)
    return np.asarray(sound / sound.std(), np.float32)


class Played:
    """Samples as a file would give them. Obeys `SoundSource`."""

    name, live, state = "samples", False, "ok"

    def __init__(self, samples: Floats) -> None:
        self._samples, self._at = samples, 0

    def read(self) -> Block | None:
        """The next 100 ms."""
        piece = self._samples[self._at : self._at + SPEECH_HZ // 10]
        if not len(piece):
            return None
        start_ns, self._at = self._at * NS_PER_S // SPEECH_HZ, self._at + len(piece)
        return Block(piece, SPEECH_HZ, start_ns)

    def unblock(self) -> None:
        """End it."""
        self._at = len(self._samples)

    def close(self) -> None:
        """Nothing is open."""


See = Callable[[int, Pixels, Face | None], None]


def speak(
    voiced: Voiced, bundle: Bundle, config: RunConfig, avatar: Avatar, reader: Reader, see: See
) -> tuple[list[Face | None], dict[str, str]]:
    """(the output's face in every picture, where it ran): the avatar says it all. Raises MasqueradeError.

    `see` gets each picture's number, the picture and its face.
    """
    height, width = avatar.pixels.shape[:2]
    share = min(1.0, 1280 / max(width, height))
    size = config.size or (round(width * share), round(height * share))
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    settings = config.settings()
    faces: list[Face | None] = []
    speech = ReadAhead(lambda: Played(voiced.samples), lambda: SpeechBuffer(exact=True))
    with closing(speech):
        character = open_lips(
            bundle,
            speech,
            [avatar],
            background=read_background,
            provider=config.provider,
            precision=config.precision,
        )
        with closing(character):
            for number, at_s in enumerate(voiced.times().tolist()):
                picture = character(Frame(blank, number, now_ns(), at_s), [], settings, StageTimer(now_ns))
                assert picture is not None  # an avatar is always there
                faces.append(reader.read(Frame(picture, number, now_ns(), at_s)))
                see(number, picture, faces[-1])
            ran = {"swap": character.ran_on, "precision": character.precision}
    return faces, ran
