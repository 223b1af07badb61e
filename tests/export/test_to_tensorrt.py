"""Engines are compiled with TensorRT-RTX, which needs no GPU for that: what compiles here compiles for NVIDIA."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from small_specs import SPECS  # noqa: E402

from export.half import to_fp16  # noqa: E402
from export.int8 import quantise  # noqa: E402
from export.plan import NetworkSpec  # noqa: E402
from export.to_onnx import to_onnx  # noqa: E402
from export.to_tensorrt import cached_engine  # noqa: E402
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
    return compile_network(load_module("rtx"), data, name, on_this_gpu=False, batch=2)


def small(name: str) -> tuple[NetworkSpec, bytes]:
    """A small network of a family, and as it is written into a bundle."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        part = SPECS[name]()
        return part, bytes(to_onnx(part).SerializeToString())
    finally:
        torch.set_num_threads(before)


def graph(nodes: list[Any], weights: list[Any], shape: tuple[Any, ...] = (1, 4, 8, 8)) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "g", [x], [y], weights)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=10).SerializeToString())


def constant(name: str, value: Any, dtype: type) -> Any:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def convolution(*, zero: int = 0, whole_bias: bool = False) -> bytes:
    """A convolution in int8, with Q/DQ pairs; as TensorRT takes it, or not."""
    rng = np.random.default_rng(0)
    weights = [
        constant("s", 0.02, np.float32),
        constant("z", zero, np.int8),
        constant("w", rng.integers(-127, 127, (4, 4, 3, 3)), np.int8),
        constant("sw", np.full(4, 0.01), np.float32),
        constant("zw", np.zeros(4), np.int8),
        constant("b", np.zeros(4), np.int32 if whole_bias else np.float32),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["dw"], axis=0),
        helper.make_node("Conv", ["d", "dw", "db" if whole_bias else "b"], ["y"], pads=[1, 1, 1, 1]),
    ]
    if whole_bias:
        nodes.insert(3, helper.make_node("DequantizeLinear", ["b", "sw"], ["db"], axis=0))
    return graph(nodes, weights)


RELU = graph([helper.make_node("Relu", ["x"], ["y"])], [])


@compiles
@pytest.mark.parametrize(
    "name", [name if name == "AMP" else pytest.param(name, marks=pytest.mark.slow) for name in SPECS]
)
def test_every_familys_network_compiles_in_every_precision(name: str) -> None:
    part, data = small(name)
    model = onnx.load_from_string(data)
    half, int8 = to_fp16(model), quantise(model, part.samples(2), None, form="tensorrt").model
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
@pytest.mark.parametrize("file", PACKAGED, ids=[f"{p.parent.name}/{p.name}" for p in PACKAGED])
def test_every_packaged_network_compiles(file: Path) -> None:
    assert len(compiled(file.read_bytes())) > 10_000


@compiles
def test_int8_in_pairs_compiles() -> None:
    assert len(compiled(convolution())) > 1000


@pytest.mark.parametrize(
    ("data", "says"), [(convolution(whole_bias=True), "int32 biases"), (convolution(zero=3), "symm")]
)
def test_int8_that_tensorrt_rejects_is_said(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "swap.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=rf"{says}.*--precision int8 --engine tensorrt"):
        cached_engine(tmp_path / "swap.onnx")
    if engine_module_installed("rtx"):  # or else the check could go
        with pytest.raises(ModelError, match="TensorRT RTX"):
            compiled(data)


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
def test_an_open_batch_is_compiled_for_the_given_one() -> None:
    data = graph([helper.make_node("Relu", ["x"], ["y"])], [], ("n", 3, 8, 8))
    assert compiled(data)


@pytest.fixture
def engines(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


@pytest.fixture
def swap(tmp_path: Path) -> Path:
    file = tmp_path / "swap.onnx"
    file.write_bytes(RELU)
    return file


@compiles
def test_an_engine_is_compiled_once_per_model_precision_and_batch(engines: EngineCache, swap: Path) -> None:
    first = cached_engine(swap, runtime="rtx", cache=engines)
    assert first.fresh
    assert first.path is not None
    again = cached_engine(swap, runtime="rtx", cache=engines)
    assert (again.fresh, again.engine, again.path) == (False, first.engine, first.path)
    assert cached_engine(swap, runtime="rtx", batch=2, cache=engines).fresh
    swap.write_bytes(convolution())
    assert cached_engine(swap, runtime="rtx", cache=engines).fresh


@compiles
def test_an_altered_engine_is_compiled_again(
    engines: EngineCache, swap: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = cached_engine(swap, runtime="rtx", cache=engines)
    assert first.path is not None
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = cached_engine(swap, runtime="rtx", cache=engines)
    assert (again.fresh, again.engine) == (True, first.engine)
    assert "was altered" in caplog.text
    assert first.path.read_bytes() == whole


@compiles
def test_a_disk_that_is_full_costs_only_the_keeping(
    tmp_path: Path, swap: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    made = cached_engine(swap, runtime="rtx", cache=EngineCache(tmp_path / "file" / "engines"))
    assert made.engine
    assert made.path is None
    assert "cannot be kept" in caplog.text


@pytest.mark.skipif(not why_no_gpu(), reason="a GPU is here")
def test_without_a_gpu_the_line_says_what_to_do(swap: Path, engines: EngineCache) -> None:
    for call in (
        lambda: open_engine_session(swap, provider="rtx"),
        lambda: open_engine_session(swap, provider="tensorrt"),
        lambda: cached_engine(swap, runtime="tensorrt"),
    ):
        with pytest.raises(ModelError, match="NVIDIA driver") as caught:
            call()
        assert "\n" not in str(caught.value)
    if engine_module_installed("rtx"):
        assert "no GPU is here" in cached_engine(swap, cache=engines).line


@pytest.mark.skipif(engine_module_installed("rtx"), reason="TensorRT-RTX is installed")
def test_without_the_module_the_line_says_what_to_install(swap: Path) -> None:
    with pytest.raises(ModelError, match=r"pip install \"masquerade\[rtx\]\""):
        cached_engine(swap, runtime="rtx")


def test_an_unknown_runtime_or_file_is_named(tmp_path: Path, swap: Path) -> None:
    with pytest.raises(ModelError, match="no runtime cuda: choose one of tensorrt, rtx"):
        cached_engine(swap, runtime="cuda")
    with pytest.raises(ModelError, match="cannot be read"):
        cached_engine(tmp_path / "nowhere.onnx")


def test_the_product_does_not_load_tensorrt_by_itself() -> None:
    import subprocess

    code = "import realtime.inference.tensorrt_engine, sys; sys.exit(any('tensorrt_rtx' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
