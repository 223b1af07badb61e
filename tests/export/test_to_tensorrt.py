"""Engines are compiled with TensorRT-RTX, which needs no GPU for that: what compiles here compiles for NVIDIA."""

import sys
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from onnx import TensorProto, helper  # noqa: E402
from small_specs import SPECS, exported_small  # noqa: E402

from export.half import to_fp16  # noqa: E402
from export.int8 import quantise  # noqa: E402
from export.passes import tidy  # noqa: E402
from export.to_tensorrt import compile_engine  # noqa: E402
from realtime.errors import ModelError  # noqa: E402
from realtime.inference.engine_cache import EngineCache  # noqa: E402
from realtime.inference.providers import engine_module_installed, why_no_gpu  # noqa: E402
from realtime.inference.tensorrt_build import compile_network, load_module  # noqa: E402
from realtime.inference.tensorrt_engine import open_engine_session  # noqa: E402
from realtime.models.library import built_in_folder  # noqa: E402

compiles = pytest.mark.skipif(
    not engine_module_installed("rtx"), reason="TensorRT-RTX is not installed (Linux and Windows on x86-64 have it)"
)
# What hears speech takes blocks of any length, and runs on the CPU only.
PACKAGED = sorted(p for p in built_in_folder().glob("*/*.onnx") if p.parent.name != "hearing")


def compiled(data: bytes, name: str = "it") -> bytes:
    """The engine of a graph, for any GPU."""
    return compile_network(load_module("rtx"), data, name, on_this_gpu=False)


def graph(nodes: list[Any], weights: list[Any], shape: tuple[Any, ...] = (1, 4, 8, 8)) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "g", [x], [y], weights)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=10).SerializeToString())


RELU = graph([helper.make_node("Relu", ["x"], ["y"])], [])


@compiles
@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_every_familys_network_compiles_in_every_precision(name: str) -> None:
    spec, written = exported_small(name)
    model = tidy(written)
    half, int8 = to_fp16(model), quantise(model, spec.samples(2), None, form="tensorrt").model
    engines = {compiled(one.SerializeToString(), name) for one in (model, half, int8)}
    assert len(engines) == 3
    assert all(len(engine) > 10_000 for engine in engines)


@compiles
@pytest.mark.parametrize(
    "file", ["saehd/microdf_SAEHD_model", "saehd/microliae_SAEHD_model", "saehd_fp16/microdf_fp16"]
)
def test_recorded_dfm_files_compile(shared: Path, file: str) -> None:
    """As DeepFaceLab writes them, through TensorFlow."""
    dfm = shared / "reference" / f"{file}.dfm"
    assert len(compiled(dfm.read_bytes())) > 10_000


@compiles
def test_a_foreign_amp_is_refused_in_one_line(shared: Path) -> None:
    """Its morph cuts channels off by a number that is only known while running; in our own export it masks them."""
    dfm = shared / "reference" / "amp" / "microamp_AMP_model.dfm"
    with pytest.raises(ModelError, match=r"cannot read it \(Slice: .*use another provider"):
        compiled(dfm.read_bytes())


@compiles
@pytest.mark.parametrize(
    "file",
    [pytest.param(p, marks=[] if p.parent.name == "ada" else [pytest.mark.slow]) for p in PACKAGED],
    ids=[f"{p.parent.name}/{p.name}" for p in PACKAGED],
)
def test_every_packaged_network_compiles(file: Path) -> None:
    assert len(compiled(file.read_bytes())) > 10_000


@compiles
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            graph([helper.make_node("FusedConv", ["x", "x"], ["y"], domain="com.microsoft")], []),
            "uses the operator FusedConv, which TensorRT RTX .* does not have",
        ),
        (graph([helper.make_node("NonZero", ["x"], ["y"])], []), "uses the operator NonZero"),
        (graph([helper.make_node("Add", ["x", "nowhere"], ["y"])], []), "TensorRT RTX .* cannot read it"),
        (graph([helper.make_node("Relu", ["x"], ["y"])], [], ("n", 3, "h", "w")), "more than the batch size of x open"),
        (graph([], []), "TensorRT RTX .* cannot read it"),
    ],
    ids=["another maker's operator", "sizes known while running", "a dangling input", "open sizes", "an empty graph"],
)
def test_what_tensorrt_cannot_compile_is_one_line(data: bytes, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        compiled(data)
    assert "\n" not in str(caught.value)


@compiles
def test_an_open_batch_is_compiled_for_one() -> None:
    data = graph([helper.make_node("Relu", ["x"], ["y"])], [], ("n", 3, 8, 8))
    assert compiled(data)


@pytest.fixture
def swap(tmp_path: Path) -> Path:
    file = tmp_path / "swap.onnx"
    file.write_bytes(RELU)
    return file


@compiles
@pytest.mark.skipif(not why_no_gpu(), reason="a GPU is here")
def test_an_engine_is_compiled_once_per_file(tmp_path: Path, swap: Path) -> None:
    engines = EngineCache(tmp_path / "engines")
    assert compile_engine(swap, engines).startswith("compiled with TensorRT RTX")
    again = compile_engine(swap, engines)
    assert again.startswith("already compiled with TensorRT RTX")
    assert "no GPU is here" in again
    swap.write_bytes(graph([helper.make_node("Sigmoid", ["x"], ["y"])], []))
    assert compile_engine(swap, engines).startswith("compiled")


@pytest.mark.skipif(not why_no_gpu(), reason="a GPU is here")
def test_without_a_gpu_the_line_says_what_to_do(swap: Path) -> None:
    for provider in ("rtx", "tensorrt"):
        with pytest.raises(ModelError, match="NVIDIA driver") as caught:
            open_engine_session(swap, provider=provider)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(engine_module_installed("rtx"), reason="TensorRT-RTX is installed")
def test_without_the_module_the_line_says_what_to_install(swap: Path) -> None:
    with pytest.raises(ModelError, match=r"pip install \"masquerade\[rtx\]\""):
        compile_engine(swap)


def test_the_product_does_not_load_tensorrt_by_itself() -> None:
    import subprocess

    code = "import realtime.inference.tensorrt_engine, sys; sys.exit(any('tensorrt_rtx' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
