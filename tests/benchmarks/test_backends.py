"""The backends benchmark: turns, tables, charts, and one small run of the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.backends import measure_network
from benchmarks.backends_chart import draw_backends
from benchmarks.backends_text import table, upstream_table
from benchmarks.footprint import footprint, measure
from benchmarks.network_feeds import noise
from benchmarks.rounds import FEWEST, Times, faster, take_turns
from benchmarks.runtimes import REFERENCE, Way, ways_here
from realtime.errors import ModelError
from realtime.inference.providers import NAMES
from realtime.inference.session import TensorSpec
from realtime.models.library import built_in_folder

ADA = built_in_folder() / "ada" / "swap.onnx"
BLENDSHAPES = built_in_folder() / "face" / "blendshapes.onnx"


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_turns_are_fair_and_all_are_counted() -> None:
    clock, cpu, order = TurnedClock(), TurnedClock(), []

    def run(name: str, wall: int, spent: int) -> None:
        order.append(name)
        clock.now += wall
        cpu.now += spent

    def wait() -> None:
        clock.now += 999_000_000  # what passes between two calls belongs to nobody

    found = take_turns(
        {"slow": lambda: run("slow", 30_000_000, 20_000_000), "fast": lambda: run("fast", 10_000_000, 10_000_000)},
        50,
        warm_up=3,
        clock=clock,
        cpu_clock=cpu,
        settle=wait,
    )
    assert order[:6] == ["slow"] * 3 + ["fast"] * 3
    rounds = [tuple(order[n : n + 2]) for n in range(6, len(order), 2)]
    assert len(rounds) == 50
    assert {frozenset(r) for r in rounds} == {frozenset(("slow", "fast"))}
    assert 10 < sum(r[0] == "slow" for r in rounds) < 40  # neither is always first
    assert found["slow"].wall.tolist() == [30.0] * 50
    assert found["fast"].cpu.tolist() == [10.0] * 50
    assert faster(found["slow"], found["fast"]) == {"in_rounds": 3.0, "of_best": 3.0, "in_cpu_time": 2.0}
    figures = found["slow"].figures()
    assert figures["runs"] == 50
    assert figures["wall_ms"] == {"min": 30.0, "p50": 30.0, "p95": 30.0, "p99": None, "max": 30.0, "mean": 30.0}


def test_the_time_limit_leaves_enough_rounds() -> None:
    clock = TurnedClock()

    def run() -> None:
        clock.now += 10**9

    settings: dict[str, Any] = {"clock": clock, "cpu_clock": clock, "settle": lambda: None}
    assert len(take_turns({"a": run}, 100, seconds=0, **settings)["a"].wall) == FEWEST
    assert len(take_turns({"a": run}, 100, seconds=20, **settings)["a"].wall) == 21


def test_a_ratio_is_taken_within_rounds() -> None:
    wavering = np.array([1.0, 10.0, 100.0])
    slow, fast = Times(wavering * 2, wavering), Times(wavering, wavering / 4)
    assert faster(slow, fast) == {"in_rounds": 2.0, "of_best": 2.0, "in_cpu_time": 4.0}


def test_every_way_is_offered_or_excused() -> None:
    ways, missing = ways_here()
    assert ways[0] == REFERENCE
    assert {way.provider for way in ways} | {name.split()[0] for name in missing} == set(NAMES) - {"auto"}
    assert all("\n" not in reason for reason in missing.values())


def test_noise_fits_what_it_is_for() -> None:
    shapes = {
        "source_jacobians": (1, 10, 2, 2),
        "driving_keypoints": (1, 10, 2),
        "mel": (1, 1, 80, 16),
        "faces": (1, 6, 96, 96),
        "face": (1, 3, 64, 64),
        "in_face:0": (None, 64, 64, 3),
        "morph_value:0": (1,),
        "pose": (1, 3),
        "lips": (1, 3),
        "blendshapes": (1, 52),
    }
    ports = {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in shapes.items()}
    first, again = (noise(ports, np.random.default_rng(5)) for _ in range(2))
    for name, shape in shapes.items():
        assert first[name].shape == tuple(side or 1 for side in shape)
        assert first[name].dtype == np.float32
        np.testing.assert_array_equal(first[name], again[name])
    assert np.linalg.det(first["source_jacobians"]).min() > 0.2
    assert not first["faces"][:, :3, 48:].any()
    assert first["faces"][:, 3:, 48:].any()
    assert 0 <= first["in_face:0"].min() < first["in_face:0"].max() <= 1


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    ways = [REFERENCE, Way("cuda", "fp8"), Way("cpu", "auto")]
    return {"model": "face", "family": "landmarks", **measure_network(BLENDSHAPES, ways, 1, runs=6, seconds=20)}


def test_a_network_on_every_way(measured: dict[str, Any]) -> None:
    reference, impossible, other = measured["results"]
    assert measured["file"] == "blendshapes.onnx"
    assert reference["ran_on"] == "CPU"
    assert reference["times_as_fast"] == {"in_rounds": 1.0, "of_best": 1.0, "in_cpu_time": 1.0}
    assert all(entry["worst"] == 0 for entry in reference["difference"])
    assert reference["memory_mb"] > 0
    assert reference["open_ms"] > 0
    assert "there is no precision fp8" in impossible["error"]
    assert (other["ran_on"], other["precision_ran"]) == ("CPU", "fp32")
    assert other["difference"][0]["worst"] == 0
    assert other["runs"] == 6
    json.dumps(measured)


def test_it_is_told_in_columns(measured: dict[str, Any]) -> None:
    title, columns, units, *rows, failed = table(measured)
    assert title == "face: blendshapes.onnx, 0.9 MB, threads 1"
    assert columns.split() == ["way", "p50", "p95", "p99", "cpu", "faster", "memory", "opened", "worst", "PSNR"]
    assert len({len(line) for line in (columns, units, *rows)}) == 1
    assert [row.split()[:2] for row in rows] == [["cpu", "fp32"], ["cpu", "auto"]]
    assert failed.startswith("  cuda fp8 does not run: there is no precision")


STAMP = {
    "machine": {"cpu": "C", "cores": 2, "gpu": None, "load_1min": 0.1},
    "commit": "abc",
    "uncommitted_changes": False,
    "versions": {"masquerade": "0"},
    "when": "today",
}


def result(title: str, ms: float, times: float, **more: Any) -> dict[str, Any]:
    wall = {"min": ms, "p50": ms, "p95": ms * 1.5, "p99": None}
    gain = {"in_rounds": times, "of_best": times, "in_cpu_time": times}
    difference = [{"worst": 0.01, "psnr_db": 50.0}, {"worst": 0.5, "psnr_db": None}]
    return {
        "title": title,
        "runs": 9,
        "wall_ms": wall,
        "cpu_ms": wall,
        "times_as_fast": gain,
        "difference": difference,
        "upstream": False,
        "precision": "fp32",
        **more,
    }


FAMILY = {
    "family": "motion",
    "what": "a network",
    "threads": 1,
    "results": [result("upstream", 100, 1.0, upstream=True), result("cpu fp32", 40, 2.5)],
    "not_measured": {"openvino": "not here"},
    "targets": [{"what": "fp32", "wanted": 2.0, "reached": 2.5, "by": "cpu fp32", "met": True}],
}


def test_the_contest_is_told_with_its_verdict() -> None:
    lines = upstream_table(FAMILY)
    assert lines[0] == "motion: a network, threads 1; 9 rounds"
    assert lines[4].split() == ["cpu", "fp32", "40.0", "40.0", "40.0", "2.50", "2.50", "2.50", "5.0e-01", "50.0"]
    assert lines[5:] == [
        "  not measured: openvino: not here",
        "  met: fp32: 2 times wanted, 2.50 reached (cpu fp32)",
    ]


@pytest.mark.parametrize("end", ["svg", "png"])
def test_charts_are_drawn(tmp_path: Path, measured: dict[str, Any], end: str) -> None:
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    for name, content in {"n": {"networks": [measured]}, "f": {"families": [FAMILY]}}.items():
        file = tmp_path / f"{name}.{end}"
        draw_backends({"stamp": STAMP, **content}, file)
        assert file.stat().st_size > 2000
        if end == "svg":
            text = file.read_text()
            assert ("blendshapes.onnx" if name == "n" else "cpu fp32") in text
            draw_backends({"stamp": STAMP, **content}, file)
            assert file.read_text() == text


def test_a_file_without_a_reference_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"bad\.onnx does not run on cpu fp32"):
        measure_network(tmp_path / "bad.onnx", [REFERENCE], 1, runs=5, seconds=1)


def test_a_process_that_dies_is_told() -> None:
    gone = footprint(Path("nowhere.onnx"), REFERENCE, 1)
    assert "its process ended with code 1" in gone["error"]
    refused = measure(ADA, Way("cpu", "bf16"), 1)
    assert refused == {"error": "bf16 needs the OpenVINO provider, not cpu: use precision fp32"}
