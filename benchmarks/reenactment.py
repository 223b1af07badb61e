"""People moved by themselves: one of a clip's pictures becomes the avatar, the others drive it and are the truth."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.charts import Sheet
from benchmarks.clips import open_clip
from benchmarks.goals import judge
from benchmarks.metrics import Floats, Reals, mean, rounded, share
from benchmarks.quality_motion import Say, Still, second_reader
from benchmarks.readers import SecondReader, reencoded
from benchmarks.rig import frames_of
from realtime.capture.source import Source
from realtime.config import RunConfig
from realtime.errors import ConfigError
from realtime.families.motion.effect import open_motion_model
from realtime.families.motion.motion_model import Motion, MotionModel
from realtime.families.motion.reference_pose import badness
from realtime.frame import Frame, Pixels
from realtime.inference.session import report as report_of
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.models.library import face_folder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

SIDE = 256
"""Pictures are compared at this size, as the published figures are (Siarohin and others, 2019)."""

VERSIONS = ("output", "still", "reread")
"""What is compared with the truth: what the model made; the source as it is, which moves nothing; and the truth
itself after JPEG, which says what the second reader's own error is."""


class Reenacted:
    """L1 of whole pictures, AKD and MKR of the second reader's points (Siarohin and others, 2019), frame by frame."""

    def __init__(self, second: SecondReader | None) -> None:
        self._second = second
        self._l1: dict[str, list[float]] = {name: [] for name in VERSIONS}
        self._distances: dict[str, list[float]] = {name: [] for name in VERSIONS}
        self._found = 0

    def see(self, truth: Pixels, face: Face, pictures: dict[str, Pixels]) -> None:
        """One frame: the truth with its face as it was tracked, and `VERSIONS` of it, all of one size."""
        small = _small(truth)
        for name in VERSIONS:
            self._l1[name].append(float(np.abs(_small(pictures[name]) - small).mean()))
        there = self._points(truth, face)
        if there is None:
            return
        self._found += 1
        for name in VERSIONS:
            here = self._points(pictures[name], face)
            if here is not None:
                distance = float(np.linalg.norm(here - there, axis=1).mean())
                self._distances[name].append(distance * SIDE / max(truth.shape[:2]))

    def _points(self, pixels: Pixels, face: Face) -> Reals | None:
        found = None if self._second is None else self._second.find(pixels, face.box)
        return None if found is None else found.points

    def figures(self) -> dict[str, Any]:
        """`l1`, `akd_px` (also its median), `mkr` of the output, and those of the still and of the truth read again."""
        figures: dict[str, Any] = {"frames": len(self._l1["output"]), "found": self._found}
        for name in VERSIONS:
            prefix, far = "" if name == "output" else f"{name}_", self._distances[name]
            figures[f"{prefix}l1"] = mean(self._l1[name])
            figures[f"{prefix}akd_px"] = mean(far)
            figures[f"{prefix}akd_median_px"] = rounded(np.median(far), 4) if far else None
            figures[f"{prefix}mkr"] = share(self._found - len(far), self._found)
        return figures


def reenact(
    source: Source,
    model: MotionModel[Any, Any],
    second: SecondReader | None,
    sheet: Sheet | None = None,
    frames: int | None = None,
) -> dict[str, Any]:
    """One clip's figures. The model alone is asked, without the loop's filters: frame by frame, by the source.

    Raises ConfigError for a clip without a face.
    """
    shown = list(frames_of(source, frames))
    faces = _tracked(shown)
    chosen = calmest(faces)
    picture, neutral = shown[chosen].pixels, faces[chosen]
    encoded = model.encode_source(picture, neutral)
    still = Still(
        Avatar(Path(source.name).stem, source.name, "synthetic", picture, None, neutral), encoded, source.size
    )
    reference = model.encode_driving(shown[chosen], neutral, 0.0)
    compared, undriven = Reenacted(second), 0
    for frame, face in zip(shown, faces, strict=True):
        if face is None or frame is shown[chosen]:
            continue
        driving = model.encode_driving(frame, face, 0.0)
        made = still.still
        if driving is None or reference is None:
            undriven += 1
        else:
            made = still.show(model.draw(encoded, driving, reference, Motion()))
        compared.see(frame.pixels, face, {"output": made, "still": picture, "reread": reencoded(frame.pixels)})
        if sheet is not None:
            sheet.add(frame.seq, frame.pixels, made, face)
    clip: dict[str, Any] = {
        "clip": source.name,
        "frames": len(shown),
        "source_frame": shown[chosen].seq,
        "size": list(source.size),
        "without_a_tracked_face": sum(face is None for face in faces),
        "undriven": undriven,
        "reenactment": compared.figures(),
    }
    clip["goals"] = judge(clip, "reenactment")
    return clip


def calmest(faces: Sequence[Face | None]) -> int:
    """The number of the most frontal and expressionless face. Raises ConfigError where there is none."""
    known = [(badness(face), number) for number, face in enumerate(faces) if face is not None]
    if not known:
        raise ConfigError("no face was found in any frame of the clip: give another one")
    return min(known)[1]


def drive_themselves(
    clips: Sequence[Path], bundle: Bundle, config: RunConfig, *, frames: int | None, quick: bool, say: Say
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip): every clip moves one of its own pictures. Raises MasqueradeError."""
    found: list[dict[str, Any]] = []
    sheets: list[Sheet] = []
    second = None if quick else second_reader(say)
    with closing(open_motion_model(bundle, provider=config.provider, precision=config.precision)) as model:
        for clip in clips:
            sheets.append(Sheet(f"{clip.name}: truth"))
            with closing(open_clip(clip, config.size)) as source:
                found.append(reenact(source, model, second, sheets[-1], frames))
            say(f"{clip.name}: {found[-1]['frames']} frames, {found[-1]['undriven']} without a driver")
        ran_on, precision, _ = report_of(model.sessions)
    report = {
        "family": "reenactment",
        "second_reader": "none" if second is None else "dlib, 5 points",
        "providers": {"motion": ran_on},
        "precision": {"motion": precision},
        "clips": found,
    }
    return report, sheets


def _tracked(frames: Sequence[Frame]) -> list[Face | None]:
    with closing(Tracker(face_folder(), provider="cpu", steadiness=0.0)) as tracker:
        return [next(iter(tracker(frame)), None) for frame in frames]


def _small(pixels: Pixels) -> Floats:
    kernel = cv2.INTER_AREA if pixels.shape[0] > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=kernel), np.float32) / np.float32(255)
