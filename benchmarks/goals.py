"""What the project promises of quality, and whether a clip's figures keep it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.metrics.acting import GAIN, f1

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """`least` and `most` bound the value found at `path` in a clip's figures.

    Over several clips the mean counts, weighted by the number of frames at `weight`; or the `worst` of them.
    """

    what: str
    path: tuple[str, ...]
    least: float | None = None
    most: float | None = None
    worst: bool = False
    weight: tuple[str, ...] = ()

    def pooled(self, clips: Sequence[Figures]) -> float | None:
        """One figure of all clips that have one."""
        if self.path == ("blinks", "f1"):
            return f1(*(sum(c["blinks"][k] for c in clips) for k in ("both", "driver", "output")))
        known = [(v, _at(self.weight, c) or 0.0) for c in clips if (v := _at(self.path, c)) is not None]
        values = [v for v, _ in known]
        if not values or self.worst:
            return (min if self.most is None else max)(values, default=None)
        return round(float(np.average(values, weights=[w for _, w in known] if self.weight else None)), 4)

    @property
    def limit(self) -> str:
        """The bounds as one reads them."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g}–{self.most:g}"
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"

    def line(self, value: float | None, clip: Figures | None) -> dict[str, Any]:
        """As JSON has it: `value`, `met`; both None with `why` where `clip` measured nothing."""
        line = {"what": self.what, "limit": self.limit, "value": value, "met": None}
        if value is not None:
            met = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
            return {**line, "met": met}
        own = (clip or {}).get(self.path[0])
        why = own["missing"] if isinstance(own, Mapping) and "missing" in own else "the driver does not show it"
        return {**line, "why": str(why)}


_VISIBLE, _LOOKED_UP = ("coverage", "visible"), ("identity", "frames")

GOALS = {
    "swap": (
        Goal("frames with a face replaced", ("coverage", "share"), least=0.99, weight=_VISIBLE),
        Goal("r, mean over moving blendshapes", ("expression", "mean_r"), least=0.85),
        Goal("r of jawOpen", ("expression", "jaw_r"), least=0.92),
        Goal("gain, mean over moving blendshapes", ("expression", "mean_gain"), least=GAIN[0], most=GAIN[1]),
        Goal("gain, lowest of them", ("expression", "lowest_gain"), least=GAIN[0], worst=True),
        Goal("gain, highest of them", ("expression", "highest_gain"), most=GAIN[1], worst=True),
        Goal("r of the mouth's opening", ("mouth", "r"), least=0.92),
        Goal("gain of the mouth's opening", ("mouth", "gain"), least=GAIN[0], most=GAIN[1]),
        Goal("blinks, F1 within 2 frames", ("blinks", "f1"), least=0.9),
        Goal("pose error, degrees", ("pose_deg", "mean"), most=2.5),
        Goal("landmark error, % of the eyes", ("landmarks", "nme"), most=4.0),
        Goal("retrieved as worn, of frames", ("identity", "top1", "worn"), least=0.95, weight=_LOOKED_UP),
        Goal("retrieved as driver, of frames", ("identity", "top1", "driver"), most=0.05, weight=_LOOKED_UP),
        Goal("mask IoU on rendered truth", ("mask", "iou"), least=0.93),
        Goal("sharpness, of the driver's face", ("looks", "sharpness"), least=0.7, most=1.2),
        Goal("detail in the skin, of the truth's", ("looks", "energy", "skin"), least=0.7, most=1.2),
        Goal("detail in the eyes", ("looks", "energy", "eyes"), least=0.7, most=1.2),
        Goal("detail in the mouth", ("looks", "energy", "mouth"), least=0.7, most=1.2),
        Goal("detail in the brows", ("looks", "energy", "brows"), least=0.7, most=1.2),
        Goal("colour of the skin, CIEDE2000", ("looks", "face_de"), most=5.0),
        Goal("colour along the seam, CIEDE2000", ("looks", "seam_de"), most=9.0),
        Goal("flicker, of the driver's", ("flicker", "ratio"), most=1.1),
        Goal("frozen-input jitter, of the noise", ("frozen", "ratio"), most=1.0),
        Goal("change outside the mask, levels", ("outside", "beyond_mask_max"), most=0.0, worst=True),
    ),
    # Blinks count as the lids' correlation: how fast lids close is the driver's affair, how far, the avatar's.
    "motion": (
        Goal("r of jawOpen", ("expression", "jaw_r"), least=0.8),
        Goal("r of the lids", ("blinks", "r"), least=0.6),
        Goal("pose error about the neutral, degrees", ("pose_deg", "mean_without_constant"), most=5.0),
        Goal("driven frames without a face", ("coverage", "faceless"), most=0.0, worst=True),
        Goal("driven frames with a distorted face", ("distortion", "distorted"), most=0.0, worst=True),
        Goal("change outside the moving region, levels", ("outside", "beyond_mask_max"), most=0.0, worst=True),
    ),
    # The lips have a truth where the picture is one of the clip's own.
    "lip-sync": (
        Goal("lip offset, frames either way", ("sync", "away_frames"), most=1.0, worst=True),
        Goal("r of mouth and voice", ("sync", "correlation"), least=0.5),
        Goal("motion in silence, of speech", ("rest", "silence"), most=0.1),
        Goal("motion in noise, of speech", ("rest", "noise"), most=0.1),
        Goal("lips' error, of a mouth at rest", ("shape", "of_rest"), most=1.0),
        Goal("pictures without a face", ("faceless",), most=0.0, worst=True),
    ),
    "figure": (
        Goal("arms, median degrees off", ("bones", "arms_free", "median"), most=3.0),
        Goal("arms, 90th percentile", ("bones", "arms_free", "p90"), most=8.0),
        Goal("legs, median degrees off", ("bones", "legs", "median"), most=2.0),
        Goal("frames late", ("lag_frames", "mean"), most=1.0),
        Goal("jitter of a still driver, degrees", ("jitter_deg", "whole"), most=0.3),
        Goal("the same at a desk", ("jitter_deg", "desk"), most=0.6),
        Goal("behind or before the trunk, right", ("order", "right"), least=0.95, weight=("order", "arms")),
        Goal("largest step at a change of view, %", ("view_step", "largest_percent"), most=2.0, worst=True),
        Goal("r of the mouth, parameters", ("face", "mouth_parameters_r"), least=0.95),
        Goal("r of the mouth, pixels", ("face", "mouth_pixels_r"), least=0.95),
        Goal("r of the lids, parameters", ("face", "blinks_parameters_r"), least=0.95),
        Goal("r of the lids, pixels", ("face", "blinks_pixels_r"), least=0.95),
        Goal("frames that failed", ("failed",), most=0.0, worst=True),
    ),
}
"""By kind of report. Shares of frames are averaged over frames, what must be nothing counts by its worst clip."""


def judge(clip: Figures, kind: str) -> list[dict[str, Any]]:
    """Each goal on one clip."""
    return [goal.line(_at(goal.path, clip), clip) for goal in GOALS[kind]]


def judge_all(clips: Sequence[Figures], kind: str) -> list[dict[str, Any]]:
    """Each goal on all clips; `clips` is how many measured it."""
    return [
        {**goal.line(goal.pooled(clips), clips[0]), "clips": sum(_at(goal.path, clip) is not None for clip in clips)}
        for goal in GOALS[kind]
    ]


def table(clips: Sequence[Figures], overall: Sequence[Figures], say: Callable[[str], object]) -> None:
    """Print the goals, a line each: limit, each clip, all together."""
    names = [" ".join(str(clip[key]) for key in ("avatar", "clip") if key in clip)[:12] for clip in clips]
    say(f"{'goal':<40} {'limit':>8} " + " ".join(f"{n:>12}" for n in [*names, "all clips"]))
    for number, whole in enumerate(overall):
        values = [clip["goals"][number]["value"] for clip in clips] + [whole["value"]]
        cells = " ".join(f"{'–' if v is None else f'{v:.3g}':>12}" for v in values)
        verdict = f"not measured: {whole['why']}" if whole["met"] is None else "met" if whole["met"] else "MISSED"
        say(f"{whole['what']:<40} {whole['limit']:>8} {cells}  {verdict}")


def _at(path: tuple[str, ...], clip: Figures) -> float | None:
    found: Any = clip
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return None if found is None or found is clip else float(found)
