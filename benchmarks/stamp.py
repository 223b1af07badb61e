"""Where a measurement was made, with what, and when: without it a number says nothing."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from realtime import __version__
from realtime.pipeline.metrics import commit, machine

LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-ep-openvino",
    "av",
    "mediapipe",
    "torch",
)

_TELLING = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp", "bf16", "i8mm")


def stamp() -> dict[str, Any]:
    """The machine, its load, the versions and the commit, as JSON."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            **machine(),
            "cpu_features": _cpu_features(),
            "memory_gb": _memory_gb(),
            "system": platform.platform(),
            "gpu_driver": _first_line(Path("/proc/driver/nvidia/version")),
            # Other programs' work spoils latencies: whoever reads the file should see it.
            "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        },
        "versions": {"masquerade": __version__, "python": platform.python_version(), **_libraries()},
        "commit": commit(),
        "uncommitted_changes": _uncommitted_changes(),
    }


def one_line(where: dict[str, Any]) -> str:
    """The stamp for a chart's foot or a terminal."""
    at = where["machine"]
    gpu = f", {at['gpu']}" if at["gpu"] else ""
    commit_name = where["commit"] or f"version {where['versions']['masquerade']}"
    changed = " with changes" if where["uncommitted_changes"] else ""
    parts = (f"{at['cpu']}, {at['cores']} cores{gpu}", f"load {at['load_1min']}", f"{commit_name}{changed}")
    return "; ".join((*parts, where["when"]))


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_features() -> list[str]:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                has = set(line.split(":", 1)[1].split())
                return [name for name in _TELLING if name in has]
    except OSError:
        pass
    return []


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # Windows
        return None


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
    try:
        asked = subprocess.run(
            ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(asked.stdout.strip())
