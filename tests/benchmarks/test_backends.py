"""The backends benchmark: ways, feeds, tables, charts, and one small network measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.backends import REFERENCE, measure_network, table, ways_here
from benchmarks.charts import draw_backends
from benchmarks.footprint import Way, footprint, measure, noise
from benchmarks.report import stamp
from realtime.errors import ModelError
from realtime.inference.providers import NAMES
from realtime.inference.session import TensorSpec
from realtime.models.library import built_in_folder

ADA = built_in_folder() / "ada" / "swap.onnx"
BLENDSHAPES = built_in_folder() / "face" / "blendshapes.onnx"


def test_every_way_is_offered_or_excused() -> None:
    ways, missing = ways_here()
    assert ways[0] == REFERENCE
    assert {way.provider for way in ways} | {name.split()[0] for name in missing} == set(NAMES) - {"auto"}
    assert all("\n" not in reason for reason in missing.values())


def test_noise_fits_what_it_is_for() -> None:
    shapes: dict[str, tuple[int | None, ...]] = {
        **{"source_jacobians": (1, 10, 2, 2), "driving_keypoints": (1, 10, 2), "mel": (1, 1, 80, 16)},
        **{"faces": (1, 6, 96, 96), "face": (1, 3, 64, 64), "in_face:0": (None, 64, 64, 3), "morph_value:0": (1,)},
        **{"pose": (1, 3), "lips": (1, 3), "blendshapes": (1, 52)},
    }
    inputs = {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in shapes.items()}
    first, again = (noise(inputs, np.random.default_rng(5)) for _ in range(2))
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
    assert min(reference["memory_mb"], reference["open_ms"]) > 0
    assert "there is no precision fp8" in impossible["error"]
    assert (other["ran_on"], other["precision_ran"], other["runs"]) == ("CPU", "fp32", 6)
    assert other["difference"][0]["worst"] == 0
    json.dumps(measured)


def test_it_is_told_in_columns(measured: dict[str, Any]) -> None:
    title, columns, units, *rows, failed = table("a title", measured["results"])
    assert title == "a title"
    assert len({len(line) for line in (columns, units, *rows)}) == 1
    assert [row.split()[:2] for row in rows] == [["cpu", "fp32"], ["cpu", "auto"]]
    assert failed.startswith("  cuda fp8 does not run: there is no precision")


def test_the_same_figures_give_the_same_chart(tmp_path: Path, measured: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    report, file = {"stamp": stamp(), "networks": [measured]}, tmp_path / "n.svg"
    draw_backends(report, file)
    text = file.read_text()
    assert "blendshapes.onnx" in text
    draw_backends(report, file)
    assert file.read_text() == text


def test_a_file_without_a_reference_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"bad\.onnx does not run on cpu fp32"):
        measure_network(tmp_path / "bad.onnx", [REFERENCE], 1, runs=5, seconds=1)


def test_a_process_that_dies_is_told() -> None:
    assert "its process ended with code 1" in footprint(Path("nowhere.onnx"), REFERENCE, 1)["error"]
    assert "bf16 needs" in measure(ADA, Way("cpu", "bf16"), 1)["error"]
