"""The report as Prometheus reads it (text format 0.0.4)."""

from collections.abc import Iterator, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4"


def metrics_text(report: Mapping[str, Any]) -> str:
    """The counted part of a report, one metric a line; what is missing is left out."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    frames = _numbers(report.get("frames"))
    if frames:
        yield "# HELP masquerade_frames_total Frames by what became of them."
        yield "# TYPE masquerade_frames_total counter"
        yield from (f'masquerade_frames_total{{kind="{_safe(k)}"}} {v:g}' for k, v in frames.items())
    for key, name, what in (
        ("fps", "masquerade_fps", "New pictures handed over a second."),
        ("seconds", "masquerade_seconds", "Time from the first to the last picture."),
        ("peak_memory_mb", "masquerade_peak_memory_megabytes", "The most memory the process held."),
    ):
        if isinstance(value := report.get(key), (int, float)):
            yield f"# HELP {name} {what}"
            yield f"# TYPE {name} gauge"
            yield f"{name} {value:g}"
    latency = _numbers(report.get("latency_ms"))
    if latency:
        yield "# HELP masquerade_latency_milliseconds From capture to hand-over."
        yield "# TYPE masquerade_latency_milliseconds gauge"
        yield from (f'masquerade_latency_milliseconds{{at="{_safe(k)}"}} {v:g}' for k, v in latency.items())
    stages = report.get("stages_ms")
    if isinstance(stages, Mapping) and stages:
        yield "# HELP masquerade_stage_milliseconds Time spent in each stage."
        yield "# TYPE masquerade_stage_milliseconds gauge"
        for stage, percentiles in stages.items():
            for at, value in _numbers(percentiles).items():
                yield f'masquerade_stage_milliseconds{{stage="{_safe(stage)}",at="{_safe(at)}"}} {value:g}'
    yield "# HELP masquerade_info What runs."
    yield "# TYPE masquerade_info gauge"
    facts = ",".join(f'{key}="{_safe(report.get(key, ""))}"' for key in ("model", "family", "version"))
    yield f"masquerade_info{{{facts}}} 1"


def _numbers(values: object) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {str(k): float(v) for k, v in values.items() if isinstance(v, (int, float))}


def _safe(label: object) -> str:
    return str(label).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
