"""Faces that calibrate an int8 network, from a folder of pictures and videos or from the packaged clip.

Calibration and judgement need different samples: whole files are held out where there are enough, else the last
quarter of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.parity import Feed
from export.plan import ExportPlan, NetworkSpec
from export.samples import MORPHS, Floats, mel_windows, with_masked_half
from realtime.capture.picture import SUFFIXES, load_picture
from realtime.capture.recording import Recording
from realtime.errors import ConfigError, MasqueradeError
from realtime.frame import Pixels
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.inference.image_format import CropFormat
from realtime.models.library import built_in_folder, face_folder
from realtime.text import printable
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

CLIP = "clips/driving.mp4"
PICTURES = frozenset(f".{suffix}" for suffix in SUFFIXES)
VIDEOS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi"})
EACH_S = 0.4
"""Time between two samples of a video: nearer ones look alike."""
MOST_OF_A_FILE, MOST_FILES = 30, 60
COVERAGE = {"motion": 2.2, "lip-sync": 1.5}
"""How large a picture those families' models were trained on, in sides of the mean face: head and shoulders of
VoxCeleb; a detector's box around the face."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceSample:
    """One picture with one face in it: the frame, (H, W, 3) uint8 BGR, and what the tracker says of its face."""

    pixels: Pixels
    face: Face


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What to measure ranges on, what to judge by, and where both are from, as a line."""

    used: tuple[FaceSample, ...]
    held_out: tuple[FaceSample, ...]
    source: str


def faces_for_calibration(folder: Path | None) -> Calibration:
    """The faces in the files of `folder`, or in the packaged clip. Raises ConfigError where there are too few."""
    if folder is None:
        files = [built_in_folder() / CLIP]
    else:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES | VIDEOS)[:MOST_FILES]
    tracker = Tracker(face_folder(), provider="cpu")
    try:
        found = [samples for file in files if (samples := _samples(file, tracker))]
    finally:
        tracker.close()
    if len(found) >= 6:
        kept, held = [m for n, m in enumerate(found) if n % 4 != 3], found[3::4]
    else:
        kept, held = [m[: len(m) - len(m) // 4] for m in found], [m[len(m) - len(m) // 4 :] for m in found]
    used, held_out = (tuple(sample for samples in some for sample in samples) for some in (kept, held))
    if len(used) < 4 or not held_out:
        where = printable(folder) if folder else CLIP
        raise ConfigError(
            f"{where} shows {len(used) + len(held_out)} faces in {len(files)} pictures and videos: int8 needs 6 files "
            "with a face, or a video of 5 seconds"
        )
    text = "the packaged clip" if folder is None else f"{len(found)} of {len(files)} files given"
    return Calibration(used, held_out, text)


def _samples(file: Path, tracker: Tracker) -> list[FaceSample]:
    """The faces of a file; none where it can't be read: one broken file of many is no reason to stop."""
    try:
        frames = [load_picture(file)] if file.suffix.lower() in PICTURES else _video(file)
    except MasqueradeError:
        return []
    return [FaceSample(pixels, faces[0]) for pixels in frames if (faces := tracker.find(pixels))]


def _video(file: Path) -> list[Pixels]:
    recording = Recording(file)
    try:
        step = max(1, round(recording.rate_hz * EACH_S))
        frames: list[Pixels] = []
        while len(frames) < MOST_OF_A_FILE and (frame := recording.read()) is not None:
            if frame.seq % step == 0:
                frames.append(frame.pixels)
        return frames
    finally:
        recording.close()


def feeds_of(plan: ExportPlan, spec: NetworkSpec, samples: Sequence[FaceSample], *, lit: bool) -> list[Feed]:
    """Faces as what a network of `plan` takes. `lit`: each face in another light as well.

    In a motion model each face is moved as another one, some samples on, holds its head. The sounds of lip-sync are
    seeded noise in the shape of speech's spectra.
    """
    table = plan.input
    form = CropFormat(int(table["size"]), "NCHW", "RGB" if table["colour"] == "RGB" else "BGR")
    faces: list[Floats] = []
    for number, sample in enumerate(samples):
        face_type = str(table.get("face_type", "whole_face"))
        matrix = crop_from_frame(sample.face.landmarks, face_type, form.size, coverage=COVERAGE.get(plan.family))
        crop = cut(sample.pixels, matrix, form.size)
        for pixels in [crop, varied(crop, number)] if lit else [crop]:
            faces.append(np.empty(form.shape(3), np.float32))
            form.fill(faces[-1], pixels)
    if plan.family == "swap":
        morphs = [np.array([MORPHS[number % len(MORPHS)]], np.float32) for number in range(len(faces))]
        inputs = [{"face": face, "morph": morph} for face, morph in zip(faces, morphs, strict=True)]
        return [{name: feed[name] for name in spec.inputs} for feed in inputs]
    if plan.family == "lip-sync":
        sounds = mel_windows(len(faces), seed=len(faces))
        return [{"mel": mel, "faces": with_masked_half(face)} for mel, face in zip(sounds, faces, strict=True)]
    source, keypoints = (
        next(each for each in plan.networks if each.file == file) for file in ("source.onnx", "keypoints.onnx")
    )
    feeds: list[Feed] = []
    for number, face in enumerate(faces):
        other = faces[(number + len(faces) // 3) % len(faces)]
        avatar, driving = source.run({"source": face}), keypoints.run({"driving": other})
        of_avatar = {f"source_{n}" if n in ("keypoints", "jacobians") else n: v for n, v in avatar.items()}
        feeds.append({**of_avatar, **{f"driving_{name}": value for name, value in driving.items()}})
    return feeds


def varied(pixels: Pixels, number: int) -> Pixels:
    """A crop in other light: contrast, brightness and tint by the seed `number`, a new array.

    A network sees other cameras than the few that calibrated it; its ranges must have room for them.
    """
    generator = np.random.default_rng(number)
    contrast, bright = generator.uniform(0.6, 1.3), generator.uniform(-30, 30)
    tint = generator.uniform(0.9, 1.1, 3)
    light = (np.asarray(pixels, np.float32) - 128) * np.float32(contrast) + np.float32(128 + bright)
    return np.asarray(np.clip(light * tint.astype(np.float32), 0, 255), np.uint8)
