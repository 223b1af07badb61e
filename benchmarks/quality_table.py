"""The goals of several quality runs side by side: `python -m benchmarks.quality_table [--only '*.mp4'] FILE.json…`."""

import argparse
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmarks.goals import judge_all


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


def only(figures: Mapping[str, Any], pattern: str) -> dict[str, Any]:
    """The same run judged by the clips whose names are like `pattern`, as in a shell."""
    clips = [clip for clip in figures["clips"] if fnmatchcase(str(clip["clip"]), pattern)]
    return {**figures, "clips": clips, "goals": judge_all(clips)}


def main() -> None:
    """Print the table of some result files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality_table", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="judge by clips of such names alone: '*.mp4'")
    args = parser.parse_args()
    runs = [(file.stem, only(json.loads(file.read_text(encoding="utf-8")), args.only)) for file in args.files]
    print(quality_table(runs))


if __name__ == "__main__":
    main()
