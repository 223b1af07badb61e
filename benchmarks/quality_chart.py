"""A quality run as a picture: each goal against its limit, each moving blendshape, and the acting over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import moving
from benchmarks.chart_file import written
from benchmarks.goals import GOALS_OF, Goal

_OUTPUT, _DRIVER, _CEILING, _MISSED, _MET = "#7a4fd0", "#9aa5b1", "#3b7dd8", "#c0392b", "#2f9e6b"


def draw_quality(report: Mapping[str, Any], path: Path) -> None:
    """Draw a report, the JSON file's content, to `path`. Raises ConfigError if it can't be written."""
    import matplotlib

    matplotlib.use("Agg")
    # Text as text: the file stays small, and can be searched and read aloud.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "masquerade", "font.size": 8.0}
    from matplotlib import pyplot

    clips = report["clips"]
    rows = [["goals", "channels"], *([f"jaw {n}", f"lids {n}"] for n in range(len(clips)))]
    figure, axes = pyplot.subplot_mosaic(
        rows,
        figsize=(10.4, 3.6 + 1.35 * len(clips)),
        height_ratios=[3.2, *[1.0] * len(clips)],
        layout="constrained",
    )
    with written(figure, path, report["stamp"]):
        draw_goals(axes["goals"], report["goals"], GOALS_OF[report.get("family", "swap")])
        _channels(axes["channels"], clips)
        for n, clip in enumerate(clips):
            _trace(axes[f"jaw {n}"], clip, "jawOpen", first=n == 0)
            _trace(axes[f"lids {n}"], clip, "lids", first=False)
        figure.suptitle(
            f"{report['asked']['model']}, {sum(c['frames'] for c in clips)} frames; read by {report['reader']}",
            fontsize=10,
        )


def draw_goals(axes: Any, lines: list[dict[str, Any]], goals: Sequence[Goal]) -> None:
    """How far each goal is reached: 1 is just met, more is better."""
    labels = [f"{line['what']}  {line['limit']}" for line in lines]
    for at, (goal, line) in enumerate(zip(goals, lines, strict=True)):
        value = line["value"]
        if value is None:
            axes.text(1.03, at, f"not measured: {line['why']}"[:48], va="center", fontsize=5.5, color="#777777")
            continue
        reached = min(_reached(value, goal.least, goal.most), 2.0)
        axes.barh(at, reached, color=_MET if line["met"] else _MISSED, height=0.65)
        axes.text(max(reached, 1.0) + 0.03, at, f"{value:.3g}", va="center", fontsize=7)
    axes.axvline(1.0, color="#444444", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(lines)), labels, fontsize=6.5)
    axes.invert_yaxis()
    axes.set(xlim=(0, 2.3), xlabel="of the goal (1: just met; 2 and more: cut)")


def _reached(value: float, least: float | None, most: float | None) -> float:
    """The value in parts of what is asked, so that 1 is just met and more is better."""
    parts = []
    if least is not None:
        parts.append(value / least)
    if most is not None:
        parts.append(most / value if value > 0 else 2.0)
    return max(min(parts), 0.0)


def _channels(axes: Any, clips: list[dict[str, Any]]) -> None:
    """r of each channel that moves in some clip: a point a clip, the ceiling as a line."""
    names = sorted(
        {name for clip in clips for name in moving(clip["blendshapes"])},
        key=lambda name: -float(np.mean(_over(clips, name, "blendshapes") or [0.0])),
    )
    for at, name in enumerate(names):
        own, top = _over(clips, name, "blendshapes"), _over(clips, name, "ceiling")
        axes.plot(own, [at] * len(own), "o", color=_OUTPUT, markersize=4, label="output" if at == 0 else None)
        axes.plot(top, [at] * len(top), "|", color=_CEILING, markersize=8, label="ceiling" if at == 0 else None)
    axes.axvline(0.85, color="#444444", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(names)), names, fontsize=6 if len(names) < 26 else 4.5)
    axes.invert_yaxis()
    axes.set(xlim=(min(0.0, *axes.get_xlim()), 1.02), xlabel="Pearson's r with the driver, one mark a clip")
    if names:
        axes.legend(fontsize=6.5, loc="lower left", frameon=False)
    axes.grid(alpha=0.25)


def _over(clips: list[dict[str, Any]], name: str, where: str) -> list[float]:
    """A channel's r in every clip in which the driver moves it; 0 where the output does not move."""
    found = []
    for clip in clips:
        if name in moving(clip["blendshapes"]):
            channels = clip["blendshapes"] if where == "blendshapes" else clip["ceiling"]["blendshapes"]
            found.append(channels.get(name, {}).get("r") or 0.0)
    return found


def _trace(axes: Any, clip: dict[str, Any], name: str, *, first: bool) -> None:
    """One channel over time, driver and output; for the lids, blinks as ticks."""
    for who, colour in (("driver", _DRIVER), ("output", _OUTPUT)):
        own = clip["traces"][who]
        line = np.array([np.nan if v is None else v for v in own[name]], dtype=np.float64)
        axes.plot(np.arange(len(line)) / clip["rate_hz"], line, color=colour, linewidth=1.0, label=who)
        if name == "lids":
            height = 1.06 if who == "driver" else 1.16
            axes.plot(np.array(own["blinks"]) / clip["rate_hz"], [height] * len(own["blinks"]), "v", color=colour)
    axes.set(ylim=(0, 1.25 if name == "lids" else 1.0))
    axes.set_ylabel(f"{clip['clip'][:14]}\n{'lids shut' if name == 'lids' else name}", fontsize=6.5)
    axes.tick_params(labelsize=6)
    if first:
        axes.legend(fontsize=6.5, ncols=2, loc="upper right", frameon=False)
