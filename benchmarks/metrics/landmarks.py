"""Whether landmarks sit where they should: against the driver's by a second reader, and against the build of a head."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.metrics import OUTER_EYES, MeasuredFrame, Reals
from benchmarks.readers import SecondReader, reencoded
from realtime.families.motion.mesh.head import BONES
from realtime.models.library import built_in_folder
from realtime.tracking.face import Face

TOLERANCE = 3.0
"""Percent by which a frame may fit worse than the avatar's own picture does, to count as undistorted: filmed and
rendered people who talk and turn by up to 30 degrees fit by up to 2.4 worse in single frames than in their median."""


class LandmarkError:
    """Normalised mean error of the second reader's five points (300-W: Sagonas and others, 2013), and faces it missed.

    In percent of the driver's outer-eye distance; each picture is read alone.
    """

    key = "landmarks"

    def __init__(self, reader: SecondReader) -> None:
        self._reader = reader
        self._read: list[dict[str, Reals | None]] = []

    def see(self, frame: MeasuredFrame) -> None:
        """One frame; none counts in which the driver's face was not read before."""
        if frame.face is None:
            return
        pictures = {**frame.pictures, "reread": reencoded(frame.pictures["driver"])}
        found = {name: self._reader.find(pixels, frame.face.box) for name, pixels in pictures.items()}
        self._read.append({name: None if one is None else one.points for name, one in found.items()})

    def figures(self) -> dict[str, Any]:
        driver = [r for r in self._read if r["driver"] is not None]
        if not driver:
            return {"missing": "the second reader found the driver's face in no frame"}
        errors, missed = {}, 0.0
        for name in ("output", "ceiling", "reread"):
            pairs = [(r["driver"], r[name]) for r in driver if r[name] is not None]
            errors[name] = (
                nme(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])) if pairs else (None,) * 2
            )
            missed = 1 - len(pairs) / len(driver) if name == "output" else missed
        return {
            "reader": "dlib, 5 points",
            "frames": len(driver),
            "missed": round(missed, 4),
            "nme": errors["output"][0],
            "nme_without_constant": errors["output"][1],
            "ceiling_nme": errors["ceiling"][0],
            "reread_nme": errors["reread"][0],
        }


def nme(driver: Reals, output: Reals) -> tuple[float, float]:
    """(normalised mean error, the same without each point's constant offset), in percent.

    Both are (T, 5, 2) in pixels. The unit is the driver's outer-eye distance, frame by frame; the offset is taken
    along and across the line of its eyes, so that it stays constant when the head rolls or comes near.
    """
    across = driver[:, 2] - driver[:, 0]
    # As complex numbers the turn and the unit are one factor.
    unit = (across[:, 0] + 1j * across[:, 1])[:, None]
    off = ((output[..., 0] - driver[..., 0]) + 1j * (output[..., 1] - driver[..., 1])) / unit
    left = off - off.mean(axis=0)
    return round(100 * float(np.abs(off).mean()), 3), round(100 * float(np.abs(left).mean()), 3)


def canonical_head() -> Reals:
    """MediaPipe's canonical face, (468, 3) in centimetres, y up, as the tracker's pose uses it."""
    with np.load(built_in_folder() / "face" / "pose.npz", allow_pickle=False) as stored:
        return np.asarray(stored["canonical"], dtype=np.float64)


def fit_residual(face: Face, head: Reals) -> float:
    """How far a face's build is from the canonical face's, in percent of the outer-eye distance.

    The canonical face's points that no expression moves (`BONES`) are laid onto the landmarks by the similarity of
    least squares in three dimensions (Umeyama, 1991); root mean square of what is left in the picture's plane.
    Infinite for landmarks that are not numbers.
    """
    seen = face.landmarks[BONES].astype(np.float64) * (1.0, -1.0, -1.0)
    if not np.isfinite(seen).all():
        return float("inf")
    build = head[BONES]
    there, here = seen - seen.mean(axis=0), build - build.mean(axis=0)
    u, values, vt = np.linalg.svd(there.T @ here)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = float((values * signs).sum() / (here**2).sum())
    unit = scale * float(np.linalg.norm(head[OUTER_EYES[0]] - head[OUTER_EYES[1]]))
    if not unit > 1e-6:
        return float("inf")
    left = there - scale * here @ (u * signs @ vt).T
    return 100.0 * float(np.sqrt((left[:, :2] ** 2).sum(axis=1).mean())) / unit


def distortion(residuals: Sequence[float], at_rest: float) -> dict[str, Any]:
    """Figures of a clip's residuals, against that of the avatar's own picture; percent of the outer-eye distance.

    `distorted`: the share of the frames that fit worse than the picture by more than TOLERANCE.
    """
    if not residuals:
        return {"missing": "the reader found a face in no output"}
    values = np.array(residuals)
    return {
        "at_rest": round(at_rest, 2),
        "mean": round(float(values.mean()), 2),
        "p99": round(float(np.percentile(values, 99)), 2),
        "max": round(float(values.max()), 2),
        "worst_beyond_rest": round(float(values.max()) - at_rest, 2),
        "tolerance": TOLERANCE,
        "distorted": round(float((values > at_rest + TOLERANCE).mean()), 4),
    }
