"""`masquerade bench latency`: how old a picture is when it leaves, and what made it so old.

The product's own loop runs with the null sink. Open loop (`--pace live`): the source keeps to a
schedule, ages count from it, and dropped frames count too, so that falling behind shows. Closed
loop (`--pace all`): the next frame is read when the last one left, which gives the throughput.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.measured_run import TAIL, MeasuredRun
from benchmarks.report import chart_option, check_outputs, finish, json_option, number, parse_set, set_option, stamp
from benchmarks.timings import Window, figures, throughput, window
from realtime.capture.open_source import open_source
from realtime.clock import Clock, now_ns
from realtime.config import RunConfig, make_config
from realtime.errors import ConfigError, MasqueradeError
from realtime.families import family_of
from realtime.families.motion import MOTION
from realtime.models.library import built_in_folder, load_bundle
from realtime.pipeline.av_sync import STILL_HZ

SCHEMA = 1

FEWEST = 500
"""Frames a claim needs: with fewer, p99 rests on less than five of them."""


class RunTooShort(MasqueradeError):
    """The figures were written, but no claim can rest on them."""

    exit_code = 1


@click.command()
@click.option("--source", help="A file, synthetic (no face in it) or a camera; the bundled clip.")
@click.option("--model", default="ada", show_default=True, help="A bundle's name or folder.")
@click.option("--avatar", help="For models that move a picture, or make it speak: its name or file.")
@click.option("--sound", help="For models that make a picture speak: a file, or mic; the bundled clip's voice.")
@click.option("--against-upstream", is_flag=True, help="Time upstream's full-width motion network in the same run.")
@click.option("--frames", type=click.IntRange(2), default=600, show_default=True, help="Frames measured.")
@click.option("--warm-up", type=click.IntRange(0), default=60, show_default=True, help="Left out.")
@click.option("--size", default="1280x720", show_default=True, help="Letterboxed to, on reading.")
@click.option("--fps", type=float, help="The rate at which frames are due: 30, or 25 where a picture speaks.")
@click.option("--pace", type=click.Choice(["live", "all"]), default="live", show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option("--detector", default="own", show_default=True)
@set_option
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="The median run counts.")
@json_option
@chart_option
def latency(
    source: str | None,
    against_upstream: bool,
    frames: int,
    warm_up: int,
    settings: tuple[str, ...],
    repeat: int,
    json_file: Path | None,
    chart: Path | None,
    **flags: Any,
) -> None:
    """How old pictures are when they leave, where the time goes, and how many are lost."""
    check_outputs(json_file, chart)
    config = configure(source, frames + warm_up, settings, flags)
    if against_upstream and family_of(load_bundle(config.model or "").card) is not MOTION:
        raise ConfigError(
            f"--against-upstream: model {config.model} moves no pictures, and only those are compared here"
        )
    where = stamp()
    runs: list[dict[str, Any]] = []
    kept: list[Window] = []
    for run_number in range(repeat):
        run, found = measure(config, warm_up=warm_up, count=frames)
        runs.append(run)
        kept.append(found)
        click.echo("\n".join([*([f"run {run_number + 1} of {repeat}"] if repeat > 1 else []), *formatted(run)]))
    report = assemble(config, where, runs, frames=frames, warm_up=warm_up)
    if against_upstream:
        from benchmarks.upstream import whole_frame

        contest = report["against_upstream"] = whole_frame(config)
        ours, theirs = (contest[side]["wall_ms"]["p50"] for side in ("ours", "upstream"))
        times = f"{contest['times_as_fast']['in_rounds']} times as fast (promised {contest['wanted']:g})"
        click.echo(f"upstream's network {theirs} ms a frame, our whole frame {ours} ms: {times}")
    finish(report, json_file)
    if chart is not None:
        from benchmarks.charts import draw_latency

        draw_latency(kept[report["median_run"]], report, chart)
    if not report["valid"]:
        raise RunTooShort("no claim can rest on this run: " + "; ".join(report["why_not"]))


def configure(source: str | None, total: int, settings: Sequence[str], flags: dict[str, Any]) -> RunConfig:
    """The run's configuration, the null sink its only output. Raises ConfigError."""
    given = {name: value for name, value in flags.items() if value is not None}
    given |= parse_set(settings, RunConfig.model_fields) | {"output": ("null",), "loop": True}
    clip = str(built_in_folder() / "clips" / "driving.mp4")
    if family_of(load_bundle(given.get("model", "ada")).card).speaks:
        if source is not None or given["pace"] == "all":
            raise ConfigError(
                "a picture that speaks has no source, and speaks in real time: leave --source and --pace all out"
            )
        # No camera is looked at: the picture sets the beat, and the clip lends its voice.
        given = {"avatar": "mira", "sound": clip, "fps": STILL_HZ, **given}
    else:
        given = {"fps": 30.0, **given, "source": source or clip}
    if given["pace"] == "all":
        del given["fps"]  # every frame counts: there is no rate to keep
        if given["source"] == "synthetic":
            given["source"] = f"synthetic:{total + TAIL}"
    else:
        # A camera that stops must not hold the benchmark for ever.
        given["seconds"] = 30 + 2 * total / given["fps"]
    return make_config({}, given)


def measure(config: RunConfig, *, warm_up: int, count: int, clock: Clock = now_ns) -> tuple[dict[str, Any], Window]:
    """One run: its figures as JSON, and the window they were made from. Raises MasqueradeError."""
    if config.pace == "all":
        # Sources that can't be read without a schedule are refused before models are loaded.
        open_source(config.source, size=config.size, pace="all").close()
    run = MeasuredRun(config, clock, warm_up=warm_up, count=count)
    started, cpu = clock(), time.process_time_ns()
    report = run.run()
    found = window(run.trace, warm_up, count)
    use = run.use
    start, end = use.at_start or (started, cpu), use.at_end or (clock(), time.process_time_ns())
    result = figures(found)
    if config.pace == "all":
        result["throughput"] = throughput(found)
        # Without a schedule there is nothing to be late for.
        for name in ("intervals_ms", "freezes", "fps"):
            del result[name]
    # One sample a second of frames; the closed loop's seconds are not the clock's.
    steady = use.memory_mb[1 + round(warm_up / (config.fps or 30)) :]
    long_run = config.pace != "all" and len(steady) > 60
    wall_ns = end[0] - start[0]
    result |= {
        "cpu_percent_of_a_core": round(100 * (end[1] - start[1]) / wall_ns, 1) if wall_ns > 0 else None,
        "memory_mb": {
            "peak": report["peak_memory_mb"],
            "at_start": round(steady[0], 1) if steady else None,
            "at_end": round(steady[-1], 1) if steady else None,
            # What a long run gains once it is settled.
            "peak_growth_after_60_s": round(max(steady[60:]) - max(steady[:60]), 1) if long_run else None,
        },
        "source": {"name": report["source"], "size": report["size"], "rate_hz": round(run.source_rate_hz, 3)},
        "providers": report["providers"],
        "precision": report["precision"],
        **({"sound": with_added_delay(report["sound"], result)} if "sound" in report else {}),
        "schedule_lost_s": round(run.lost_s, 3),
        "threads_left": run.threads_left,
    }
    return result, found


def with_added_delay(sound: Any, result: dict[str, Any]) -> dict[str, Any]:
    """The voice's own figures, and how much later than spoken a word is seen: the mouth's wait, the picture's age."""
    wait_ms, age = 1000 * float(sound["delay_s"]), result["latency_ms"]
    added = {p: None if age[p] is None else round(wait_ms + age[p], 1) for p in ("p50", "p95", "max")}
    return {**sound, "added_delay_ms": added}


def faults(run: dict[str, Any], config: RunConfig, frames: int) -> list[str]:
    """Why no claim can rest on this run; empty when one can."""
    counted = run["frames"]
    scheduled, lost_s, offered = counted["scheduled"], run["schedule_lost_s"], run.get("fps", {}).get("offered")
    off = offered is not None and config.fps is not None and abs(offered - config.fps) > 0.02 * config.fps
    found = {
        f"{scheduled} frames were measured, at least {FEWEST} are needed: pass --frames": scheduled < FEWEST,
        f"the source ended after {scheduled} of {frames} frames": scheduled < frames,
        f"the source was read {lost_s} s too slowly: the schedule was put off": lost_s > 0,
        f"the source gave {offered} frames a second, not {config.fps}": off,
        f"{counted['failed']} frames failed in a stage": counted["failed"] > 0,
        f"threads were left behind: {', '.join(run['threads_left'])}": bool(run["threads_left"]),
    }
    return [fault for fault, there in found.items() if there]


def assemble(
    config: RunConfig, where: dict[str, Any], runs: list[dict[str, Any]], *, frames: int, warm_up: int
) -> dict[str, Any]:
    """The JSON file: what was asked, where, every run, and which of them is the median one."""
    what = ("throughput", "fps") if config.pace == "all" else ("latency_ms", "p95")
    ranks = [run[what[0]][what[1]] or 0.0 for run in runs]
    order = sorted(range(len(runs)), key=ranks.__getitem__)
    middle = order[(len(order) - 1) // 2]
    why_not = sorted({fault for run in runs for fault in faults(run, config, frames)})
    same = ("pace", "model", "avatar", "fps", "provider", "precision", "detector")
    return {
        "schema": SCHEMA,
        "kind": "latency",
        "valid": not why_not,
        "why_not": why_not,
        "stamp": where,
        "asked": {
            **{name: getattr(config, name) for name in same},
            "sound": None if config.sound is None else Path(config.sound).name,
            "frames": frames,
            "warm_up": warm_up,
            "size": list(config.size) if config.size else None,
            "settings": config.settings().model_dump(exclude={"model"}),
        },
        "runs": runs,
        "median_run": middle,
        "over_runs": {
            "what": ".".join(what),
            "median": statistics.median(ranks),
            "lowest": min(ranks),
            "highest": max(ranks),
        },
        "result": runs[middle],
    }


def formatted(run: dict[str, Any]) -> list[str]:
    """The figures for a person, a line a thing."""
    counted = run["frames"]
    lines = [_spread("latency", run["latency_ms"], "p50 p90 p95 p99 max")]
    lines += [_spread(f"  {stage}", times, "p50 p95") for stage, times in run["stages_ms"].items()]
    lines += [_spread(name, run[f"{name}_ms"], "p50 p95 mean") for name in ("networks", "overhead", "waiting")]
    lost = (
        f"{counted['dropped']} of {counted['scheduled']} dropped, {counted['repeated']} repeated, "
        f"{counted['guarded']} guarded, {counted['raw']} raw"
    )
    if "fps" in run:
        lines.append(f"rate       {run['fps']['delivered']} of {run['fps']['offered']} fps; {lost}")
        lines.append(_spread("intervals", run["intervals_ms"], "jitter source_jitter p99 max"))
        lines[-1] += f"; {run['freezes']['count']} freezes"
    else:
        speed = run["throughput"]
        lines.append(f"throughput {speed['fps']} fps ({speed['fps_with_reading']} with reading the file); {lost}")
    if "sound" in run:
        lines.append(_spread("seen and heard after it was spoken", run["sound"]["added_delay_ms"], "p50 p95"))
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
    elif missed := counted["delivered"] - counted["with_face"]:
        lines.append(f"{missed} of {counted['delivered']} delivered frames had no face found in them")
    return lines


def _spread(name: str, times: dict[str, float | None], which: str) -> str:
    return f"{name:<11}" + "  ".join(f"{p} {number(times[p]):>5}" for p in which.split()) + " ms"
