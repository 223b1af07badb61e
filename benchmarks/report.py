"""What every benchmark's report has in common: options, the stamp that says where it was measured, JSON and tables."""

import json
import os
import platform
import subprocess
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from realtime import __version__
from realtime.errors import ConfigError, pip_install
from realtime.files import check_output
from realtime.inference.providers import cpu_flags
from realtime.pipeline.metrics import commit, machine

LIBRARIES = (
    *("numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "onnxruntime-ep-openvino"),
    *("av", "mediapipe", "torch"),
)
_CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp", "bf16", "i8mm")
_SUFFIXES = {"chart": (".svg", ".png", ".pdf"), "sheet": (".jpg", ".jpeg", ".png")}

FILE = click.Path(path_type=Path, dir_okay=False)
json_option = click.option("--json", "json_file", type=FILE, help="Write all figures to this file.")
chart_option = click.option("--chart", type=FILE, help="Draw the figures: .svg, .png or .pdf.")
set_option = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A live setting: sharpen=20.")


def check_outputs(json_file: Path | None, chart: Path | None = None, sheet: Path | None = None) -> None:
    """Refuse before measuring what can't be written afterwards. Raises ConfigError."""
    for name, file in (("chart", chart), ("sheet", sheet)):
        if file is not None and file.suffix.lower() not in _SUFFIXES[name]:
            raise ConfigError(f"--{name} {file}: end it in {', '.join(_SUFFIXES[name])}")
    if chart is not None and find_spec("matplotlib") is None:
        raise ConfigError(f"--chart needs matplotlib: {pip_install('bench')}, or leave --chart out")
    for file in (json_file, chart, sheet):
        if file is not None:
            check_output(file, "the file")


def parse_set(settings: Sequence[str], known: Collection[str]) -> dict[str, Any]:
    """What `--set KEY=VALUE` asks for. Raises ConfigError."""
    given = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise ConfigError(f"--set {setting}: write KEY=VALUE, e.g. --set color_transfer=none")
        given[key] = value
    return given


def finish(report: Mapping[str, Any], file: Path | None) -> None:
    """Print where it was measured, and write the report where it was asked for."""
    click.echo(one_line(report.get("stamp", report)))
    if file is not None:
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def stamp() -> dict[str, Any]:
    """The machine, its load, the versions and the commit, as JSON: without them a number says nothing."""
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # Windows
        memory = None
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            **machine(),
            "cpu_features": [name for name in _CPU_FEATURES if name in cpu_flags()],
            "memory_gb": memory,
            "system": platform.platform(),
            "gpu_driver": _first_line(Path("/proc/driver/nvidia/version")),
            # Other programs' work spoils latencies: whoever reads the file should see it.
            "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        },
        "versions": {"masquerade": __version__, "python": platform.python_version(), **_libraries()},
        "commit": commit(),
        "uncommitted_changes": _uncommitted_changes(),
    }


def one_line(where: Mapping[str, Any]) -> str:
    """The stamp for a chart's foot or a terminal."""
    at = where["machine"]
    gpu = f", {at['gpu']}" if at["gpu"] else ""
    commit_name = where["commit"] or f"version {where['versions']['masquerade']}"
    changed = " with changes" if where["uncommitted_changes"] else ""
    parts = (f"{at['cpu']}, {at['cores']} cores{gpu}", f"load {at['load_1min']}", f"{commit_name}{changed}")
    return "; ".join((*parts, where["when"]))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(c.rjust(w) if n else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def number(value: float | None, digits: int = 1) -> str:
    """A number, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError):
        return None


def _uncommitted_changes() -> bool | None:
    """True if the checkout differs from its commit; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", "status", "--porcelain"]  # a status alone would rewrite git's index
    try:
        asked = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(asked.stdout.strip())
