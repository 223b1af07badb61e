"""Whether a mouth has the shape it should have: lips against lips, each in their own face's frame."""

from typing import Any

import numpy as np

from benchmarks.lip_offset import OUTER_EYES, Reals
from realtime.families.motion.mesh.head import INNER_LIPS, OUTER_LIPS, Head, read
from realtime.tracking.face import Face

LIPS = np.concatenate([OUTER_LIPS, INNER_LIPS])


def lips(head: Head, face: Face | None) -> Reals:
    """(40, 2) the lips in parts of the outer-eye distance, pose taken out; not numbers without a face."""
    nowhere = np.full((len(LIPS), 2), np.nan)
    if face is None:
        return nowhere
    try:
        shape = read(head, face).shape
    except ValueError:
        return nowhere
    return np.asarray(shape[LIPS, :2] / np.linalg.norm(shape[OUTER_EYES[0]] - shape[OUTER_EYES[1]]))


def mouth_error(truth: Reals, drawn: Reals, speaks: Reals) -> dict[str, Any]:
    """How far drawn lips are from the true ones, (n, 40, 2) each, in percent of the outer-eye distance (300-W's NME).

    `nme_without_constant` takes each point's mean offset out: another resting mouth is no wrong one. `at_rest`: what a
    mouth that never moved would have, and so what there is to gain. Over the frames that `speaks`, (n,) bool, marks.
    """
    both = speaks.astype(bool) & np.isfinite(truth).all(axis=(1, 2)) & np.isfinite(drawn).all(axis=(1, 2))
    if both.sum() < 10:
        return {"missing": "too few frames show both mouths speaking"}
    true, own = truth[both], drawn[both]
    off = own - true
    still = true - true.mean(axis=0)
    error, rest = _mean_way(off - off.mean(axis=0)), _mean_way(still)
    return {
        "frames": int(both.sum()),
        "nme": round(_mean_way(off), 2),
        "nme_without_constant": round(error, 2),
        "at_rest": round(rest, 2),
        "of_rest": round(error / max(rest, 1e-6), 3),
    }


def _mean_way(off: Reals) -> float:
    return float(100 * np.linalg.norm(off, axis=2).mean())
