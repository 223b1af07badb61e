"""`masquerade bench quality` for models that speak: each clip's voice speaks from avatars and from its own person.

A real mouth's figures stand beside: what the same reader and the same definitions say of the clip itself.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.charts import Sheet
from benchmarks.clips import open_clip
from benchmarks.goals import judge
from benchmarks.metrics import Bools, Reals
from benchmarks.metrics.acting import opening
from benchmarks.metrics.lips import envelope, lip_offset, lip_points, lip_shape_error, motion_at_rest
from benchmarks.quality_motion import Say, open_avatars
from benchmarks.readers import ReaderName, TrackerReader
from benchmarks.rig import frames_of
from realtime.audio.delay_line import ReadAhead
from realtime.audio.mel import Resampler
from realtime.audio.sound_file import SoundFile
from realtime.audio.source import SPEECH_HZ, Block
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.clock import NS_PER_S, StageTimer, now_ns
from realtime.config import RunConfig
from realtime.errors import ConfigError
from realtime.families.lip_sync.effect import open_lips
from realtime.families.lip_sync.idle import find_mesh_head
from realtime.families.motion.mesh.head import Head
from realtime.frame import Floats, Frame, Pixels
from realtime.inference.session import report
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

OWN = "own picture"
"""The avatar that is a picture out of the clip itself: its mouth has a truth to be compared with."""

SPEAKS_DB = 15.0
"""Above the floor of the envelope: here somebody speaks."""


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """A clip's voice at 16 kHz: `samples` with `speech_s` seconds of speech, then `rest_s` of silence and of noise."""

    samples: Floats
    speech_s: float
    rest_s: float

    def times(self) -> Reals:
        """When the pictures are, in seconds."""
        return np.arange(int((self.speech_s + 2 * self.rest_s) * RATE_HZ)) / RATE_HZ

    def part(self, name: str) -> Bools:
        """Which pictures belong to `speech`, `silence` or `noise`, (n,)."""
        noisy_s = self.speech_s + self.rest_s
        start, end = {
            "speech": (0.0, self.speech_s),
            "silence": (self.speech_s + SETTLE_S, noisy_s),
            "noise": (noisy_s + SETTLE_S, noisy_s + self.rest_s),
        }[name]
        return np.asarray((self.times() >= start) & (self.times() < end))


def voice_of(clip: Path, most_s: float | None = None, rest_s: float = REST_S) -> Voice:
    """A clip's sound, from where its pictures begin, at most `most_s` of it. Raises ConfigError where there is none."""
    pieces: list[Floats] = []
    with closing(SoundFile(clip)) as source:
        change: Resampler | None = None
        while (block := source.read()) is not None:
            if change is None:
                change = Resampler(block.rate_hz, SPEECH_HZ)
                pieces.append(np.zeros(max(round(block.start_ns / NS_PER_S * SPEECH_HZ), 0), np.float32))
            pieces.append(change(block.samples))
        if change is not None:
            pieces.append(change.finish())
    speech = np.concatenate(pieces)[: None if most_s is None else round(most_s * SPEECH_HZ)]
    loud = float(np.sqrt(np.mean(speech[np.abs(speech) > 0.1 * np.abs(speech).max()] ** 2)))
    count = round(rest_s * SPEECH_HZ)
    noise = _pink(count) * np.float32(loud * 10 ** (NOISE_DB / 20))
    return Voice(np.concatenate([speech, np.zeros(count, np.float32), noise]), len(speech) / SPEECH_HZ, rest_s)


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


def speak(
    voice: Voice,
    bundle: Bundle,
    config: RunConfig,
    avatar: Avatar,
    reader: TrackerReader,
    see: Callable[[int, Pixels, Face | None], None],
) -> tuple[list[Face | None], dict[str, str]]:
    """(the output's face in every picture, where it ran): the avatar says it all. Raises MasqueradeError.

    `see` gets each picture's number, the picture and its face.
    """
    height, width = avatar.pixels.shape[:2]
    scale = min(1.0, 1280 / max(width, height))
    size = config.size or (round(width * scale), round(height * scale))
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    faces: list[Face | None] = []
    settings = config.settings()
    how: dict[str, Any] = {"provider": config.provider, "precision": config.precision}
    with ExitStack() as opened:
        ahead = ReadAhead(lambda: Played(voice.samples), lambda: SpeechBuffer(exact=True))
        speech = opened.enter_context(closing(ahead))
        effect = opened.enter_context(closing(open_lips(bundle, [avatar], speech=speech, **how)))
        for number, at_s in enumerate(voice.times().tolist()):
            frame = Frame(blank, number, now_ns(), at_s)
            picture = effect(frame, [], settings, StageTimer(now_ns))
            assert picture is not None  # an avatar is always there
            faces.append(reader.read(frame.with_pixels(picture)))
            see(number, picture, faces[-1])
        on = report(effect.sessions)
        return faces, {"swap": on.provider, "precision": on.precision}


@dataclass(frozen=True, slots=True, eq=False)
class RealMouth:
    """What a clip itself shows, picture by picture at its own rate; `still`: one with its mouth at rest."""

    name: str
    pictures: Sequence[Pixels]
    faces: Sequence[Face | None]
    rate_hz: float
    still: Avatar


def watch(clip: Path, config: RunConfig, which: ReaderName, frames: int | None) -> RealMouth:
    """Read a clip's own mouth. Raises ConfigError for one in which nobody is seen."""
    pictures: list[Pixels] = []
    faces: list[Face | None] = []
    with closing(open_clip(clip, config.size)) as source, closing(TrackerReader(which, config)) as reader:
        for frame in frames_of(source, frames):
            pictures.append(frame.pixels)
            faces.append(reader.read(frame))
        rate_hz = source.rate_hz
    gaps = np.array([opening(face) for face in faces])
    if not np.isfinite(gaps).any():
        raise ConfigError(f"{clip} shows no face whose mouth could be compared: give a clip of somebody who speaks")
    calm = int(np.nanargmin(gaps))
    own = Avatar(OWN, clip.stem, "synthetic", pictures[calm], None, faces[calm])
    return RealMouth(clip.name, pictures, faces, rate_hz, own)


def speak_clips(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    spec: str | None,
    *,
    which: ReaderName,
    frames: int | None,
    quick: bool,
    say: Say,
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip and avatar). `quick`: short rests. Raises MasqueradeError."""
    head = find_mesh_head()
    if head is None:
        raise ConfigError("a mouth's shape is read with the motion model's mesh: reinstall masquerade")
    avatars = open_avatars(spec, with_face=True)
    found: list[dict[str, Any]] = []
    sheets: list[Sheet] = []
    ran: dict[str, str] = {}
    for clip in clips:
        voice_of(clip)  # refuses a silent clip before anybody is watched
        real = watch(clip, config, which, frames)
        voice = voice_of(clip, len(real.faces) / real.rate_hz, SHORT_REST_S if quick else REST_S)
        for avatar in (*avatars, real.still):
            sheets.append(Sheet(f"{clip.name} speaks from {avatar.name}"))
            figures, ran = _one(voice, real, bundle, config, avatar, which, head, sheets[-1])
            found.append(figures)
            say(f"{clip.name} speaks from {avatar.name}: {figures['spoken_frames']} of {figures['frames']} in speech")
    report = {
        "family": "lip-sync",
        "avatars": [avatar.name for avatar in avatars],
        "providers": {"lips": ran["swap"]},
        "precision": {"lips": ran["precision"]},
        "clips": found,
    }
    return report, sheets


def _one(
    voice: Voice,
    real: RealMouth,
    bundle: Bundle,
    config: RunConfig,
    avatar: Avatar,
    which: ReaderName,
    head: Head,
    sheet: Sheet,
) -> tuple[dict[str, Any], dict[str, str]]:
    # The clip's pictures that belong to the avatar's, by time.
    times = voice.times()
    nearest = np.minimum((times * real.rate_hz).round().astype(int), len(real.faces) - 1)

    def see(number: int, picture: Pixels, face: Face | None) -> None:
        own = real.faces[nearest[number]]
        if times[number] < voice.speech_s and own is not None and face is not None:
            sheet.add(number, real.pictures[nearest[number]], picture, own, face)

    with closing(TrackerReader(which, config)) as reader:
        faces, ran = speak(voice, bundle, config, avatar, reader, see)
    level, spoken = envelope(voice.samples, times), voice.part("speech")
    speaks = spoken & (level > level[spoken].min() + SPEAKS_DB)
    mouth, own_mouth = (np.array([opening(face) for face in seen]) for seen in (faces, real.faces))
    own_times = np.arange(len(real.faces)) / real.rate_hz
    shape: dict[str, Any] = {"missing": "another person's mouth has another shape"}
    if avatar is real.still:
        true = np.stack([lip_points(head, real.faces[n]) for n in nearest])
        shape = lip_shape_error(true, np.stack([lip_points(head, face) for face in faces]), speaks)
    figures: dict[str, Any] = {
        "clip": real.name,
        "avatar": avatar.name,
        "frames": len(faces),
        "spoken_frames": int(speaks.sum()),
        "rate_hz": RATE_HZ,
        "faceless": round(float(np.isnan(mouth).mean()), 4),
        "sync": lip_offset(mouth[spoken], level[spoken], RATE_HZ),
        "real": lip_offset(own_mouth, envelope(voice.samples, own_times), real.rate_hz),
        "rest": motion_at_rest(mouth, speaks, silence=voice.part("silence"), noise=voice.part("noise")),
        "shape": shape,
    }
    figures["goals"] = judge(figures, "lip-sync")
    figures["traces"] = {
        "level_db": [round(float(v), 1) for v in level],
        "output": [None if np.isnan(v) else round(float(v), 4) for v in mouth],
        "real": [None if np.isnan(v) else round(float(v), 4) for v in own_mouth[nearest[spoken]]],
    }
    return figures, ran
