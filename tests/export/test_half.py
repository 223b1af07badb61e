"""Half precision: what is kept in float32, what the ports are, and how near the numbers stay."""

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="the export needs the extra `export`")

from onnx import TensorProto
from small_graphs import Graph, feed_of, run, same_ports
from small_specs import exported_small

from export.half import emulate_fp16, to_fp16
from export.passes import tidy
from realtime.errors import ModelError


def warping(scale: float = 1.0) -> onnx.ModelProto:
    """Features moved by positions that a small network and some arithmetic give, as a motion model does."""
    graph = Graph()
    features = graph.add(
        "Relu", [graph.add("Conv", ["x", graph.draw(8, 3, 3, 3), graph.draw(8)], pads=[1] * 4)], "inner"
    )
    weights = graph.add("Softmax", [graph.add("Conv", [features, graph.draw(2, 8, 3, 3)], pads=[1] * 4)], axis=1)
    moved = graph.add("Add", ["moves", graph.draw(1, 2, 16, 16)])
    positions = graph.add("Transpose", [graph.add("Mul", [weights, moved])], perm=[0, 2, 3, 1])
    warped = graph.add("GridSample", [features, positions], mode="linear", padding_mode="zeros", align_corners=0)
    large = graph.add("Resize", [warped, "", np.array([1, 1, 2, 2], "f4")], mode="nearest")
    graph.add("Conv", [large, graph.draw(3, 8, 3, 3) * np.float32(scale)], "y", pads=[1] * 4)
    graph.add("ReduceMean", [features, np.array([2, 3])], "mean", keepdims=0)
    return graph.model({"x": [1, 3, 16, 16], "moves": [1, 2, 16, 16]}, {"y": [1, 3, 32, 32], "mean": [1, 8]})


def types(model: onnx.ModelProto) -> dict[str, set[str]]:
    """Of each kind of operator, the types of what its nodes give."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    known = {v.name: v.type.tensor_type.elem_type for v in [*inferred.value_info, *inferred.output]}
    found: dict[str, set[str]] = {}
    for node in inferred.node:
        found.setdefault(node.op_type, set()).update(TensorProto.DataType.Name(known[o]) for o in node.output)
    return found


def psnr(one: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """Of the worst output, in dB, in true float16 arithmetic, with the range of the first model's as the peak."""
    feed = feed_of(one)
    pairs = list(zip(run(one, feed), run(emulate_fp16(other), feed), strict=True))
    return min(float(20 * np.log10(np.ptp(a) / max(np.sqrt(np.mean((a - b) ** 2)), 1e-9))) for a, b in pairs)


def test_arithmetic_is_half_and_what_needs_more_is_not() -> None:
    model = warping()
    half = to_fp16(model)
    onnx.checker.check_model(half, full_check=True)
    assert same_ports(model, half)
    found = types(half)
    assert found["Conv"] == found["Relu"] == found["Resize"] == {"FLOAT16"}
    for kept in ("GridSample", "Softmax", "ReduceMean", "Mul", "Transpose", "Add"):
        assert found[kept] == {"FLOAT"}, kept
    assert half.ByteSize() < model.ByteSize()
    assert 50 < psnr(model, half) < 100


def test_weights_beyond_half_stay_with_their_node() -> None:
    model = warping(scale=1e6)
    half = to_fp16(model)
    assert types(half)["Conv"] == {"FLOAT16", "FLOAT"}
    assert psnr(model, half) > 50


def test_positions_stay_finer_than_half() -> None:
    """A ramp looked up at positions 1e-4 apart, near its edge: in half, steps would be 5e-4."""
    graph = Graph()
    places = graph.add("Add", ["moves", np.float32([0.9])])
    ramp = np.tile(np.linspace(-1, 1, 257, dtype="f4"), (1, 1, 257, 1))
    graph.add("GridSample", [ramp, graph.add("Concat", [places, places], axis=3)], "y", mode="linear", align_corners=1)
    model = graph.model({"moves": [1, 1, 50, 1]}, {"y": [1, 1, 1, 50]})
    moves = np.arange(50, dtype="f4").reshape(1, 1, 50, 1) * np.float32(1e-4)
    (looked_up,) = run(emulate_fp16(to_fp16(model)), {"moves": moves})
    np.testing.assert_allclose(looked_up.ravel(), 0.9 + moves.ravel(), atol=1e-5)


def test_a_graph_inside_a_graph_is_refused() -> None:
    branch = [
        onnx.helper.make_graph(
            [onnx.helper.make_node(op, ["x"], [f"{op}_out"])], op, [],
            [onnx.helper.make_tensor_value_info(f"{op}_out", TensorProto.FLOAT, [1, 4])],
        )
        for op in ("Relu", "Exp")
    ]  # fmt: skip
    node = onnx.helper.make_node("If", ["which"], ["y"], then_branch=branch[0], else_branch=branch[1])
    ports = [
        onnx.helper.make_tensor_value_info("which", TensorProto.BOOL, []),
        onnx.helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]),
    ]
    output = onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = onnx.helper.make_graph([node], "choice", ports, [output])
    with pytest.raises(ModelError, match="graph inside"):
        to_fp16(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10))


def test_an_output_that_is_used_inside_comes_out_in_float32() -> None:
    graph = Graph()
    graph.add("Relu", ["x"], "first")
    graph.add("Conv", ["first", graph.draw(4, 3, 3, 3)], "second")
    model = graph.model({"x": [1, 3, 8, 8]}, {"first": [1, 3, 8, 8], "second": [1, 4, 6, 6]})
    half = to_fp16(model)
    assert same_ports(model, half)
    assert types(half)["Conv"] == {"FLOAT16"}
    assert psnr(model, half) > 50


def test_the_emulation_is_what_float16_arithmetic_gives() -> None:
    torch = pytest.importorskip("torch")
    graph = Graph()
    weights = [graph.draw(16, 8, 3, 3), graph.draw(8, 16, 3, 3)]
    graph.add("Sigmoid", [graph.add("Conv", [graph.add("Conv", ["x", weights[0]]), weights[1]])], "y")
    model = graph.model({"x": [1, 8, 16, 16]}, {"y": [1, 8, 12, 12]})
    feed = feed_of(model)
    value, *filters = (torch.from_numpy(numbers).half() for numbers in (feed["x"], *weights))
    for weight in filters:
        value = torch.nn.functional.conv2d(value, weight)
    (got,) = run(emulate_fp16(to_fp16(model)), feed)
    np.testing.assert_allclose(got, torch.sigmoid(value).float().numpy(), atol=5e-4)
    np.testing.assert_array_equal(got, got.astype("f2").astype("f4"))
    (unrounded,) = run(to_fp16(model), feed)
    assert not np.array_equal(got, unrounded)


@pytest.mark.parametrize(
    "name", ["Wav2Lip", *(pytest.param(n, marks=pytest.mark.slow) for n in ("FOMM frame", "SAEHD df-udtc"))]
)
def test_half_of_every_familys_network_is_near(name: str) -> None:
    spec, written = exported_small(name)
    model = tidy(written)
    half = to_fp16(model)
    onnx.checker.check_model(half, full_check=True)
    assert same_ports(model, half)
    assert half.ByteSize() < model.ByteSize()
    feed = {key: np.asarray(value) for key, value in spec.samples(1)[0].items()}
    for a, b in zip(run(model, feed), run(emulate_fp16(half), feed), strict=True):
        assert 10 * np.log10(1 / np.mean((a - b) ** 2)) > 45
