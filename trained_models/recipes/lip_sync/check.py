"""`check`: what the bundle does with voices it never heard and faces it never saw, in numbers and sheets."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from realtime.audio.mel import Resampler
from realtime.audio.sound_file import SoundFile
from realtime.audio.source import SPEECH_HZ
from realtime.audio.vad import SpeechGate, open_gate
from realtime.families.lip_sync.effect import LipSync
from realtime.families.lip_sync.network import LipSyncNetwork, open_lip_sync
from realtime.frame import Floats, Pixels
from realtime.models.avatar import avatar_pixels
from realtime.models.library import built_in_avatars, load_bundle
from realtime.tracking.tracker import Tracker
from trained_models.recipes.lip_sync.gathered import HELD_OUT, held_out, person_files
from trained_models.recipes.lip_sync.measure import InStep, envelope, in_step, mouth_error, opening, spoken_by
from trained_models.recipes.lip_sync.outlines import large
from trained_models.recipes.lip_sync.spoken import HELD_OUT_TEXTS, wave
from trained_models.recipes.lip_sync.takes import PICTURES, SEEN, SIDE, read_takes, window_of

VOICES = (("en-gb-x-rp+michel", 150, 35), ("en-gb-x-rp+alicia", 170, 60), ("sk+grandpa", 160, 40), ("nb+adam", 190, 50))
MOST_S = 6.0
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Stand:
    """What is measured, and with what: `variant` is `fast` or `fine`."""

    network: LipSyncNetwork
    tracker: Tracker
    variant: str

    def speaks(self, frames: list[Pixels], samples: Floats, gate: SpeechGate | None) -> tuple[Floats, list[Pixels]]:
        """As `spoken_by`."""
        lips = LipSync(self.network, _Nobody(), title="check")
        return spoken_by(lips, self.tracker.find, frames, samples, gate, self.variant)


def check(
    bundle: Path, sounds: list[Path], pictures: list[Path], data: Path, sheets: Path | None, variant: str = "fast"
) -> dict[str, str]:
    """Print everything; gives what belongs on the card.

    `sounds` that are videos with a face are re-voiced with their own sound besides.
    """
    tracker = Tracker(provider="cpu")
    network = open_lip_sync(load_bundle(bundle), provider="cpu", threads=1)
    stand = Stand(network, tracker, variant)
    faces = {path.parent.name: path for path in sorted(built_in_avatars().glob("*/picture.*"))}
    faces |= {path.stem: path for path in pictures}
    said = {
        f"{voice} {rate}": wave(HELD_OUT_TEXTS[k % 3], voice, rate, pitch)
        for k, (voice, rate, pitch) in enumerate(VOICES)
    }
    said |= {path.stem: sound_of(path) for path in sounds}
    stills = {name: avatar_pixels(path)[0] for name, path in faces.items()}
    first = next(iter(stills))
    found: dict[str, list[InStep]] = {"voices": [], "real": []}
    for title, samples in said.items():
        one = _talk(stand, [stills[first]], samples, sheets, f"{title}_{first}")
        found["real" if title in {path.stem for path in sounds} else "voices"].append(_tell(title, first, one))
    last = list(said)[-1]
    for name, still in list(stills.items())[1:]:
        _tell(last, name, _talk(stand, [still], said[last], sheets, f"{last}_{name}"))
    facts = {
        "voices": f"espeak-ng, held out: {_range(found['voices'])}; recipe's check",
        "real_voices": f"filmed people's, by an avatar: {_range(found['real'])}",
        "silence": _silence(stand, stills[first], said),
    }
    made_up = {title: samples for title, samples in said.items() if title not in {path.stem for path in sounds}}
    again = [_revoiced(stand, path, made_up, sheets) for path in sounds]
    first_said, all_said = [one[0] for one in again if one], [each for one in again for each in one]
    facts["revoiced"] = (
        f"filmed people with the first of the voices: {_range(first_said)}; with each of them: {_range(all_said)}"
    )
    if person_files(data):
        facts["held_out_lips"] = _held_out(stand, data, sheets)
    network.close()
    tracker.close()
    mark = "fine_" if variant == "fine" else ""
    return {mark + name: fact for name, fact in facts.items() if fact}


def _range(found: list[InStep]) -> str:
    if not found:
        return "not asked"
    offsets, r = [one.offset for one in found], [one.r for one in found]
    return (
        f"the mouth opens {min(offsets):+.1f} to {max(offsets):+.1f} pictures after the sound, "
        f"r {min(r):.2f} to {max(r):.2f} with its envelope"
    )


def _tell(title: str, face: str, found: InStep) -> InStep:
    print(
        f"{title} by {face}: offset {found.offset:+.2f} pictures, r {found.r:.2f} (at none {found.r_at_0:.2f}), "
        f"opening {found.opening:.3f}",
        flush=True,
    )
    return found


def sound_of(path: Path) -> Floats:
    """The first seconds of a file's sound at 16 kHz."""
    source = SoundFile(path)
    parts: list[Floats] = []
    to_speech: Resampler | None = None
    while (block := source.read()) is not None and sum(map(len, parts)) < MOST_S * SPEECH_HZ:
        to_speech = to_speech or Resampler(block.rate_hz, SPEECH_HZ)
        parts.append(to_speech(block.samples))
    source.close()
    return np.concatenate(parts)[: int(MOST_S * SPEECH_HZ)]


def frames_of(path: Path) -> Iterator[Pixels]:
    """The first seconds of a clip at 25 pictures a second, none larger than 720 rows."""
    with av.open(str(path)) as container:
        due = 0
        for frame in container.decode(video=0):
            at = float(frame.time or 0.0)
            if at >= MOST_S:
                return
            while due / 25 <= at + 1e-6:
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                due += 1


def _talk(stand: Stand, frames: list[Pixels], samples: Floats, sheets: Path | None, name: str) -> InStep:
    gate = open_gate()
    opened, made = stand.speaks(frames, samples, gate)
    gate.close()
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        face = stand.tracker.find(made[0])[0]
        x0, y0, x1, y1 = (int(v) for v in face.box)
        wide = max(x1 - x0, y1 - y0) // 8
        part = [m[max(y0 - wide, 0) : y1 + wide, max(x0 - wide, 0) : x1 + wide] for m in made]
        chosen = [cv2.resize(p, (224, 224), interpolation=cv2.INTER_AREA) for p in part[10 : 10 + 2 * SHOWN * 2 : 2]]
        rows = [np.hstack(chosen[a:b]) for a, b in pairwise(range(0, len(chosen) + 1, SHOWN))]
        cv2.imwrite(str(sheets / f"{name.replace(' ', '_')}.jpg"), np.vstack(rows))
    return in_step(opened, envelope(samples, len(opened)))


class _Nobody:
    """A voice that is never asked."""

    by_media = True
    delay_s = 0.0

    def __call__(self, at_ns: int) -> Any:
        raise AssertionError("the check brings its own sound")


def _silence(stand: Stand, still: Pixels, said: dict[str, Floats]) -> str:
    """Mouth motion where nobody speaks, in shares of that in speech: with the gate, and without."""
    rng = np.random.default_rng(2)
    quiet = {"digital silence": np.zeros(3 * SPEECH_HZ, np.float32)}
    quiet["noise at -50 dB"] = (10 ** (-50 / 20) * rng.standard_normal(3 * SPEECH_HZ)).astype(np.float32)
    quiet["noise at -30 dB"] = (10 ** (-30 / 20) * rng.standard_normal(3 * SPEECH_HZ)).astype(np.float32)
    speech = next(iter(said.values()))
    told: list[str] = []

    def motion(samples: Floats, gate: SpeechGate | None) -> float:
        return float(stand.speaks([still], samples, gate)[0].std())

    gate = open_gate()
    spoken = motion(speech, gate)
    for name, samples in quiet.items():
        fresh = open_gate()
        gated, bare = (motion(samples, g) / spoken for g in (fresh, None))
        told.append(f"{name} {gated:.2f} ({bare:.2f} without the gate)")
        print(f"{name}: motion {gated:.3f} of that in speech, {bare:.3f} without the gate", flush=True)
        fresh.close()
    gate.close()
    return "motion, of that in speech: " + ", ".join(told)


def _revoiced(stand: Stand, clip: Path, voices: dict[str, Floats], sheets: Path | None) -> list[InStep]:
    """A clip's own lips, and what re-voicing makes of them: with its own sound, and with `voices`, which are given.

    Beside each what a still of the clip makes of as much of the same voice: no re-voicing can be expected to do better.
    """
    frames = list(frames_of(clip))
    if not frames or not stand.tracker.find(frames[0]):
        return []
    samples = sound_of(clip)
    opened, last = [], 0.0
    for frame in frames:
        faces = stand.tracker.find(frame)
        last = opening(faces[0]) if faces else last
        opened.append(last)
    _tell(clip.stem, "its own lips", in_step(np.array(opened, np.float32), envelope(samples, len(frames))))
    _tell(clip.stem, "re-voiced with its sound", _talk(stand, frames, samples, sheets, f"{clip.stem}_own"))
    calm = frames[int(np.argmin(opened))]
    found = []
    for title, voice in voices.items():
        count = min(len(frames), int(len(voice) / SPEECH_HZ * 25))
        heard = voice[: count * SPEECH_HZ // 25]
        _tell(title, f"a still of {clip.stem}", _talk(stand, [calm], heard, None, ""))
        name = f"{clip.stem}_{title}"
        found.append(_tell(title, f"re-voiced {clip.stem}", _talk(stand, frames[:count], voice, sheets, name)))
    return found


def _said(stand: Stand, face: Pixels, mel: Floats, lips: Floats) -> Pixels:
    """A crop of 128 speaking, whatever the side that the variant draws in."""
    side = stand.network.side(stand.variant)
    share = side / len(face)
    large = np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    made = stand.network.mouth(large, mel, np.asarray((lips + 0.5) * share - 0.5, np.float32))
    return np.asarray(cv2.resize(made, face.shape[:2], interpolation=cv2.INTER_AREA), np.uint8)


def _held_out(stand: Stand, data: Path, sheets: Path | None) -> str:
    """Landmarks of mouths drawn from sound alone, from a face at rest, against rendered truth."""
    people = held_out(data)
    off, still, drawn = [], [], []
    mels = np.concatenate([read_takes(p).mel for p in person_files(data)[:HELD_OUT]])
    edge = (SIDE - SEEN) // 2
    middle = slice(edge, edge + SEEN)
    for take in range(len(people.frames)):
        for k in range(2, PICTURES, 4):
            start = window_of(k)
            rest, truth = (np.ascontiguousarray(people.frames[take, j][middle, middle]) for j in (0, k))
            lips = people.outlines[take, 0] - edge
            made = _said(stand, rest, np.ascontiguousarray(mels[take][:, start : start + 16]), lips)
            seen = [stand.tracker.find(large(p)) for p in (rest, made, truth)]
            if all(seen):
                off.append(mouth_error(seen[1][0], seen[2][0]))
                still.append(mouth_error(seen[0][0], seen[2][0]))
            drawn.append(np.vstack([rest, made, truth]))
    print(
        f"held-out mouths, sound alone: {np.mean(off):.4f} of the eyes' distance, left at rest {np.mean(still):.4f}, "
        f"{len(off)} of {len(drawn)} pictures read"
    )
    if sheets is not None:
        rows = [np.hstack(drawn[a : a + 16]) for a in range(0, min(len(drawn), 48) - 15, 16)]
        cv2.imwrite(str(sheets / "held_out.jpg"), np.vstack(rows))
    return f"{np.mean(off):.3f} of the eyes' distance from rendered truth, {np.mean(still):.3f} if left at rest"
