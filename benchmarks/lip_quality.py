"""`masquerade bench quality` for models that speak: each clip's voice speaks from avatars and from its own person.

A real mouth's figures stand beside: what the same reader and the same definitions say of the clip itself.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.goals import LIP_GOALS, judge, judge_all, table
from benchmarks.lip_drive import RATE_HZ, REST_S, SHORT_REST_S, Voiced, speak, voice_of
from benchmarks.lip_offset import Reals, envelope, in_step, opening
from benchmarks.lip_shape import lips, mouth_error
from benchmarks.mask_truth import open_clip
from benchmarks.reading import open_reader
from benchmarks.sheet import Sheet
from benchmarks.watched_puppet import open_avatars
from realtime.config import RunConfig
from realtime.errors import ConfigError
from realtime.families.lip_sync.idle import find_head
from realtime.families.motion.mesh.head import Head
from realtime.frame import Pixels
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face

Say = Callable[[str], None]
Which = Literal["own", "mediapipe"]

OWN = "own picture"
"""The avatar that is a picture out of the clip itself: its mouth has a truth to be compared with."""
SPEAKS_DB = 15.0
"""Above the floor of the envelope: here somebody speaks."""
LEAST_SEEN = 10
"""Pictures of each kind."""


@dataclass(frozen=True, slots=True, eq=False)
class RealMouth:
    """What a clip itself shows, picture by picture at the avatars' rate; `still`: one with its mouth at rest."""

    name: str
    pictures: Sequence[Pixels]
    faces: Sequence[Face | None]
    rate_hz: float
    still: Avatar


def speak_clips(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    spec: str | None,
    *,
    which: Which,
    frames: int | None,
    quick: bool,
    say: Say,
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip and avatar). `quick`: short rests.

    Raises MasqueradeError.
    """
    head = find_head()
    if head is None:
        raise ConfigError("a mouth's shape is read with the motion model's mesh: reinstall masquerade")
    avatars = open_avatars(spec, with_face=True)
    found: list[dict[str, Any]] = []
    sheets: list[Sheet] = []
    ran: dict[str, str] = {}
    for clip in clips:
        voice_of(clip)  # refuses a silent clip before anybody is watched
        real = watch(clip, config, which, frames)
        voiced = voice_of(clip, len(real.faces) / real.rate_hz, SHORT_REST_S if quick else REST_S)
        for avatar in (*avatars, real.still):
            sheets.append(Sheet(f"{clip.name} speaks from {avatar.name}"))
            figures, ran = _one(voiced, real, bundle, config, avatar, which, head, sheets[-1])
            found.append(figures)
            say("\n".join(told(figures)))
    everything = judge_all(found, LIP_GOALS)
    table([{**c, "clip": f"{c['avatar']} {c['clip']}"} for c in found], everything, say)
    report: dict[str, Any] = {
        "family": "lip-sync",
        "avatars": [avatar.name for avatar in avatars],
        "model_files": dict(bundle.card.files),
        "providers": {"lips": ran["swap"]},
        "precision": {"lips": ran["precision"]},
        "goals": everything,
        "clips": found,
    }
    return report, sheets


def watch(clip: Path, config: RunConfig, which: Which, frames: int | None) -> RealMouth:
    """Read a clip's own mouth. Raises ConfigError for one in which nobody is seen."""
    pictures: list[Pixels] = []
    faces: list[Face | None] = []
    with closing(open_clip(clip, config.size)) as source, closing(open_reader(which, "auto")) as reader:
        while (frames is None or len(faces) < frames) and (frame := source.read()) is not None:
            pictures.append(frame.pixels)
            faces.append(reader.read(frame))
        rate_hz = source.rate_hz
    gaps = np.array([opening(face) for face in faces])
    if not np.isfinite(gaps).any():
        raise ConfigError(f"{clip} shows no face whose mouth could be compared: give a clip of somebody who speaks")
    calm = int(np.nanargmin(gaps))
    own = Avatar(OWN, clip.stem, "synthetic", pictures[calm], None, faces[calm])
    return RealMouth(clip.name, pictures, faces, rate_hz, own)


def _one(
    voiced: Voiced,
    real: RealMouth,
    bundle: Bundle,
    config: RunConfig,
    avatar: Avatar,
    which: Which,
    head: Head,
    sheet: Sheet,
) -> tuple[dict[str, Any], dict[str, str]]:
    # The clip's pictures that belong to the avatar's, by time.
    times = voiced.times()
    nearest = np.minimum((times * real.rate_hz).round().astype(int), len(real.faces) - 1)

    def see(number: int, picture: Pixels, face: Face | None) -> None:
        own = real.faces[nearest[number]]
        if times[number] < voiced.speech_s and own is not None and face is not None:
            sheet.add(number, real.pictures[nearest[number]], picture, own, face)

    with closing(open_reader(which, "auto")) as reader:
        faces, ran = speak(voiced, bundle, config, avatar, reader, see)
    level = envelope(voiced.samples, times)
    spoken = voiced.part("speech").astype(bool)
    speaks = spoken & (level > level[spoken].min() + SPEAKS_DB)
    mouth = np.array([opening(face) for face in faces])
    own_times = np.arange(len(real.faces)) / real.rate_hz
    own_mouth = np.array([opening(face) for face in real.faces])
    shape: dict[str, Any] = {"missing": "another person's mouth has another shape"}
    if avatar is real.still:
        true = np.stack([lips(head, real.faces[n]) for n in nearest])
        shape = mouth_error(true, np.stack([lips(head, face) for face in faces]), speaks)
    figures: dict[str, Any] = {
        "clip": real.name,
        "avatar": avatar.name,
        "frames": len(faces),
        "spoken_frames": int(speaks.sum()),
        "rate_hz": RATE_HZ,
        "faceless": round(float(np.isnan(mouth).mean()), 4),
        "sync": in_step(mouth[spoken], level[spoken], RATE_HZ),
        "real": in_step(own_mouth, envelope(voiced.samples, own_times), real.rate_hz),
        "rest": resting(mouth, speaks, voiced),
        "shape": shape,
    }
    figures["goals"] = judge(figures, LIP_GOALS)
    figures["traces"] = {
        "level_db": [round(float(v), 1) for v in level],
        "output": [None if np.isnan(v) else round(float(v), 4) for v in mouth],
        "real": [None if np.isnan(v) else round(float(v), 4) for v in own_mouth[nearest[spoken]]],
    }
    return figures, ran


def resting(mouth: Reals, speaks: Reals, voiced: Voiced) -> dict[str, Any]:
    """How much a mouth moves where nobody speaks, in parts of its motion in speech: standard deviations of its opening.

    `silence` is digital silence, `noise` a fan in the room. The reader's own trembling is in it, and idle life's.
    """
    parts = {"speech": speaks, **{name: voiced.part(name) for name in ("silence", "noise")}}
    seen = {name: mouth[part.astype(bool) & np.isfinite(mouth)] for name, part in parts.items()}
    if any(len(values) < LEAST_SEEN for values in seen.values()):
        return {"missing": "the reader saw the face in too few pictures"}
    moves, *still = (float(values.std()) for values in seen.values())
    if not moves > 1e-4:
        return {"missing": "the mouth does not move in speech either"}
    return {
        "speech": round(moves, 4),
        **dict(zip(("silence", "noise"), (round(v / moves, 4) for v in still), strict=True)),
    }


def told(clip: dict[str, Any]) -> list[str]:
    """The figures as a person reads them, a line each."""
    sync, real, rest, shape = clip["sync"], clip["real"], clip["rest"], clip["shape"]
    return [
        f"{clip['clip']}, avatar {clip['avatar']}: {clip['frames']} pictures, {clip['spoken_frames']} in speech",
        f"  mouth and voice: {_sync(sync)}",
        f"  the real one:    {_sync(real)}",
        f"  at rest: {rest['missing']}" if "missing" in rest else
        f"  motion in silence {rest['silence']:.3f}, in noise {rest['noise']:.3f} of that in speech",
        f"  shape: {shape['missing']}" if "missing" in shape else
        f"  shape: {shape['nme_without_constant']} % off about a constant, {shape['of_rest']} of a mouth that rests",
    ]  # fmt: skip


def _sync(found: dict[str, Any]) -> str:
    if "missing" in found:
        return str(found["missing"])
    return (
        f"{found['offset_frames']:+d} frames ({found['offset_ms']:+.0f} ms), r {found['correlation']:.2f} "
        f"({found['correlation_unshifted']:.2f} unshifted), confidence {found['confidence']:.2f}"
    )
