"""Whether a picture's face still has the build of a head: what is left of its landmarks once a head is fitted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.families.motion.mesh.head import BONES
from realtime.models.library import built_in_folder
from realtime.tracking.face import Face

Reals = npt.NDArray[np.float64]

OUTER_EYES = (33, 263)

TOLERANCE = 3.0
"""Percent by which a frame may fit worse than the avatar's own picture does, to count as undistorted: filmed and
rendered people who talk and turn by up to 30 degrees fit by up to 2.4 worse in single frames than in their median."""


def canonical_head() -> Reals:
    """MediaPipe's canonical face, (468, 3) in centimetres, y up, as the tracker's pose uses it."""
    with np.load(built_in_folder() / "face" / "pose.npz", allow_pickle=False) as stored:
        return np.asarray(stored["canonical"], dtype=np.float64)


def fit_residual(face: Face, head: Reals) -> float:
    """How far a face's build is from the canonical face's, in percent of the outer-eye distance.

    The canonical face's twenty points that no expression moves (`BONES`: corners of the eyes, nose, forehead, temples,
    cheekbones) are laid onto the landmarks by the similarity of least squares in three dimensions (Umeyama, 1991). The
    figure is the root mean square of what is left in the picture's plane, in parts of the laid face's outer-eye
    distance, so that neither size nor turn changes it. Infinite for landmarks that are not numbers.
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
