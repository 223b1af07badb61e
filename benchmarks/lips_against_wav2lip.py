"""The built-in lip-sync network against Wav2Lip's at the same picture size, as upstream runs it, in one run.

`python -m benchmarks.lips_against_wav2lip`: two networks of one contract, so only speed is compared. Wav2Lip is the
published layout, with a bottom of 4 x 4 for 128 px, in eager PyTorch, float32, one picture at a time; ours is asked as
the live loop asks it. They take turns, so that a busy machine slows both. A fine variant is compared as well.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.against_upstream import Eager
from benchmarks.rounds import faster, take_turns
from benchmarks.stamp import one_line, stamp
from benchmarks.upstream_networks import Upstream, wav2lip
from export.networks.wav2lip import WAV2LIP_96, LipShape
from realtime.face import Floats
from realtime.models import load_bundle
from realtime.sessions import Port
from realtime.sessions.ort import open_session
from realtime.sessions.processor import default_threads
from realtime.swap.fine_head import FINE_FILE
from realtime.swap.lip_sync_network import LIP_SYNC_FILE

WANTED = 3.0


def of_size(size: int) -> LipShape:
    """Wav2Lip's layout for squares of `size`, a multiple of 32."""
    return replace(WAV2LIP_96, bottom=size >> (len(WAV2LIP_96.face) - 1))


def contest(file: Path, upstream: Upstream, threads: int, *, runs: int, seconds: float) -> dict[str, Any]:
    """Both networks in turns; milliseconds a picture and how many times as fast ours is."""
    assert upstream.eager is not None
    feed = upstream.feeds[0]
    session = open_session(file, provider="cpu", threads=threads)
    # What Wav2Lip is not told, ours is: where the lips are.
    own = {name: feed[name] if name in feed else _blank(port) for name, port in session.inputs.items()}
    eager = Eager(upstream.eager, threads)
    try:
        times = take_turns(
            {"wav2lip": lambda: eager.run(feed), "built_in": lambda: session.run(own)},
            runs,
            warm_up=3,
            seconds=seconds,
        )
    finally:
        session.close()
    gain = faster(times["wav2lip"], times["built_in"])
    return {
        "threads": threads,
        **{name: found.figures() for name, found in times.items()},
        "times_as_fast": gain,
        "wanted": WANTED,
        "met": (gain["in_rounds"] or 0.0) >= WANTED,
    }


def _blank(port: Port) -> Floats:
    return np.zeros([side or 1 for side in port.shape], np.float32)


@click.command()
@click.argument("model", default="lip-sync")
@click.option("--runs", type=click.IntRange(5), default=300, show_default=True)
@click.option("--seconds", type=float, default=60.0, show_default=True)
@click.option("--threads", type=click.IntRange(1), multiple=True, help="May be given more than once; the default's.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def main(model: str, runs: int, seconds: float, threads: tuple[int, ...], json_file: Path | None) -> None:
    """A lip-sync bundle against Wav2Lip of its size, in eager PyTorch."""
    bundle = load_bundle(model)
    size = bundle.card.input.size
    assert size is not None  # a lip-sync card has it
    upstream = wav2lip(of_size(size))
    files = {"fast": LIP_SYNC_FILE, "fine": FINE_FILE}
    found = [
        {"variant": variant} | contest(bundle.path(file), upstream, count, runs=runs, seconds=seconds)
        for variant, file in files.items()
        if file in bundle.card.files
        for count in threads or (default_threads(),)
    ]
    report: dict[str, Any] = {
        "kind": "lips_against_wav2lip",
        "stamp": stamp(),
        "model": model,
        "size": size,
        "results": found,
    }
    for one in found:
        ours, theirs = (one[name]["wall_ms"]["p50"] for name in ("built_in", "wav2lip"))
        gain = one["times_as_fast"]
        click.echo(
            f"{model}, {one['variant']}, {size} px, threads {one['threads']}: {ours:.1f} ms, "
            f"Wav2Lip in eager PyTorch {theirs:.1f} ms: "
            f"{gain['in_rounds']:.1f} times as fast ({gain['in_cpu_time']:.1f} by CPU time), {WANTED:g} wanted"
        )
    click.echo(one_line(report["stamp"]))
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
