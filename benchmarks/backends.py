"""`masquerade bench backends`: every network on every runtime and precision that this machine has.

How long a run takes, how much memory it needs, and how far its numbers are from ONNX Runtime's CPU provider in
float32, the reference. All ways of one network are timed in turns, in one process.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.footprint import Feed, Way, footprint, noise
from benchmarks.interleaved import speedup, take_turns
from benchmarks.report import aligned, chart_option, check_outputs, finish, json_option, number, stamp
from export.parity import Kind, compare
from realtime.errors import ConfigError, MasqueradeError, ModelError
from realtime.inference.ort import open_session
from realtime.inference.providers import NAMES, choose, default_threads, why_not
from realtime.inference.session import Session
from realtime.models.bundle import Bundle
from realtime.models.library import BUNDLES, built_in_folder, load_bundle

SCHEMA = 1
SAMPLES = 4
REFERENCE = Way("cpu", "fp32")

PRECISIONS = {"openvino": ("fp32", "bf16"), **dict.fromkeys(("cuda", "tensorrt", "rtx"), ("fp32", "auto"))}
"""What to ask a provider for, where that is more than fp32; `auto` means TF32 on NVIDIA's GPUs."""


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--runs", type=click.IntRange(5), default=500, show_default=True, help="Runs of each way.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="At most, for each network file.")
@click.option("--threads", type=click.IntRange(1), multiple=True, help="May be given more than once; the default's.")
@click.option("--against-upstream", is_flag=True, help="Full-size networks against how upstream runs them.")
@click.option("--int8", is_flag=True, help="With --against-upstream: also quantised here, which takes minutes.")
@click.option("--family", "families", multiple=True, help="With --against-upstream: only motion, lip-sync or swap.")
@json_option
@chart_option
def backends(
    models: tuple[str, ...],
    runs: int,
    seconds: float,
    threads: tuple[int, ...],
    against_upstream: bool,
    int8: bool,
    families: tuple[str, ...],
    json_file: Path | None,
    chart: Path | None,
) -> None:
    """Every network on every runtime and precision here: speed, memory, difference."""
    check_outputs(json_file, chart)
    counts = threads or (default_threads(),)
    asked = {"runs": runs, "seconds": seconds, "threads": list(counts)}
    asked |= {"against_upstream": against_upstream, "int8": int8}
    report: dict[str, Any] = {"schema": SCHEMA, "kind": "backends", "stamp": stamp(), "asked": asked}
    if against_upstream:
        # It needs PyTorch and ONNX, which the rest of the benchmarks do not.
        from benchmarks.upstream import measure_families

        report |= measure_families(families, counts, runs=runs, seconds=seconds, int8=int8, say=click.echo)
    else:
        ways, missing = ways_here()
        report |= {"not_here": missing, "networks": []}
        for bundle, file in _files(models):
            for count in counts:
                entry = measure_network(bundle.path(file), ways, count, runs=runs, seconds=seconds)
                report["networks"].append({"model": bundle.name, "family": bundle.card.family, **entry})
                title = f"{bundle.name}: {file}, {entry['megabytes']} MB, threads {count}"
                click.echo("\n".join(table(title, entry["results"])))
        click.echo("\n".join(f"not here: {name}: {why}" for name, why in missing.items()))
    finish(report, json_file)
    if chart is not None:
        from benchmarks.charts import draw_backends

        draw_backends(report, chart)


def ways_here() -> tuple[list[Way], dict[str, str]]:
    """What seems to run here, the reference first, and for what does not, the reason."""
    ways, missing = [REFERENCE], {}
    for provider in NAMES:
        if provider in ("auto", REFERENCE.provider):
            continue
        if reason := why_not(provider):
            missing[provider] = reason
            continue
        for precision in PRECISIONS.get(provider, ("fp32",)):
            way = Way(provider, precision)
            try:
                choose(provider, precision, 1)
                ways.append(way)
            except ModelError as error:
                missing[way.title] = str(error)
    return ways, missing


def measure_network(file: Path, ways: Sequence[Way], threads: int, *, runs: int, seconds: float) -> dict[str, Any]:
    """One network on all of `ways`, the first of which is what the others are compared with."""
    with ExitStack() as opened:
        sessions: dict[str, Session] = {}
        results: dict[str, dict[str, Any]] = {
            way.title: {"provider": way.provider, "precision": way.precision} for way in ways
        }
        for way in ways:
            entry = results[way.title]
            entry |= footprint(file, way, threads)
            if "error" in entry:
                continue
            try:
                session = open_session(file, provider=way.provider, precision=way.precision, threads=threads)
            except ModelError as error:
                entry["error"] = str(error)
                continue
            opened.callback(session.close)
            sessions[way.title] = session
            entry |= {"ran_on": session.ran_on, "precision_ran": session.precision}
        first = ways[0].title
        if first not in sessions:
            raise ModelError(f"{file.name} does not run on {first}: {results[first]['error']}")
        reference = sessions[first]
        generator = np.random.default_rng(0)
        # A foreign file may leave the batch open where another runtime has settled it: one picture fits both.
        feeds = [noise(reference.inputs, generator) for _ in range(SAMPLES)]
        times = take_turns({name: partial(s.run, feeds[0]) for name, s in sessions.items()}, runs, seconds=seconds)
        kinds = _kinds(reference.run(feeds[0]))
        for name, session in sessions.items():
            results[name] |= times[name].figures()
            results[name] |= {"times_as_fast": speedup(times[first], times[name])}
            results[name] |= {"difference": _differences(reference, session, feeds, kinds)}
    megabytes = round(file.stat().st_size / 1e6, 1)
    return {"file": file.name, "megabytes": megabytes, "threads": threads, "results": list(results.values())}


def _differences(
    reference: Session, session: Session, feeds: Sequence[Feed], kinds: dict[str, Kind]
) -> list[dict[str, Any]] | str:
    """Output by output; or, where a way gives what cannot be compared, what was wrong with it."""
    try:
        return compare(reference, session, feeds, kinds).facts()
    except MasqueradeError as error:
        return str(error)


def _kinds(outputs: dict[str, Any]) -> dict[str, Kind]:
    """What each output is: four-dimensional numbers of 0..1 are pictures or masks."""
    found: dict[str, Kind] = {}
    for name, value in outputs.items():
        picture = value.ndim == 4 and value.min() >= 0 and value.max() <= 1
        found[name] = "picture" if picture else "points" if name == "keypoints" else "numbers"
    return found


def _files(models: Sequence[str]) -> list[tuple[Bundle, str]]:
    """The network files of the named bundles, or of all that are installed."""
    if models:
        bundles = [load_bundle(name) for name in models]
    else:
        bundles = [bundle for bundle in BUNDLES.entries() if isinstance(bundle, Bundle)]
        face = load_bundle(built_in_folder() / "face")
        bundles += [face] if face.folder not in {bundle.folder for bundle in bundles} else []
    found = [(bundle, file) for bundle in bundles for file in bundle.card.files if file.endswith((".onnx", ".dfm"))]
    if not found:
        raise ConfigError("there is no network to measure: name a bundle (masquerade models)")
    return found


def table(title: str, results: Sequence[dict[str, Any]]) -> list[str]:
    """The ways to run one network, a row each, and below it what did not run."""
    rows: list[Sequence[str]] = [
        ("way", "best", "p50", "p95", "cpu", "faster", "by cpu", "memory", "opened", "worst", "PSNR"),
        ("", "ms", "ms", "ms", "ms", "times", "times", "MB", "ms", "", "dB"),
    ]
    failed = []
    for result in results:
        way = result.get("title") or f"{result['provider']} {result['precision']}"
        if "error" in result:
            failed.append(f"  {way} does not run: {result['error']}")
            continue
        times = [*(result["wall_ms"][p] for p in ("min", "p50", "p95")), result["cpu_ms"]["p50"]]
        gains = [number(result["times_as_fast"][how], 2) for how in ("in_rounds", "in_cpu_time")]
        cost = [number(result.get(name), 0) for name in ("memory_mb", "open_ms")]
        difference = result["difference"]
        known = difference if isinstance(difference, list) else []
        worst = f"{max(entry['worst'] for entry in known):.1e}" if known else str(difference)[:40]
        psnr = min((entry["psnr_db"] for entry in known if entry["psnr_db"] is not None), default=None)
        rows.append((way, *map(number, times), *gains, *cost, worst, number(psnr)))
    return [title, *aligned(rows), *failed]
