"""A latency run's figures in words."""

from typing import Any


def told(run: dict[str, Any], title: str = "") -> list[str]:
    """The figures for a person, a line a thing."""
    counted, age = run["frames"], run["latency_ms"]
    lines = [title] if title else []
    lines.append("latency    " + "  ".join(f"{p} {_ms(age[p])}" for p in ("p50", "p90", "p95", "p99", "max")) + " ms")
    for stage, times in run["stages_ms"].items():
        lines.append(f"  {stage:<9}p50 {_ms(times['p50'])}  p95 {_ms(times['p95'])} ms")
    for name in ("networks", "overhead", "waiting"):
        times = run[f"{name}_ms"]
        lines.append(f"{name:<11}" + "  ".join(f"{p} {_ms(times[p])}" for p in ("p50", "p95", "mean")) + " ms")
    if "fps" in run:
        rates, gaps, frozen = run["fps"], run["intervals_ms"], run["freezes"]
        lines.append(f"rate       {rates['delivered']} of {rates['offered']} fps; {_lost(counted)}")
        lines.append(
            f"intervals  jitter {_ms(gaps['jitter'])} (source {_ms(gaps['source_jitter'])})  "
            f"p99 {_ms(gaps['p99'])}  max {_ms(gaps['max'])} ms; {frozen['count']} freezes"
        )
    else:
        speed = run["throughput"]
        lines.append(
            f"throughput {speed['fps']} fps ({speed['fps_with_reading']} with reading the file); "
            f"SingleStream p90 {_ms(speed['single_stream_p90_ms'])} ms; {_lost(counted)}"
        )
    if "sound" in run:
        added, waits = run["sound"]["added_delay_ms"], 1000 * run["sound"]["delay_s"]
        lines.append(
            f"voice      is seen and heard {_ms(added['p50'])} ms after it was spoken, p95 {_ms(added['p95'])} ms "
            f"({waits:.0f} of them the mouth's look ahead); {run['sound']['late']} pictures late"
        )
    memory = run["memory_mb"]
    lines.append(
        f"use        {run['cpu_percent_of_a_core']} % of a core, peak {memory['peak']} MB "
        f"({memory['at_start']} MB at the start, {memory['at_end']} MB at the end)"
    )
    ran = [f"{part} on {name} in {run['precision'][part]}" for part, name in run["providers"].items()]
    lines.append(f"ran        {', '.join(ran)}; {run['source']['name']}")
    if counted["failed"]:
        lines.append(f"{counted['failed']} frames failed in a stage: --debug shows why")
    elif run["providers"].get("detect") == "none":
        lines.append("nobody's face was looked for: the picture speaks by itself")
    elif counted["delivered"] and not counted["with_face"]:
        lines.append("no face was in the pictures: align, swap and blend had nothing to do")
    elif missed := counted["delivered"] - counted["with_face"]:
        lines.append(f"{missed} delivered frames had no face found in them")
    return lines


def _lost(counted: dict[str, int]) -> str:
    return (
        f"{counted['dropped']} of {counted['scheduled']} dropped, {counted['repeated']} repeated, "
        f"{counted['guarded']} guarded, {counted['raw']} raw"
    )


def _ms(value: float | None) -> str:
    return "    –" if value is None else f"{value:5.1f}"
