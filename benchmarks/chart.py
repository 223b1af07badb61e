"""A latency run as a picture: over time, as a distribution, and by stage."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chart_file import written
from benchmarks.timings import STAGES, Window
from realtime.errors import ConfigError

LIMIT_MS = 45.0
"""ITU-R BT.1359-1: sound leading the picture by less goes unnoticed."""

COLOURS = {
    "capture": "#9aa5b1",
    "detect": "#3b7dd8",
    "align": "#57b8d9",
    "swap": "#7a4fd0",
    "blend": "#d05fa2",
    "output": "#e0a23b",
    "networks": "#5c3fb8",
    "overhead": "#b5651d",
    "waiting": "#5f6b76",
}


def check_drawable(path: Path) -> None:
    """Refuse, before measuring, what can't be drawn afterwards. Raises ConfigError."""
    if path.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise ConfigError(f"--chart {path}: end it in .svg, .png or .pdf")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError('--chart needs matplotlib: pip install "masquerade[bench]", or leave --chart out') from error


def draw_latency(found: Window, run: dict[str, Any], report: dict[str, Any], path: Path) -> None:
    """Draw one run's window to `path`; `report` is the JSON file's content."""
    import matplotlib

    matplotlib.use("Agg")
    # Text as text: the file stays small, and can be searched and read aloud.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "masquerade", "font.size": 9.0}
    from matplotlib import pyplot

    figure, axes = pyplot.subplot_mosaic(
        [["time", "time"], ["spread", "stages"]], figsize=(9.6, 6.0), layout="constrained"
    )
    with written(figure, path, report["stamp"], below=-0.02):
        _over_time(axes["time"], found, run)
        _distribution(axes["spread"], found)
        _stages(axes["stages"], run)
        asked = report["asked"]
        how = "closed loop" if asked["pace"] == "all" else f"{asked['fps']:g} frames a second"
        figure.suptitle(
            f"{asked['model']} on {run['source']['name']}, {asked['size'][0]}×{asked['size'][1]}, "
            f"{how}; "
            f"swap on {run['providers']['swap']}",
            fontsize=10,
        )


def _over_time(axes: Any, found: Window, run: dict[str, Any]) -> None:
    axes.plot(found.due / 1e3, found.age, ".", markersize=2.5, color=COLOURS["detect"])
    red = {"color": "#c0392b", "fontsize": 7}
    axes.axhline(LIMIT_MS, color="#c0392b", linewidth=0.8, linestyle="--")
    axes.text(0, LIMIT_MS, " below 45 ms the lag behind the sound goes unnoticed", va="bottom", **red)
    p95 = run["latency_ms"]["p95"]
    if p95 is not None:
        axes.axhline(p95, color="#444444", linewidth=0.8)
        axes.text(found.due[-1] / 1e3, p95, f"p95 {p95:.1f} ms", ha="right", va="bottom", fontsize=7)
    axes.set(xlabel="seconds", ylabel="age when it left (ms)", ylim=(0, None))
    axes.grid(alpha=0.25)


def _distribution(axes: Any, found: Window) -> None:
    ages = np.sort(found.age[~np.isnan(found.age)])
    if len(ages):
        # Nines on the axis: the tail is what a caller notices.
        above = 1 - np.arange(len(ages)) / len(ages)
        axes.step(ages, above, where="post", color=COLOURS["swap"])
        axes.set_yscale("log")
        axes.set_yticks([1, 0.5, 0.1, 0.05, 0.01], ["all", "p50", "p90", "p95", "p99"])
        axes.minorticks_off()
    axes.axvline(LIMIT_MS, color="#c0392b", linewidth=0.8, linestyle="--")
    axes.set(xlabel="age (ms)", ylabel="frames older than this", xlim=(0, None))
    axes.grid(alpha=0.25)


def _stages(axes: Any, run: dict[str, Any]) -> None:
    rows = [
        ("stages p95", {stage: run["stages_ms"][stage]["p95"] for stage in STAGES}),
        ("stages p50", {stage: run["stages_ms"][stage]["p50"] for stage in STAGES}),
        ("mean", {name: run[f"{name}_ms"]["mean"] for name in ("networks", "overhead", "waiting")}),
    ]
    named: set[str] = set()
    longest = max(sum(width or 0.0 for width in parts.values()) for _, parts in rows)
    for label, parts in rows:
        left = 0.0
        for name, width in parts.items():
            width = width or 0.0
            axes.barh(label, width, left=left, color=COLOURS[name], label=None if name in named else name)
            if width > 0.05 * longest:
                middle = left + width / 2
                axes.text(middle, label, f"{width:.1f}", ha="center", va="center", fontsize=7, color="white")
            named.add(name)
            left += width
    axes.set(xlabel="ms (each stage's own percentile)")
    axes.legend(fontsize=6.5, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
