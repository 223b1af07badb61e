"""The PyTorch session: the same numbers as ONNX Runtime, operator by operator and network by network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch", reason="the PyTorch session needs PyTorch")

from torch_networks import X, agree, floats, ints, network  # noqa: E402

from realtime.errors import ModelError  # noqa: E402
from realtime.inference.onnx_graph import read_graph  # noqa: E402
from realtime.inference.ort import open_session  # noqa: E402
from realtime.inference.processor import cpu_flags  # noqa: E402
from realtime.inference.torch_graph import TorchGraph  # noqa: E402
from realtime.inference.torch_packed import PackedConvolution  # noqa: E402
from realtime.inference.torch_program import open_torch_session  # noqa: E402
from realtime.models.library import built_in_folder  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_splits_casts_and_shapes() -> None:
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Split", ["x"], ["c", "d"], axis=3, num_outputs=2),
        helper.make_node("Shape", ["b"], ["s"], start=1),
        helper.make_node("Concat", ["one", "s"], ["whole"], axis=0),
        helper.make_node("Reshape", ["b", "whole"], ["e"]),
        helper.make_node("Cast", ["d"], ["whole_numbers"], to=TensorProto.INT64),
        helper.make_node("Concat", ["e", "b"], ["f"], axis=0),
    ]
    weights = {"sizes": ints(1, 3), "one": ints(1)}
    agree(network(nodes, X, ["a", "c", "f", "whole_numbers"], weights))


def test_filled_arrays() -> None:
    value = numpy_helper.from_array(np.array([3], np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["k"], value=value),
        helper.make_node("Add", ["x", "k"], ["y"]),
    ]
    agree(network(nodes, X, ["y"], {"shape": ints(4, 1, 8)}))


def test_constants_are_worked_out_beforehand() -> None:
    nodes = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(floats(4, 1, 1))),
        helper.make_node("Mul", ["k", "k"], ["kk"]),
        helper.make_node("Range", ["start", "end", "step"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["rr"]),
        helper.make_node("Add", ["kk", "rr"], ["w"]),
        helper.make_node("Add", ["x", "w"], ["y"]),
        helper.make_node("Identity", ["w"], ["alone"]),
    ]
    weights = {"start": np.float32(0), "end": np.float32(4), "step": np.float32(1), "shape": ints(4, 1, 1)}
    data = network(nodes, X, ["y", "alone"], weights)
    agree(data)
    assert TorchGraph(read_graph(data, "it"), "it", "cpu").nodes == 1


def test_activations_join_the_convolution_before_them() -> None:
    weights = {"w": floats(4, 4, 3, 3), "b": floats(4)}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["c"], ["d"], alpha=0.1),
        helper.make_node("Conv", ["d", "w", "b"], ["e"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["e"], ["f"]),
        helper.make_node("Add", ["e", "f"], ["y"]),  # so `e` must stay as it is
    ]
    data = network(nodes, X, ["y"], weights)
    agree(data)
    graph = TorchGraph(read_graph(data, "it"), "it", "cpu")
    packed = sum(isinstance(step.call, PackedConvolution) for step in graph._steps)
    assert packed in (0, 2)  # none where this PyTorch lays no weights out beforehand
    assert graph.nodes == 5 - packed // 2


@pytest.mark.parametrize("file", ["face/landmarks.onnx", "face/detector.onnx", "face/blendshapes.onnx"])
def test_the_packaged_networks(file: str) -> None:
    agree((built_in_folder() / file).read_bytes(), limit=1e-3)


def test_ada() -> None:
    # Parts of it are fp16, which ONNX Runtime rounds to in between and PyTorch does not.
    data = (built_in_folder() / "ada" / "swap.onnx").read_bytes()
    rng = np.random.default_rng(0)
    # What a tracker reads: `agree` alone would tell angles of two radians and lips two outer-eye distances apart.
    told = {
        "blendshapes": rng.uniform(0, 1, (1, 52)),
        "pose": rng.normal(0, 0.2, (1, 3)),
        "lips": rng.uniform(0, 0.3, (1, 3)),
    }
    told = {name: value.astype(np.float32) for name, value in told.items()}
    agree(data, limit=5e-3, face=rng.random((1, 3, 160, 160), np.float32), **told)


def test_public_face_swap_files(shared: Path) -> None:
    for kind in ("df", "liae"):
        data = (shared / "reference" / "saehd" / f"micro{kind}_SAEHD_model.dfm").read_bytes()
        agree(data, **{"in_face:0": np.random.default_rng(0).random((1, 64, 64, 3), np.float32)})


@pytest.mark.skipif(not cpu_flags() & {"amx_bf16", "avx512_bf16"}, reason="this CPU has no bf16 arithmetic")
def test_bf16_is_near_and_said() -> None:
    data = (built_in_folder() / "ada" / "swap.onnx").read_bytes()
    exact = open_session(data, provider="torch")
    session = open_session(data, provider="torch", precision="bf16")
    assert (exact.precision, session.precision) == ("fp32", "bf16")
    assert session.ran_on == "PyTorch (CPU, bf16)"
    feed = {n: np.full(p.shape, 0.4, np.float32) for n, p in session.inputs.items()}
    got, wanted = session.run(feed), exact.run(feed)
    for name, value in wanted.items():
        assert got[name].dtype == np.float32
        # bf16 keeps 8 bits: not the same numbers, but the same picture.
        off, large = np.abs(got[name] - value), 0.05 * max(1.0, float(np.abs(value).max()))
        if name == "visible":  # made steep at its edge, on purpose: single pixels there differ
            assert 0 < np.quantile(off, 0.99) < large
        else:
            assert 0 < off.max() < large


def test_low_precision_leaves_what_is_sensitive_alone() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Add", ["c", "b"], ["d"]),
        helper.make_node("Exp", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "m"], ["y"]),
    ]
    weights = {"w": floats(4, 4, 1, 1) / 9, "b": floats(4, 1, 1), "m": floats(8, 3)}
    graph = TorchGraph(read_graph(network(nodes, X, ["y"], weights), "it"), "it", "cpu", "bfloat16")
    seen = {}
    for step in graph._steps:
        constants = [a[0].dtype for a in step.arguments if isinstance(a, tuple)]
        seen[step.operator] = ([dtype for _, dtype in step.casts], constants)
    assert seen["Conv"][0] == [torch.bfloat16]
    assert seen["Add"] == ([], [torch.bfloat16])  # its constant follows what comes
    assert seen["Exp"] == ([torch.float32], [])
    assert seen["MatMul"] == ([torch.bfloat16], [torch.bfloat16])


def test_its_arrays_are_the_callers_own_and_it_closes() -> None:
    data = network([helper.make_node("Identity", ["x"], ["y"])], X, ["y"])
    session = open_torch_session(data, device="cpu")
    assert session.spent_ns == 0
    x = np.ones((1, 4, 6, 8), np.float32)
    out = session.run({"x": x})["y"]
    x[...] = 7
    assert (out == 1).all()
    assert session.spent_ns > 0
    with pytest.raises(ModelError, match="takes x as float32"):
        session.run({"x": x.astype(np.float64)})
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.run({"x": x})


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([helper.make_node("Einsum", ["x"], ["y"], equation="abcd->abcd")], "does not run Einsum"),
        ([helper.make_node("Reshape", ["x", "z"], ["y"])], "not known beforehand"),
        ([helper.make_node("Add", ["x", "nowhere"], ["y"])], "does not run Add"),
        ([helper.make_node("Relu", ["x"], ["other"])], "promises 'y'"),
        ([helper.make_node("Relu", ["x"], ["y"])] * 2, "two nodes make 'y'"),
        ([helper.make_node("Relu", ["x"], ["x"])], "two nodes make 'x'"),
        ([helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic")], "resizing by cubic"),
        ([helper.make_node("ConvTranspose", ["x", "w"], ["y"], pads=[0, 0, 1, 1])], "uneven padding"),
        ([helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER")], "padding SAME_UPPER"),
        ([helper.make_node("Tile", ["x", "huge"], ["y"])], "numbers at once"),
        ([helper.make_node("ConstantOfShape", ["huge"], ["y"])], "numbers at once"),
        ([helper.make_node("Split", ["x"], ["y", "z2", "z3"], axis=1, num_outputs=2)], "should give 3"),
    ],
)
def test_what_it_cannot_run_is_one_line(nodes: list[onnx.NodeProto], says: str) -> None:
    ports = {**X, "z": (4,)}
    stored = [
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s"),
        numpy_helper.from_array(floats(4, 4, 3, 3), "w"),
        numpy_helper.from_array(ints(1, 1 << 15, 1 << 15, 1), "huge"),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ports.items()]
    graph = helper.make_graph(nodes, "g", inputs, [onnx.ValueInfoProto(name="y")], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(ModelError, match=says) as caught:
        open_torch_session(model.SerializeToString(), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"precision": "int8"}, "PyTorch runs in fp32"), ({"precision": "fp16", "device": "cpu"}, "fp16 needs a GPU")],
)
def test_wrong_wishes_are_named(arguments: dict[str, str], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        open_torch_session(network([helper.make_node("Relu", ["x"], ["y"])], X, ["y"]), **arguments)


@pytest.mark.parametrize("name", ["net.pt2", "net.pth"])
def test_programs_that_can_run_code_are_not_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="can run code"):
        open_torch_session(tmp_path / name)
    with pytest.raises(ModelError, match=r"gone\.onnx cannot be read"):
        open_torch_session(tmp_path / "gone.onnx")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here that PyTorch can use")
@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-4), ("auto", 5e-3), ("fp16", 5e-3)])
def test_on_a_gpu_a_run_is_one_recorded_graph(precision: str, limit: float) -> None:
    data = (built_in_folder() / "ada" / "swap.onnx").read_bytes()
    session = open_torch_session(data, precision=precision)
    exact = open_torch_session(data, device="cpu")
    rng = np.random.default_rng(0)
    for _ in range(2):
        feed = {n: rng.random(p.shape, np.float32) for n, p in session.inputs.items()}
        got, wanted = session.run(feed), exact.run(feed)
        assert all(np.abs(got[name] - value).max() < limit for name, value in wanted.items())
    assert session.ran_on.endswith("CUDA graph)")
    session.close()
