"""The training's log as a chart: every term over the steps, a line for each identity."""

import json
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

NOT_TERMS = frozenset({"step", "s", "progress", "name"})
COLUMNS = 3


def plot(log: Path, out: Path) -> None:
    """Draw `log` (JSON lines, as `train` writes them) into `out`, an .svg or .png. Raises ValueError if it is empty."""
    terms: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        for term in entry.keys() - NOT_TERMS:
            terms[term][entry["name"]].append((entry["step"], entry[term]))
    if not terms:
        raise ValueError(f"{log} holds no steps yet")
    rows = -(-len(terms) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.6 * rows), layout="constrained")
    for place, term in enumerate(sorted(terms)):
        axes = figure.add_subplot(rows, COLUMNS, place + 1)
        for name, points in sorted(terms[term].items()):
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axes.set_title(term, fontsize=9)
        axes.tick_params(labelsize=7)
        if term not in ("critic", "sharp"):
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7)
    figure.savefig(out)
