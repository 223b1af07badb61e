"""The figures of a clip that drove an avatar."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.acting_figures import blink_figures, series, together, traces
from benchmarks.agreement import LEADING, MOVES, moving, pearson
from benchmarks.clip_figures import followed, trembling
from benchmarks.distortion import distortion
from benchmarks.goals import MOTION_GOALS, judge
from benchmarks.puppet_stand import DriveRecord
from realtime.tracking.face import Face


def motion_figures(record: DriveRecord) -> dict[str, Any]:
    """A clip's figures as the JSON file has them. Acting is compared in the driven frames alone."""
    channels, pose = followed(record.readings, 1)
    again_channels, again_pose = followed(record.readings, 3)
    drivers, outputs = ([r[n] for r in record.readings] for n in (0, 1))
    warp = {name: flicker.errors()["video"] for name, flicker in record.flicker.items()}
    clip: dict[str, Any] = {
        "clip": record.name,
        "avatar": record.avatar,
        "frames": record.frames,
        "failed": record.failed,
        "first_failure": record.first_failure,
        "rate_hz": round(record.rate_hz, 3),
        "size": list(record.size),
        "coverage": {
            "waiting": record.waiting,
            "driven": record.driven,
            "faceless": _share(record.faceless, record.driven),
            "second_reader": {
                "found_in_driver": record.second_found,
                "missed_in_output": _share(record.second_missed, record.second_found),
            },
            "lowest_score": round(min(record.scores), 4) if record.scores else None,
        },
        "blendshapes": channels,
        "weak": {n: channels[n]["std"] for n in LEADING if n in channels and (channels[n]["std"] or 0) < MOVES},
        "expression": {
            **together(channels),
            "jaw_r": _known(channels, "jawOpen", "r"),
            "jaw_gain": _known(channels, "jawOpen", "gain"),
        },
        "blinks": {**blink_figures(drivers, outputs), "r": _lids(drivers, outputs)},
        "pose_deg": pose,
        "distortion": distortion(record.residuals, record.at_rest),
        "jitter": trembling(record.readings),
        "flicker": {
            **{f"e_warp_{name}": None if value is None else round(value, 6) for name, value in warp.items()},
            "ratio": round(warp["output"] / warp["driver"], 3) if warp["output"] and warp["driver"] else None,
        },
        "frozen": record.frozen,
        "outside": {"beyond_mask_max": record.outside},
        # No network can follow better than the reader agrees with itself.
        "ceiling": {"blendshapes": again_channels, "pose_deg": again_pose},
    }
    clip["goals"] = judge(clip, MOTION_GOALS)
    clip["traces"] = traces(drivers, outputs)
    return clip


def told(clip: dict[str, Any]) -> list[str]:
    """The figures as a person reads them, a line each."""
    seen, acting, lids, pose = clip["coverage"], clip["expression"], clip["blinks"], clip["pose_deg"]
    bent, tremble = clip["distortion"], clip["jitter"]
    lines = [f"{clip['clip']}, avatar {clip['avatar']}: {clip['frames']} frames, {seen['driven']} driven"]
    if clip["failed"]:
        lines.append(f"  {clip['failed']} frames failed, the first of them: {clip['first_failure']}")
    for name in moving(clip["blendshapes"]):
        one, top = clip["blendshapes"][name], clip["ceiling"]["blendshapes"].get(name, {})
        lines.append(f"  {name:<18} r {_n(one['r']):>6} gain {_n(one['gain']):>6}   reader's own r {_n(top.get('r'))}")
    return [
        *lines,
        f"  {acting['moving']} moving: mean r {_n(acting['mean_r'])}, mean gain {_n(acting['mean_gain'])}; blinks "
        f"{lids['driver']} and {lids['output']}, {lids['both']} together, lids r {_n(lids['r'])}",
        f"  pose error {_n(pose['mean_without_constant'])}° about a constant {_n(pose['constant'])}°; jitter "
        f"{_n(tremble['output']['of_eyes_percent'])} %, driver {_n(tremble['driver']['of_eyes_percent'])} %",
        f"  build: {bent['missing']}" if "missing" in bent else
        f"  build: fits a head by {_n(bent['mean'])} %, at worst {_n(bent['max'])} %, at rest {_n(bent['at_rest'])} %",
        f"  flicker {_n(clip['flicker']['ratio'])} of the driver's; outside the region "
        f"{clip['outside']['beyond_mask_max']} levels; the second reader missed "
        f"{_n(seen['second_reader']['missed_in_output'])} of {seen['second_reader']['found_in_driver']}",
    ]  # fmt: skip


def _known(channels: dict[str, dict[str, float | None]], name: str, what: str) -> float | None:
    """A channel's figure where the driver moves it; an output that does not move counts as 0."""
    return (channels[name][what] or 0.0) if name in moving(channels) else None


def _lids(driver: Sequence[Face | None], output: Sequence[Face | None]) -> float | None:
    """The correlation of the lids' mean closing; None where the driver's hardly move."""
    own, theirs = series(driver)["lids"], series(output)["lids"]
    both = ~np.isnan(own) & ~np.isnan(theirs)
    if both.sum() < 3 or own[both].std() < MOVES / 2:
        return None
    r = pearson(own[both], theirs[both])
    return 0.0 if r is None else round(r, 3)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
