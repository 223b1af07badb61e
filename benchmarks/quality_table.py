"""The goals of several quality runs side by side: `python -m benchmarks.quality_table FILE.json… > table.md`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def quality_table(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """A Markdown table: a line for each goal, a column for each (name, figures) of `bench quality --json`.

    A figure that misses its goal is bold. Goals are told apart by their words, so that older files line up.
    """
    limits: dict[str, str] = {}
    for _, figures in runs:
        for goal in figures["goals"]:
            limits[goal["what"]] = goal["limit"]
    lines = ["| goal | limit | " + " | ".join(name for name, _ in runs) + " |", "|---" * (len(runs) + 2) + "|"]
    for what, limit in limits.items():
        cells = [_cell(next((g for g in figures["goals"] if g["what"] == what), None)) for _, figures in runs]
        lines.append(f"| {what} | {limit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(goal: Mapping[str, Any] | None) -> str:
    if goal is None or goal["value"] is None:
        return "–"
    value = f"{goal['value']:.3g}"
    return value if goal["met"] else f"**{value}**"


def main(files: Sequence[str]) -> None:
    """Print the table of some result files."""
    runs = [(Path(file).stem, json.loads(Path(file).read_text(encoding="utf-8"))) for file in files]
    print(quality_table(runs))


if __name__ == "__main__":
    main(sys.argv[1:])
