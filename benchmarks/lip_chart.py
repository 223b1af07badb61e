"""A lip-sync quality run as a picture: each goal against its limit, and voice, real mouth and avatar over time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chart_file import written
from benchmarks.goals import LIP_GOALS
from benchmarks.quality_chart import draw_goals

_OUTPUT, _REAL, _VOICE = "#7a4fd0", "#9aa5b1", "#e0b040"


def draw_lips(report: Mapping[str, Any], path: Path) -> None:
    """Draw a report, the JSON file's content, to `path`. Raises ConfigError if it can't be written."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "masquerade", "font.size": 8.0}
    from matplotlib import pyplot

    clips = report["clips"]
    rows = [["goals"], *([f"clip {n}"] for n in range(len(clips)))]
    figure, axes = pyplot.subplot_mosaic(
        rows, figsize=(9.0, 2.2 + 1.5 * len(clips)), height_ratios=[1.6, *[1.0] * len(clips)], layout="constrained"
    )
    with written(figure, path, report["stamp"]):
        draw_goals(axes["goals"], report["goals"], LIP_GOALS)
        for n, clip in enumerate(clips):
            _trace(axes[f"clip {n}"], clip, first=n == 0)
        pictures = sum(clip["frames"] for clip in clips)
        figure.suptitle(f"{report['asked']['model']}, {pictures} pictures; read by {report['reader']}", fontsize=10)


def _trace(axes: Any, clip: Mapping[str, Any], *, first: bool) -> None:
    """The mouth's opening over time, and the voice's level behind it, scaled to fit."""
    traces, rate_hz = clip["traces"], clip["rate_hz"]
    own, real = (np.array([np.nan if v is None else v for v in traces[name]]) for name in ("output", "real"))
    level = np.array(traces["level_db"])
    top = float(np.nanmax(np.concatenate([own, real]), initial=0.05))
    height = top * (level - level.min()) / max(float(np.ptp(level)), 1e-6)
    at = np.arange(len(own)) / rate_hz
    axes.fill_between(at, 0, height, color=_VOICE, alpha=0.35, linewidth=0, label="voice")
    axes.plot(np.arange(len(real)) / rate_hz, real, color=_REAL, linewidth=1.0, label="the clip's own mouth")
    axes.plot(at, own, color=_OUTPUT, linewidth=1.1, label="the avatar's mouth")
    axes.set(xlim=(0, at[-1] if len(at) else 1), ylim=(0, 1.1 * top))
    axes.set_ylabel(f"{clip['avatar'][:12]}\n{clip['clip'][:14]}", fontsize=6.5)
    sync = clip["sync"]
    if "missing" not in sync:
        told = f"{sync['offset_ms']:+.0f} ms, r {sync['correlation']:.2f}"
        axes.text(0.995, 0.9, told, transform=axes.transAxes, ha="right", fontsize=7)
    axes.tick_params(labelsize=6)
    if first:
        axes.legend(fontsize=6.5, ncols=3, loc="upper left", frameon=False)
