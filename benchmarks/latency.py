"""`masquerade bench latency`: how old a picture is when it leaves, and what made it so old.

The product's own loop runs with the null sink. Open loop (`--pace live`): the source keeps to a
schedule, ages count from it, and dropped frames count too, so that falling behind shows. Closed
loop (`--pace all`): the next frame is read when the last one left, which gives the throughput.
"""

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.latency_text import told
from benchmarks.measured_loop import TAIL, MeasuredRun
from benchmarks.stamp import one_line, stamp
from benchmarks.timings import Window, figures, per_second, throughput, window
from realtime.capture.open_source import open_source
from realtime.clock import Clock, now_ns
from realtime.config import RunConfig, make_config
from realtime.errors import ConfigError, MasqueradeError
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
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A live setting: sharpen=20.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="The median run counts.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--chart", type=click.Path(path_type=Path, dir_okay=False), help="A picture: .svg or .png.")
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
    for file in (json_file, chart):
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigError(f"{file} can't be written: the folder {file.absolute().parent} does not exist")
    if chart is not None:
        from benchmarks.chart import check_drawable

        check_drawable(chart)
    config = configure(source, frames + warm_up, settings, flags)
    if against_upstream and load_bundle(config.model or "").card.family != "motion":
        raise ConfigError(
            f"--against-upstream: model {config.model} moves no pictures, and only those are compared here"
        )
    where = stamp()
    runs: list[dict[str, Any]] = []
    kept: list[Window] = []
    for number in range(repeat):
        run, found = measure(config, warm_up=warm_up, count=frames)
        runs.append(run)
        kept.append(found)
        click.echo("\n".join(told(run, f"run {number + 1} of {repeat}" if repeat > 1 else "")))
    report = assemble(config, where, runs, frames=frames, warm_up=warm_up)
    if against_upstream:
        from benchmarks import whole_frame
        from benchmarks.quality import open_finder

        report["against_upstream"] = whole_frame.against_upstream(config, open_finder)
        click.echo(whole_frame.told(report["against_upstream"]))
    click.echo(one_line(where))
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if chart is not None:
        from benchmarks.chart import draw_latency

        middle = report["median_run"]
        draw_latency(kept[middle], runs[middle], report, chart)
    if not report["valid"]:
        raise RunTooShort("no claim can rest on this run: " + "; ".join(report["why_not"]))


def configure(source: str | None, total: int, settings: Sequence[str], flags: dict[str, Any]) -> RunConfig:
    """The run's configuration, the null sink its only output. Raises ConfigError."""
    given = {name: value for name, value in flags.items() if value is not None}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in RunConfig.model_fields:
            raise ConfigError(f"--set {setting}: write KEY=VALUE, e.g. --set color_transfer=none")
        given[key] = value
    clip = str(built_in_folder() / "clips" / "driving.mp4")
    given |= {"output": ("null",), "loop": True}
    if load_bundle(given.get("model", "ada")).card.family == "lip-sync":
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
        _check_reel(config)
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
    cores = per_second(end[1] - start[1], end[0] - start[0])
    # One sample a second of frames; the closed loop's seconds are not the clock's.
    steady = use.memory_mb[1 + round(warm_up / (config.fps or 30)) :]
    long_run = config.pace != "all" and len(steady) > 60
    result |= {
        "cpu_percent_of_a_core": cores,
        "memory_mb": {
            "peak": report["peak_memory_mb"],
            "at_start": round(steady[0], 1) if steady else None,
            "at_end": round(steady[-1], 1) if steady else None,
            # The issue's own measure of a leak: what a long run gains once it is settled.
            "peak_growth_after_60_s": round(max(steady[60:]) - max(steady[:60]), 1) if long_run else None,
        },
        "source": {"name": report["source"], "size": report["size"], "rate_hz": round(run.source_rate_hz, 3)},
        "providers": report["providers"],
        "precision": report["precision"],
        **({"sound": _added(report["sound"], result)} if "sound" in report else {}),
        "schedule_lost_s": round(run.lost_s, 3),
        "threads_left": run.threads_left,
    }
    return result, found


def _added(sound: Any, result: dict[str, Any]) -> dict[str, Any]:
    """The voice's own figures, and how much later than spoken a word is seen: the mouth's wait, the picture's age."""
    wait_ms = 1000 * float(sound["delay_s"])
    age = result["latency_ms"]
    added = {p: None if age[p] is None else round(wait_ms + age[p], 1) for p in ("p50", "p95", "max")}
    return {**sound, "added_delay_ms": added}


def _check_reel(config: RunConfig) -> None:
    """Refuse sources that can't be read without a schedule, before models are loaded."""
    open_source(config.source, size=config.size, pace="all").close()


def faults(run: dict[str, Any], config: RunConfig, frames: int) -> list[str]:
    """Why no claim can rest on this run; empty when one can."""
    found = []
    counted = run["frames"]
    if counted["scheduled"] < FEWEST:
        found.append(f"{counted['scheduled']} frames were measured, at least {FEWEST} are needed: pass --frames")
    if counted["scheduled"] < frames:
        found.append(f"the source ended after {counted['scheduled']} of {frames} frames")
    if run["schedule_lost_s"]:
        found.append(f"the source was read {run['schedule_lost_s']} s too slowly: the schedule was put off")
    offered = run.get("fps", {}).get("offered")
    if offered is not None and config.fps is not None and abs(offered - config.fps) > 0.02 * config.fps:
        found.append(f"the source gave {offered} frames a second, not {config.fps:g}")
    if counted["failed"]:
        found.append(f"{counted['failed']} frames failed in a stage")
    if run["threads_left"]:
        found.append(f"threads were left behind: {', '.join(run['threads_left'])}")
    return found


def assemble(
    config: RunConfig, where: dict[str, Any], runs: list[dict[str, Any]], *, frames: int, warm_up: int
) -> dict[str, Any]:
    """The JSON file: what was asked, where, every run, and which of them is the median one."""
    if config.pace == "all":
        ranks = [run["throughput"]["fps"] or 0.0 for run in runs]
    else:
        ranks = [run["latency_ms"]["p95"] or 0.0 for run in runs]
    order = sorted(range(len(runs)), key=ranks.__getitem__)
    middle = order[(len(order) - 1) // 2]
    why_not = sorted({fault for run in runs for fault in faults(run, config, frames)})
    return {
        "schema": SCHEMA,
        "kind": "latency",
        "valid": not why_not,
        "why_not": why_not,
        "stamp": where,
        "asked": {
            "pace": config.pace,
            "model": config.model,
            "avatar": config.avatar,
            "sound": None if config.sound is None else Path(config.sound).name,
            "frames": frames,
            "warm_up": warm_up,
            "size": list(config.size) if config.size else None,
            "fps": config.fps,
            "provider": config.provider,
            "precision": config.precision,
            "detector": config.detector,
            "settings": config.settings().model_dump(exclude={"model"}),
        },
        "runs": runs,
        "median_run": middle,
        "over_runs": {
            "what": "throughput.fps" if config.pace == "all" else "latency_ms.p95",
            "median": statistics.median(ranks),
            "lowest": min(ranks),
            "highest": max(ranks),
        },
        "result": runs[middle],
    }
