"""The CPU contest: each family at full size against the way its upstream runs it, in turns, on the same weights."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch

from benchmarks.backends_text import upstream_table
from benchmarks.rounds import faster, take_turns
from benchmarks.runtimes import ways_here
from benchmarks.upstream_networks import FAMILIES, Upstream, spelled_out
from export.dfm_format import to_dfm
from export.int8 import quantise
from export.parity import Feed, compare
from export.plan import NetworkSpec
from export.to_onnx import to_onnx
from realtime.errors import ConfigError, ModelError
from realtime.inference.ort import open_session
from realtime.inference.providers import cpu_flags
from realtime.inference.session import Session

UPSTREAM = "upstream"

TARGETS = {  # family: (how much faster it is promised to be, and in which precisions)
    "motion": ((2.0, ("fp32",)), (10.0, ("bf16", "int8", "fp32"))),
    "lip-sync": ((1.4, ("fp32",)), (5.0, ("bf16", "int8", "fp32"))),
    "swap": ((3.0, ("bf16", "int8", "fp32")),),
}
CALIBRATED_ON = 3
"""Samples. What int8 does to random weights says nothing of trained ones: all layers become int8, for the speed."""

ON_AMX = {("motion", 10.0), ("lip-sync", 5.0)}
"""Promised for processors that have AMX."""


class Chain:
    """The networks of one frame on our sessions, run one after the other, as something that `run`s."""

    def __init__(self, upstream: Upstream, sessions: Sequence[Session]) -> None:
        self._upstream, self._sessions = upstream, sessions

    def run(self, feed: Feed) -> dict[str, Any]:
        """All outputs of the last network."""
        known = {**self._upstream.fixed, **feed}
        out: dict[str, Any] = {}
        for session in self._sessions:
            out = session.run({name: known[self._upstream.wiring.get(name, name)] for name in session.inputs})
            known |= out
        return out


class Eager:
    """The network as upstream runs it, as something that `run`s."""

    def __init__(self, eager: Callable[[Feed], dict[str, Any]], threads: int) -> None:
        self._eager, self._threads = eager, threads

    def run(self, feed: Feed) -> dict[str, Any]:
        """All outputs by name."""
        torch.set_num_threads(self._threads)
        with torch.no_grad():
            return self._eager(feed)


class DeepFaceLive:
    """A .dfm on ONNX Runtime with the options that DeepFaceLive leaves as they are, as something that `run`s.

    Only the number of threads is set, to that of the others; by itself it takes all cores.
    """

    def __init__(self, content: bytes, part: NetworkSpec, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._part = part

    def run(self, feed: Feed) -> dict[str, Any]:
        """All outputs by our names, turned to our layout; the turning of the input is part of the run."""
        # DeepFaceLive keeps pictures channels last: it pays no turning, so the input is only viewed the other way.
        face = feed["face"].transpose(0, 2, 3, 1)
        driver_mask, drawn, mask = self._session.run(None, {self._part.inputs[0]: face})
        turned = (value.transpose(0, 3, 1, 2) for value in (drawn, mask, driver_mask))
        return dict(zip(("celeb_face", "celeb_mask", "driver_mask"), turned, strict=True))


def measure_families(
    families: Iterable[str],
    threads: Sequence[int],
    *,
    runs: int,
    seconds: float,
    int8: bool = False,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """`{"families": […]}` for the report: one entry a family and number of threads. Raises ConfigError."""
    chosen = list(families) or list(FAMILIES)
    for name in chosen:
        if name not in FAMILIES:
            raise ConfigError(f"there is no family {name}: choose of {', '.join(FAMILIES)}")
    found = []
    for name in chosen:
        upstream = FAMILIES[name]()
        with tempfile.TemporaryDirectory() as folder:
            files = _written(upstream, Path(folder), int8)
            for count in threads:
                found.append(measure_family(upstream, files, count, runs=runs, seconds=seconds))
                say("\n".join(upstream_table(found[-1])))
    return {"families": found}


def measure_family(
    upstream: Upstream, files: dict[str, list[Path] | str], threads: int, *, runs: int, seconds: float
) -> dict[str, Any]:
    """One family with one number of threads. `files`: by precision of the file, or why there is none."""
    titles = {UPSTREAM: f"upstream ({'PyTorch eager fp32' if upstream.eager else 'DeepFaceLive: ONNX Runtime, .dfm'})"}
    precisions = {UPSTREAM: "fp32"}
    not_measured: dict[str, str] = {}
    with ExitStack() as opened:
        contestants: dict[str, Any] = {UPSTREAM: _upstream_runs(upstream, files, threads)}
        ways, missing = ways_here()
        not_measured |= missing
        for kind in ("fp32", "int8"):
            written = files.get(kind)
            if not isinstance(written, list):
                not_measured |= {kind: written} if written else {}
                continue
            for way in ways:
                if kind == "int8" and way.precision != "fp32":
                    continue
                name = f"{way.title} {kind}"
                try:
                    sessions = [
                        open_session(file, provider=way.provider, precision=way.precision, threads=threads)
                        for file in written
                    ]
                except ModelError as error:
                    not_measured[name] = str(error)
                    continue
                for session in sessions:
                    opened.callback(session.close)
                contestants[name] = Chain(upstream, sessions)
                precisions[name] = kind if kind == "int8" else sessions[-1].precision
                titles[name] = f"{way.provider} {precisions[name]}"
        feed = upstream.feeds[0]
        times = take_turns(
            {name: lambda c=contestant: c.run(feed) for name, contestant in contestants.items()},  # type: ignore[misc]
            runs,
            warm_up=1,
            seconds=seconds,
        )
        results = [
            {
                "title": titles[name],
                "upstream": name == UPSTREAM,
                "precision": precisions[name],
                **times[name].figures(),
                "times_as_fast": faster(times[UPSTREAM], times[name]),
                "difference": compare(contestants[UPSTREAM], contestant, upstream.feeds, upstream.outputs).facts(),
            }
            for name, contestant in contestants.items()
        ]
    return {
        "family": upstream.family,
        "what": upstream.what,
        "threads": threads,
        "results": results,
        "not_measured": not_measured,
        "targets": judge(upstream.family, results),
    }


def judge(family: str, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was promised, and the best that any way of ours reached."""
    found = []
    for wanted, precisions in TARGETS[family]:
        ours = [r for r in results if not r["upstream"] and r["precision"] in precisions]
        best = max(ours, key=lambda r: r["times_as_fast"]["in_rounds"], default=None)
        reached = best["times_as_fast"]["in_rounds"] if best else None
        what = " or ".join(precisions)
        if (family, wanted) in ON_AMX and "amx_bf16" not in cpu_flags():
            what += " (promised for a CPU with AMX, which this is not)"
        found.append(
            {
                "what": what,
                "wanted": wanted,
                "reached": reached,
                "by": best["title"] if best else "nothing",
                "met": reached is not None and reached >= wanted,
            }
        )
    return found


def _upstream_runs(upstream: Upstream, files: dict[str, list[Path] | str], threads: int) -> Any:
    if upstream.eager is not None:
        return Eager(upstream.eager, threads)
    written = files["dfm"]
    assert isinstance(written, list)
    assert upstream.dfm is not None
    return DeepFaceLive(written[0].read_bytes(), upstream.dfm, threads)


def _written(upstream: Upstream, folder: Path, int8: bool) -> dict[str, list[Path] | str]:
    """The family's networks as files, fp32 and int8, and the .dfm; or why there is none."""
    files: dict[str, list[Path] | str] = {"fp32": [], "int8": []}
    for part in upstream.parts:
        model = to_onnx(part)
        _put(files, "fp32", folder / part.file, model)
        if not int8:
            files["int8"] = "asked for with --int8"
            continue
        try:
            feeds = part.samples(CALIBRATED_ON)
            made = quantise(model, feeds, None)
            _put(files, "int8", folder / f"int8_{part.file}", made.model)
        except ModelError as error:
            files["int8"] = str(error)
    if upstream.dfm is not None:
        _put(files, "dfm", folder / "model.dfm", spelled_out(to_dfm(to_onnx(upstream.dfm, simplified=False))))
    return files


def _put(files: dict[str, list[Path] | str], kind: str, file: Path, model: Any) -> None:
    file.write_bytes(model.SerializeToString())
    written = files.setdefault(kind, [])
    if isinstance(written, list):
        written.append(file)
