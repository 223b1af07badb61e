"""What is kept of a clip while it is measured, and the figures made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.acting_figures import blink_figures, mouth_figures, together, traces
from benchmarks.agreement import LEADING, MOVES, Reals, expression, head_angles, jitter, moving, rotation, stillest
from benchmarks.goals import judge
from benchmarks.moment import Examiner
from benchmarks.pictures import Flicker, mean_portrait, steadiness
from realtime.frame import Pixels
from realtime.tracking.face import Face

Reading = tuple[Face | None, Face | None, Face | None, Face | None]
"""A frame's face as read from the driver, the output, the ceiling, and the driver once more."""


@dataclass(slots=True, eq=False)
class ClipRecord:
    """Everything noted while a clip was worked off.

    `visible`: frames with a face; `replaced`: of those, frames whose face is another one now.
    `beyond`: the largest change outside the mask and outside the crop, in levels. `hidden`: by frame,
    how much of the face's inside was taken over. `still`: the first replaced frame's picture, and `frozen` what
    came of it under camera noise.
    """

    name: str
    rate_hz: float
    size: tuple[int, int]
    frames: int = 0
    visible: int = 0
    replaced: int = 0
    failed: int = 0
    first_failure: str | None = None
    readings: list[Reading] = field(default_factory=list)
    beyond: list[int] = field(default_factory=lambda: [0, 0])
    hidden: list[float] = field(default_factory=list)
    flicker: Flicker = field(default_factory=lambda: Flicker(("output", "driver", "ceiling")))
    portraits: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=lambda: {"output": [], "driver": []})
    examiners: Sequence[Examiner] = ()
    still: Pixels | None = None
    frozen: dict[str, Any] = field(default_factory=lambda: {"missing": "left out by --quick"})


def clip_figures(record: ClipRecord) -> dict[str, Any]:
    """A clip's figures as the JSON file has them."""
    channels, pose = followed(record.readings, 1)
    ceiling_channels, ceiling_pose = followed(record.readings, 2)
    again_channels, again_pose = followed(record.readings, 3)
    drivers, outputs, ceilings = ([r[n] for r in record.readings] for n in range(3))
    errors = record.flicker.errors()
    known = {name: value for name, value in errors.items() if value is not None}
    driver_error = known.get("driver")
    clip: dict[str, Any] = {
        "clip": record.name,
        "frames": record.frames,
        "failed": record.failed,
        "first_failure": record.first_failure,
        "rate_hz": round(record.rate_hz, 3),
        "size": list(record.size),
        "coverage": {
            "visible": record.visible,
            "replaced": record.replaced,
            "share": round(record.replaced / record.visible, 4) if record.visible else None,
            "hidden": _mean(record.hidden),
            "output_read": sum(driver is not None and out is not None for driver, out, _, _ in record.readings),
        },
        "blendshapes": channels,
        "weak": {n: channels[n]["std"] for n in LEADING if n in channels and (channels[n]["std"] or 0) < MOVES},
        "expression": {
            **together(channels),
            "jaw_r": channels["jawOpen"]["r"] if "jawOpen" in moving(channels) else None,
            "ceiling_mean_r": _mean(
                [ceiling_channels[n]["r"] or 0.0 for n in moving(channels) if n in ceiling_channels]
            ),
        },
        "mouth": mouth_figures(drivers, outputs),
        "blinks": {**blink_figures(drivers, outputs), "ceiling_f1": blink_figures(drivers, ceilings)["f1"]},
        "expression_mae": _mean([c["mae"] for c in channels.values()]),
        "pose_deg": pose,
        "jitter": trembling(record.readings),
        "flicker": {
            **{f"e_warp_{name}": round(value, 6) for name, value in known.items()},
            "ratio": _over(known.get("output"), driver_error),
            "ceiling_ratio": _over(known.get("ceiling"), driver_error),
        },
        "frozen": record.frozen,
        "outside": {"beyond_mask_max": record.beyond[0], "beyond_crop_max": record.beyond[1]},
        "steadiness": {name: steadiness(kept) for name, kept in record.portraits.items()},
        "ceiling": {"blendshapes": ceiling_channels, "pose_deg": ceiling_pose},
        "reader": {
            "what": "the driver read once more after JPEG at quality 75",
            "blendshapes": {name: again_channels[name] for name in LEADING if name in again_channels},
            "pose_deg": again_pose,
        },
    }
    clip |= {examiner.key: examiner.figures() for examiner in record.examiners}
    clip["goals"] = judge(clip)
    clip["traces"] = traces(drivers, outputs)
    return clip


def followed(
    readings: Sequence[Reading], which: int
) -> tuple[dict[str, dict[str, float | None]], dict[str, float | None]]:
    """(channels, pose error) of one of the readings against the driver's, on the frames that have both."""
    both = [(r[0], r[which]) for r in readings]
    pairs = [(driver, other) for driver, other in both if driver is not None and other is not None]
    acting: list[Reals] = [
        np.array([pair[n].blendshapes for pair in pairs], dtype=np.float64).reshape(-1, 52) for n in (0, 1)
    ]
    heads: list[Reals] = [
        np.array([rotation(pair[n].pose) for pair in pairs], dtype=np.float64).reshape(-1, 3, 3) for n in (0, 1)
    ]
    return expression(acting[0], acting[1]), head_angles(heads[0], heads[1])


def trembling(readings: Sequence[Reading]) -> dict[str, dict[str, float | None]]:
    """Landmark jitter of driver and output, over all frames and over the quarter where the head is stillest.

    Measured on the longest stretch in which both were read in every frame.
    """
    driver: list[Face] = []
    output: list[Face] = []
    best: tuple[list[Face], list[Face]] = ([], [])
    for before, out, _, _ in readings:
        if before is None or out is None:
            driver, output = [], []
            continue
        driver.append(before)
        output.append(out)
        if len(driver) > len(best[0]):
            best = (driver, output)
    nothing: dict[str, float | None] = {"rms_px": None, "of_eyes_percent": None}
    if len(best[0]) < 4:
        return dict.fromkeys(("driver", "output", "driver_stillest", "output_stillest"), nothing)
    points = [np.array([f.landmarks[:, :2] for f in faces], dtype=np.float64) for faces in best]
    quiet = stillest(points[0])
    return {
        "driver": jitter(points[0]),
        "output": jitter(points[1]),
        "driver_stillest": jitter(points[0], quiet),
        "output_stillest": jitter(points[1], quiet),
    }


def across_clips(records: Sequence[ClipRecord]) -> dict[str, float] | None:
    """How alike the clips' mean faces are, outputs against drivers: the mean correlation of all pairs.

    One identity worn by different people should be more alike than the people are. None for a single clip.
    """
    found = {}
    for name in ("output", "driver"):
        means = [mean_portrait(r.portraits[name]) for r in records if r.portraits[name]]
        if len(means) < 2:
            return None
        alike = [float(a @ b) for n, a in enumerate(means) for b in means[n + 1 :]]
        found[f"{name}s"] = round(float(np.mean(alike)), 4)
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 4) if known else None


def _over(value: float | None, unit: float | None) -> float | None:
    return round(value / unit, 3) if value is not None and unit else None
