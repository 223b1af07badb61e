"""How many threads the networks of the live loop should have: `python -m benchmarks.thread_counts`.

A round is what the loop asks of the runtime for one frame (landmarks, blendshapes, the identity's network), once with
each number of threads. Wall time says how late a picture is, processor time what is left for everything else.
`realtime.sessions.processor.default_threads` rests on it.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.rounds import faster, take_turns
from benchmarks.stamp import one_line, stamp
from realtime.models import built_in_folder, load_bundle
from realtime.sessions import Session
from realtime.sessions.feed import blank_feed
from realtime.sessions.ort import open_session
from realtime.sessions.processor import physical_cores

FACE = ("landmarks.onnx", "blendshapes.onnx")


def compare(files: Sequence[Path], counts: Sequence[int], runs: int) -> dict[str, dict[str, Any]]:
    """By number of threads: `wall_ms` and `cpu_ms` of running `files` in a row, and `against_first`: how many times
    faster than with the first number."""
    with ExitStack() as opened:
        contestants: dict[str, Callable[[], object]] = {}
        for count in counts:
            sessions = [open_session(file, provider="cpu", precision="fp32", threads=count) for file in files]
            for session in sessions:
                opened.callback(session.close)
            contestants[str(count)] = _in_a_row(sessions)
        times = take_turns(contestants, runs)
    first = times[str(counts[0])]
    return {count: {**taken.figures(), "against_first": faster(first, taken)} for count, taken in times.items()}


def _in_a_row(sessions: Sequence[Session]) -> Callable[[], None]:
    feeds = [blank_feed(session.inputs) for session in sessions]

    def run() -> None:
        for session, feed in zip(sessions, feeds, strict=True):
            session.run(feed)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.thread_counts", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ada", help="whose network: a bundle of the swap family")
    parser.add_argument("--threads", type=int, nargs="+", default=list(range(1, physical_cores() + 1)))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    face, swap = load_bundle(built_in_folder() / "face"), load_bundle(built_in_folder() / arguments.model)
    of_face, of_swap = [face.path(file) for file in FACE], [swap.path(swap.model)]
    where = stamp()
    report: dict[str, Any] = {"where": where}
    for name, files in {"face": of_face, arguments.model: of_swap, "both": of_face + of_swap}.items():
        report[name] = compare(files, arguments.threads, arguments.runs)
        for count, figures in report[name].items():
            wall, cpu, ratio = figures["wall_ms"], figures["cpu_ms"], figures["against_first"]
            print(
                f"{name}, {count} threads: wall {wall['p50']} ms (p95 {wall['p95']}, least {wall['min']}), processor "
                f"{cpu['p50']} ms; {ratio['in_rounds']} × the speed, {ratio['in_cpu_time']} × by processor time",
                flush=True,
            )
    print(one_line(where))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
