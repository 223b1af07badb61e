"""People moved by themselves: one of a clip's pictures becomes the avatar, the others drive it and are the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.goals import REENACTMENT_GOALS, judge
from benchmarks.pictures import reencoded
from benchmarks.second_reader import Reals, SecondReader
from benchmarks.sheet import Sheet
from benchmarks.watched_puppet import Canvas
from realtime.capture.source import Source
from realtime.errors import ConfigError
from realtime.families.motion.motion_model import Motion, MotionModel
from realtime.families.motion.reference_pose import badness
from realtime.frame import Frame, Pixels
from realtime.models.avatar import Avatar
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

SIDE = 256
"""Pictures are compared at this size, as the published figures are (Siarohin and others, 2019)."""

VERSIONS = ("output", "still", "reread")
"""What is compared with the truth: what the model made; the source as it is, which moves nothing; and the truth
itself after JPEG, which says what the second reader's own error is."""


def calmest(faces: Sequence[Face | None]) -> int:
    """The number of the most frontal and expressionless face. Raises ConfigError where there is none."""
    known = [(badness(face), number) for number, face in enumerate(faces) if face is not None]
    if not known:
        raise ConfigError("no face was found in any frame of the clip: give another one")
    return min(known)[1]


class Reenacted:
    """Figures of one clip, frame by frame.

    L1: mean |output − truth| over all pixels and colours, 0..1, whole pictures at 256 px. AKD: mean distance of the
    second reader's points from the truth's, in pixels of a picture of 256. MKR: the share of the faces it found in
    the truth and not in the output. A frame in which it does not find the truth's face counts for L1 alone.
    """

    def __init__(self, second: SecondReader | None) -> None:
        self._second = second
        self._l1: dict[str, list[float]] = {name: [] for name in VERSIONS}
        self._distances: dict[str, list[float]] = {name: [] for name in VERSIONS}
        self._found = 0
        self._lost = dict.fromkeys(VERSIONS, 0)

    def see(self, truth: Pixels, face: Face, pictures: dict[str, Pixels]) -> None:
        """One frame: the truth with its face as it was tracked, and `VERSIONS` of it, all of one size."""
        small = _small(truth)
        for name in VERSIONS:
            self._l1[name].append(float(np.abs(_small(pictures[name]) - small).mean()))
        there = self._points(truth, face)
        if there is None:
            return
        self._found += 1
        unit = SIDE / max(truth.shape[:2])
        for name in VERSIONS:
            here = self._points(pictures[name], face)
            if here is None:
                self._lost[name] += 1
            else:
                self._distances[name].append(unit * float(np.linalg.norm(here - there, axis=1).mean()))

    def _points(self, pixels: Pixels, face: Face) -> Reals | None:
        found = None if self._second is None else self._second.find(pixels, face.box)
        return None if found is None else found.points

    def figures(self) -> dict[str, Any]:
        """`l1`, `akd_px` (also its median), `mkr` of the output, and those of the still and of the truth read again."""
        figures: dict[str, Any] = {"frames": len(self._l1["output"]), "found": self._found}
        for name in VERSIONS:
            prefix = "" if name == "output" else f"{name}_"
            figures[f"{prefix}l1"] = _mean(self._l1[name])
            figures[f"{prefix}akd_px"] = _mean(self._distances[name])
            figures[f"{prefix}akd_median_px"] = _median(self._distances[name])
            figures[f"{prefix}mkr"] = round(self._lost[name] / self._found, 4) if self._found else None
        return figures


def reenact(
    source: Source,
    name: str,
    puppet: MotionModel[Any, Any],
    second: SecondReader | None,
    sheet: Sheet | None = None,
    frames: int | None = None,
) -> dict[str, Any]:
    """One clip's figures. The puppet alone is asked, without the loop's filters: frame by frame, by the source.

    Raises ConfigError for a clip without a face.
    """
    shown: list[Frame] = []
    while (frame := source.read()) is not None and (frames is None or frame.seq < frames):
        shown.append(frame)
    faces = _tracked(shown)
    chosen = calmest(faces)
    picture, neutral = shown[chosen].pixels, faces[chosen]
    avatar = Avatar(Path(name).stem, name, "synthetic", picture, None, neutral)
    cast = puppet.cast(picture, neutral)
    canvas = Canvas(avatar, cast, source.size)
    reference = puppet.perceive(shown[chosen], neutral, 0.0)
    compared, undriven = Reenacted(second), 0
    for frame, face in zip(shown, faces, strict=True):
        if face is None or frame is shown[chosen]:
            continue
        driving = puppet.perceive(frame, face, 0.0)
        if driving is None or reference is None:
            undriven += 1
            made = canvas.still
        else:
            made = canvas.shown(puppet.draw(cast, driving, reference, Motion()))
        compared.see(frame.pixels, face, {"output": made, "still": picture, "reread": reencoded(frame.pixels)})
        if sheet is not None:
            sheet.add(frame.seq, frame.pixels, made, face)
    clip: dict[str, Any] = {
        "clip": name,
        "frames": len(shown),
        "source_frame": shown[chosen].seq,
        "size": list(source.size),
        "without_a_tracked_face": sum(face is None for face in faces),
        "undriven": undriven,
        "reenactment": compared.figures(),
    }
    clip["goals"] = judge(clip, REENACTMENT_GOALS)
    return clip


def told(clip: dict[str, Any]) -> str:
    """One clip in a line."""
    f = clip["reenactment"]
    return (
        f"{clip['clip']}: L1 {f['l1']} (still {f['still_l1']}), AKD {f['akd_px']} px (still {f['still_akd_px']}, "
        f"truth read again {f['reread_akd_px']}), MKR {f['mkr']} in {f['frames']} frames"
    )


def _tracked(frames: Sequence[Frame]) -> list[Face | None]:
    tracker = Tracker(provider="cpu", steadiness=0.0)
    try:
        return [next(iter(tracker(frame)), None) for frame in frames]
    finally:
        tracker.close()


def _small(pixels: Pixels) -> npt.NDArray[np.float32]:
    kernel = cv2.INTER_AREA if pixels.shape[0] > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=kernel), np.float32) / np.float32(255)


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 4) if values else None
