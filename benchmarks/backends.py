"""`masquerade bench backends`: every network on every runtime and precision that this machine has.

How long a run takes, how much memory it needs, and how far its numbers are from ONNX Runtime's CPU provider in
float32, the reference. All ways of one network are timed in turns, in one process.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.backends_text import table
from benchmarks.footprint import footprint
from benchmarks.network_feeds import Feed, noise
from benchmarks.rounds import Times, faster, take_turns
from benchmarks.runtimes import Way, ways_here
from benchmarks.stamp import one_line, stamp
from export.parity import Kind, compare
from realtime.errors import ConfigError, MasqueradeError, ModelError
from realtime.inference.ort import open_session
from realtime.inference.providers import default_threads
from realtime.inference.session import Session
from realtime.models.bundle import Bundle
from realtime.models.library import BUNDLES, built_in_folder, load_bundle

SCHEMA = 1
SAMPLES = 4


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--runs", type=click.IntRange(5), default=500, show_default=True, help="Runs of each way.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="At most, for each network file.")
@click.option("--threads", type=click.IntRange(1), multiple=True, help="May be given more than once; the default's.")
@click.option("--against-upstream", is_flag=True, help="Full-size networks against how upstream runs them.")
@click.option("--int8", is_flag=True, help="With --against-upstream: also quantised here, which takes minutes.")
@click.option("--family", "families", multiple=True, help="With --against-upstream: only motion, lip-sync or swap.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--chart", type=click.Path(path_type=Path, dir_okay=False), help="A picture: .svg or .png.")
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
    for written in (json_file, chart):
        if written is not None and not written.absolute().parent.is_dir():
            raise ConfigError(f"{written} can't be written: the folder {written.absolute().parent} does not exist")
    if chart is not None:
        from benchmarks.chart import check_drawable

        check_drawable(chart)
    counts = threads or (default_threads(),)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "backends",
        "stamp": stamp(),
        "asked": {
            "runs": runs,
            "seconds": seconds,
            "threads": list(counts),
            "against_upstream": against_upstream,
            "int8": int8,
        },
    }
    if against_upstream:
        # It needs PyTorch and ONNX, which the rest of the benchmarks do not.
        from benchmarks.against_upstream import measure_families

        report |= measure_families(families, counts, runs=runs, seconds=seconds, int8=int8, say=click.echo)
    else:
        ways, missing = ways_here()
        report |= {"not_here": missing, "networks": []}
        for bundle, file in _files(models):
            for count in counts:
                entry = measure_network(bundle.path(file), ways, count, runs=runs, seconds=seconds)
                report["networks"].append({"model": bundle.name, "family": bundle.card.family, **entry})
                click.echo("\n".join(table(report["networks"][-1])))
        click.echo("\n".join(f"not here: {name}: {why}" for name, why in missing.items()))
    click.echo(one_line(report["stamp"]))
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if chart is not None:
        from benchmarks.backends_chart import draw_backends

        draw_backends(report, chart)


def measure_network(file: Path, ways: Sequence[Way], threads: int, *, runs: int, seconds: float) -> dict[str, Any]:
    """One network on all of `ways`, the first of which is what the others are compared with."""
    with ExitStack() as opened:
        sessions: dict[Way, Session] = {}
        results: list[dict[str, Any]] = []
        for way in ways:
            cost = footprint(file, way, threads)
            entry = {"provider": way.provider, "precision": way.precision, **cost}
            results.append(entry)
            if "error" in cost:
                continue
            try:
                session = open_session(file, provider=way.provider, precision=way.precision, threads=threads)
            except ModelError as error:
                entry["error"] = str(error)
                continue
            opened.callback(session.close)
            sessions[way] = session
            entry |= {"ran_on": session.ran_on, "precision_ran": session.precision}
        if ways[0] not in sessions:
            raise ModelError(f"{file.name} does not run on {ways[0].title}: {results[0]['error']}")
        reference = sessions[ways[0]]
        generator = np.random.default_rng(0)
        # A foreign file may leave the batch open where another runtime has settled it: one picture fits both.
        feeds = [noise(reference.inputs, generator) for _ in range(SAMPLES)]
        times = take_turns(
            {way.title: lambda s=session: s.run(feeds[0]) for way, session in sessions.items()},  # type: ignore[misc]
            runs,
            seconds=seconds,
        )
        kinds = _kinds(reference.run(feeds[0]))
        for way, entry in zip(ways, results, strict=True):
            if way in sessions:
                entry |= _figures(times[ways[0].title], times[way.title])
                entry["difference"] = _differences(reference, sessions[way], feeds, kinds)
    return {"file": file.name, "megabytes": round(file.stat().st_size / 1e6, 1), "threads": threads, "results": results}


def _figures(reference: Times, own: Times) -> dict[str, Any]:
    return {**own.figures(), "times_as_fast": faster(reference, own)}


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
