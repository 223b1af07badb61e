"""The backends benchmark as a picture: a bar a way, one panel a network."""

from pathlib import Path
from typing import Any

from benchmarks.chart_file import written

COLOURS = {"fp32": "#3b7dd8", "bf16": "#7a4fd0", "fp16": "#d05fa2", "int8": "#e0a23b", "auto": "#57b8d9"}
OTHERS = "#9aa5b1"


def draw_backends(report: dict[str, Any], path: Path) -> None:
    """Draw the JSON file's content to `path`. Raises ConfigError where it cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    # Text as text: the file stays small, and can be searched and read aloud.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "masquerade", "font.size": 9.0}
    from matplotlib import pyplot

    panels = [_upstream_panel(f) for f in report["families"]] if "families" in report else []
    panels = panels or [_network_panel(n) for n in report["networks"]]
    heights = [1.2 + 0.32 * len(rows) for _, rows in panels]
    figure, axes = pyplot.subplots(
        len(panels), 1, figsize=(9.0, sum(heights)), layout="constrained", squeeze=False, height_ratios=heights
    )
    with written(figure, path, report["stamp"]):
        for (title, rows), place in zip(panels, axes[:, 0], strict=True):
            _bars(place, title, rows)


Row = tuple[str, float, float, str, str]
"""Title, milliseconds of the bar, milliseconds of its whisker's end, what stands beside it, colour."""


def _network_panel(network: dict[str, Any]) -> tuple[str, list[Row]]:
    rows: list[Row] = []
    for result in network["results"]:
        if "error" in result:
            continue
        wall, gain = result["wall_ms"], result["times_as_fast"]["in_rounds"]
        beside = f"{wall['p50']:.1f} ms, ×{gain:.2f}"
        colour = COLOURS.get(result["precision"], OTHERS)
        rows.append((f"{result['provider']} {result['precision']}", wall["p50"], wall["p95"], beside, colour))
    return f"{network['model']}: {network['file']} (threads {network['threads']}; p50, whisker p95)", rows


def _upstream_panel(family: dict[str, Any]) -> tuple[str, list[Row]]:
    rows: list[Row] = []
    for result in family["results"]:
        wall, gain = result["wall_ms"], result["times_as_fast"]["in_rounds"]
        beside = f"{wall['p50']:.0f} ms" + ("" if result["upstream"] else f", ×{gain:.2f}")
        colour = OTHERS if result["upstream"] else COLOURS.get(result["precision"], OTHERS)
        rows.append((result["title"], wall["p50"], wall["p95"], beside, colour))
    return f"{family['family']}: {family['what']} (threads {family['threads']}; p50, whisker p95)", rows


def _bars(axes: Any, title: str, rows: list[Row]) -> None:
    longest = max((end for _, _, end, _, _ in rows), default=1.0)
    for place, (_, width, end, beside, colour) in enumerate(rows):
        axes.barh(place, width, color=colour)
        axes.plot([width, end], [place, place], color="#444444", linewidth=0.8)
        axes.text(end + 0.01 * longest, place, beside, va="center", fontsize=7.5)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * longest)
    axes.set_xlabel("ms a run")
    axes.set_title(title, fontsize=9.5, loc="left")
    axes.grid(axis="x", alpha=0.25)
