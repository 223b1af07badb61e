"""What the backends benchmark found, in words and columns."""

from collections.abc import Sequence
from typing import Any

COLUMNS = ("way", "p50", "p95", "p99", "cpu", "faster", "memory", "opened", "worst", "PSNR")
UNITS = ("", "ms", "ms", "ms", "ms", "times", "MB", "ms", "", "dB")


def table(network: dict[str, Any]) -> list[str]:
    """One network's ways, a row each, and below it what did not run."""
    title = f"{network['model']}: {network['file']}, {network['megabytes']} MB, threads {network['threads']}"
    rows: list[Sequence[str]] = [COLUMNS, UNITS]
    failed = []
    for result in network["results"]:
        way = f"{result['provider']} {result['precision']}"
        if "error" in result:
            failed.append(f"  {way} does not run: {result['error']}")
            continue
        wall, worst = result["wall_ms"], _worst(result["difference"])
        rows.append(
            (
                way,
                *(number(wall[p]) for p in ("p50", "p95", "p99")),
                number(result["cpu_ms"]["p50"]),
                number(result["times_as_fast"]["in_rounds"]),
                number(result.get("memory_mb"), 0),
                number(result.get("open_ms"), 0),
                *worst,
            )
        )
    return [title, *aligned(rows), *failed]


def upstream_table(family: dict[str, Any]) -> list[str]:
    """One family's contest: the network as upstream runs it, and every way of ours."""
    title = f"{family['family']}: {family['what']}, threads {family['threads']}; {family['results'][0]['runs']} rounds"
    rows: list[Sequence[str]] = [
        ("way", "best", "p50", "cpu", "faster", "by best", "by cpu", "worst", "PSNR"),
        ("", "ms", "ms", "ms", "times", "times", "times", "", "dB"),
    ]
    for result in family["results"]:
        wall, gain = result["wall_ms"], result["times_as_fast"]
        rows.append(
            (
                result["title"],
                *(number(wall[p]) for p in ("min", "p50")),
                number(result["cpu_ms"]["p50"]),
                *(number(gain[how], 2) for how in ("in_rounds", "of_best", "in_cpu_time")),
                *_worst(result["difference"]),
            )
        )
    told = [f"  not measured: {title}: {why}" for title, why in family["not_measured"].items()]
    judged = [
        f"  {'met' if target['met'] else 'missed'}: {target['what']}: {target['wanted']:g} times wanted, "
        f"{number(target['reached'], 2)} reached ({target['by']})"
        for target in family["targets"]
    ]
    return [title, *aligned(rows), *told, *judged]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def number(value: float | None, digits: int = 1) -> str:
    """A number, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def _worst(difference: Any) -> tuple[str, str]:
    """The worst difference over the outputs, and the lowest PSNR of those that are pictures."""
    if not isinstance(difference, list):
        return str(difference)[:40], "–"
    signal = [entry["psnr_db"] for entry in difference if entry["psnr_db"] is not None]
    return f"{max(entry['worst'] for entry in difference):.1e}", number(min(signal, default=None))
