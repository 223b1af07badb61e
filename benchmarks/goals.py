"""What the project promises of a character's quality, and whether a clip's figures keep it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.acting_figures import GAIN
from benchmarks.blinks import f1

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """`least` and `most` bound the value found at `path` in a clip's figures; `pool` makes one of several clips.

    Shares of frames are averaged over frames: `weight` is where a clip says how many there were.
    """

    what: str
    path: tuple[str, ...]
    least: float | None = None
    most: float | None = None
    pool: Literal["mean", "worst"] = "mean"
    weight: tuple[str, ...] = ()

    def value(self, clip: Figures) -> float | None:
        """The clip's figure; None where it was not measured."""
        return _at(self.path, clip)

    def pooled(self, clips: Sequence[Figures]) -> float | None:
        """One figure of all clips that have one."""
        known = [(v, _at(self.weight, clip) or 0.0) for clip in clips if (v := self.value(clip)) is not None]
        if not known:
            return None
        values = [v for v, _ in known]
        if self.pool == "worst":
            return min(values) if self.most is None else max(values)
        return round(float(np.average(values, weights=[w for _, w in known] if self.weight else None)), 4)

    def met(self, value: float | None) -> bool | None:
        """None where there is no value."""
        if value is None:
            return None
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def limit(self) -> str:
        """The bounds as one reads them."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g}–{self.most:g}"
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


_LOOKED_UP = ("identity", "frames")

GOALS = (
    Goal("frames with a face replaced", ("coverage", "share"), least=0.99, weight=("coverage", "visible")),
    Goal("r, mean over moving blendshapes", ("expression", "mean_r"), least=0.85),
    Goal("r of jawOpen", ("expression", "jaw_r"), least=0.92),
    Goal("gain, mean over moving blendshapes", ("expression", "mean_gain"), least=GAIN[0], most=GAIN[1]),
    Goal("gain, lowest of them", ("expression", "lowest_gain"), least=GAIN[0], pool="worst"),
    Goal("gain, highest of them", ("expression", "highest_gain"), most=GAIN[1], pool="worst"),
    Goal("r of the mouth's opening", ("mouth", "r"), least=0.92),
    Goal("gain of the mouth's opening", ("mouth", "gain"), least=GAIN[0], most=GAIN[1]),
    Goal("blinks, F1 within 2 frames", ("blinks", "f1"), least=0.9),
    Goal("pose error, degrees", ("pose_deg", "mean"), most=2.5),
    Goal("landmark error, % of the eyes", ("landmarks", "nme"), most=4.0),
    Goal("retrieved as worn, of frames", ("identity", "top1", "worn"), least=0.95, weight=_LOOKED_UP),
    Goal("retrieved as driver, of frames", ("identity", "top1", "driver"), most=0.05, weight=_LOOKED_UP),
    Goal("mask IoU on rendered truth", ("mask", "iou"), least=0.93),
    Goal("flicker, of the driver's", ("flicker", "ratio"), most=1.1),
    Goal("frozen-input jitter, of the noise", ("frozen", "ratio"), most=1.0),
    Goal("change outside the mask, levels", ("outside", "beyond_mask_max"), most=0.0, pool="worst"),
)

MOTION_GOALS = (
    Goal("r of jawOpen", ("expression", "jaw_r"), least=0.8),
    Goal("r of the lids", ("blinks", "r"), least=0.6),
    Goal("pose error about the neutral, degrees", ("pose_deg", "mean_without_constant"), most=5.0),
    Goal("driven frames without a face", ("coverage", "faceless"), most=0.0, pool="worst"),
    Goal("driven frames with a distorted face", ("distortion", "distorted"), most=0.0, pool="worst"),
    Goal("change outside the moving region, levels", ("outside", "beyond_mask_max"), most=0.0, pool="worst"),
)
"""Of a still picture that is moved. Blinks count as the lids' correlation: how fast lids close is the driver's affair,
how far, the avatar's."""

REENACTMENT_GOALS = (
    Goal("L1 at 256 px, 0..1", ("reenactment", "l1"), most=0.045),
    Goal("AKD, px at 256", ("reenactment", "akd_px"), most=1.6),
    Goal("MKR", ("reenactment", "mkr"), most=0.02, weight=("reenactment", "found")),
)
"""Of people moved by themselves, from one of their pictures."""

LIP_GOALS = (
    Goal("lip offset, frames either way", ("sync", "away_frames"), most=1.0, pool="worst"),
    Goal("r of mouth and voice", ("sync", "correlation"), least=0.5),
    Goal("motion in silence, of speech", ("rest", "silence"), most=0.1),
    Goal("motion in noise, of speech", ("rest", "noise"), most=0.1),
    Goal("lips' error, of a mouth at rest", ("shape", "of_rest"), most=1.0),
    Goal("pictures without a face", ("faceless",), most=0.0, pool="worst"),
)
"""Of a picture that speaks; its lips have a truth where it is one of the clip's own."""

GOALS_OF: dict[str, tuple[Goal, ...]] = {
    "swap": GOALS,
    "motion": MOTION_GOALS,
    "reenactment": REENACTMENT_GOALS,
    "lip-sync": LIP_GOALS,
}


def judge(clip: Figures, goals: Sequence[Goal] = GOALS) -> list[dict[str, Any]]:
    """Each goal on one clip: `value`, `met`; both None with `why` where nothing was measured."""
    return [_line(goal, goal.value(clip), _why(goal, clip)) for goal in goals]


def judge_all(clips: Sequence[Figures], goals: Sequence[Goal] = GOALS) -> list[dict[str, Any]]:
    """Each goal on all clips that measured it: means, shares by frames, blinks counted together, the worst of what
    must be nothing."""
    lines = []
    for goal in goals:
        value = goal.pooled(clips)
        if goal.path == ("blinks", "f1"):
            both, driver, output = (sum(c["blinks"][k] for c in clips) for k in ("both", "driver", "output"))
            value = f1(both, driver, output)
        measured = sum(goal.value(clip) is not None for clip in clips)
        lines.append({**_line(goal, value, _why(goal, clips[0]) if clips else ""), "clips": measured})
    return lines


def table(clips: Sequence[Figures], everything: Sequence[Mapping[str, Any]], told: Callable[[str], None]) -> None:
    """The goals' table, a line each to `told`: limit, each clip, all together."""
    names = [str(clip["clip"])[:12] for clip in clips]
    told(f"{'goal':<36} {'limit':>8} " + " ".join(f"{n:>12}" for n in [*names, "all clips"]))
    for number, whole in enumerate(everything):
        values = [clip["goals"][number]["value"] for clip in clips] + [whole["value"]]
        cells = " ".join(f"{_n(v):>12}" for v in values)
        verdict = f"not measured: {whole['why']}" if whole["met"] is None else "met" if whole["met"] else "MISSED"
        told(f"{whole['what']:<36} {whole['limit']:>8} {cells}  {verdict}")


def _at(path: tuple[str, ...], clip: Figures) -> float | None:
    found: Any = clip
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return None if found is None or found is clip else float(found)


def _line(goal: Goal, value: float | None, why: str) -> dict[str, Any]:
    line = {"what": goal.what, "limit": goal.limit, "value": value, "met": goal.met(value)}
    return line if value is not None else {**line, "why": why}


def _why(goal: Goal, clip: Figures) -> str:
    own = clip.get(goal.path[0])
    return str(own["missing"]) if isinstance(own, Mapping) and "missing" in own else "the driver does not show it"


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
