"""Faces to measure an int8 network's ranges on: from a folder of pictures and videos, or from the packaged clip.

Calibration and judgement need different samples: whole files are held out where there are enough, else the
last quarter of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.capture.picture import load_picture
from realtime.capture.recording import Recording
from realtime.errors import ConfigError, MasqueradeError
from realtime.frame import Frame, Pixels
from realtime.models.library import built_in_folder
from realtime.text import printable
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

CLIP = "clips/driving.mp4"
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEOS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi"})

EACH_S = 0.4
"""How much time lies between two moments of a video: nearer ones look alike."""

MOST_OF_A_FILE = 30
MOST_FILES = 60


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One picture with one face in it: the frame, (H, W, 3) uint8 BGR, and what the tracker says of its face."""

    pixels: Pixels
    face: Face


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What to measure ranges on, what to judge by, and where both are from, as a line."""

    used: tuple[Moment, ...]
    held_out: tuple[Moment, ...]
    source: str


def faces_for_calibration(folder: Path | None) -> Calibration:
    """The faces in the files of `folder`, or in the packaged clip.

    Raises ConfigError where there are too few to measure anything.
    """
    if folder is None:
        files = [built_in_folder() / CLIP]
    else:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES | VIDEOS)[:MOST_FILES]
    tracker = Tracker(provider="cpu")
    try:
        found = [moments for file in files if (moments := _moments(file, tracker))]
    finally:
        tracker.close()
    if len(found) >= 6:
        kept, held = [m for n, m in enumerate(found) if n % 4 != 3], found[3::4]
    else:
        kept, held = [m[: len(m) - len(m) // 4] for m in found], [m[len(m) - len(m) // 4 :] for m in found]
    used, held_out = _flat(kept), _flat(held)
    if len(used) < 4 or not held_out:
        where = printable(folder) if folder else CLIP
        raise ConfigError(
            f"{where} shows {len(used) + len(held_out)} faces in {len(files)} pictures and videos: int8 needs 6 files "
            "with a face, or a video of 5 seconds"
        )
    text = "the packaged clip" if folder is None else f"{len(found)} of {len(files)} files given"
    return Calibration(used, held_out, text)


def _flat(found: Sequence[Sequence[Moment]]) -> tuple[Moment, ...]:
    return tuple(moment for moments in found for moment in moments)


def _moments(file: Path, tracker: Tracker) -> list[Moment]:
    """The faces of a file; none where it can't be read: one broken file of many is no reason to stop."""
    try:
        frames = [load_picture(file)] if file.suffix.lower() in PICTURES else _video(file)
    except MasqueradeError:
        return []
    moments = []
    for pixels in frames:
        people = tracker.find(pixels)
        if people:
            moments.append(Moment(pixels, people[0]))
    return moments


def _video(file: Path) -> list[Pixels]:
    recording = Recording(file)
    try:
        step = max(1, round(recording.rate_hz * EACH_S))
        frames: list[Pixels] = []
        frame: Frame | None = recording.read()
        while frame is not None and len(frames) < MOST_OF_A_FILE:
            if frame.seq % step == 0:
                frames.append(frame.pixels)
            frame = recording.read()
        return frames
    finally:
        recording.close()


def varied(pixels: Pixels, number: int) -> Pixels:
    """A crop in other light: contrast, brightness and tint of one of many kinds by `number`, a new array.

    A network sees other cameras than the few that calibrated it; its ranges must have room for them.
    """
    generator = np.random.default_rng(number)
    contrast, bright = generator.uniform(0.6, 1.3), generator.uniform(-30, 30)
    tint = generator.uniform(0.9, 1.1, 3)
    light = (np.asarray(pixels, np.float32) - 128) * np.float32(contrast) + np.float32(128 + bright)
    return np.asarray(np.clip(light * tint.astype(np.float32), 0, 255), np.uint8)
