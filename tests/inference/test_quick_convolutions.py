"""Convolutions done Winograd's way: the same numbers, only where they were measured to be faster."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from realtime.inference.onnx_file import read_contents
from realtime.inference.ort import open_session
from realtime.inference.quick_convolutions import with_quick_convolutions
from realtime.inference.winograd import matrices, turned_weights
from realtime.inference.wire_writing import node_bytes, spans, tensor_bytes, varint
from realtime.models.library import built_in_folder

CHANNELS = 128
PADS = {"pads": [1, 1, 1, 1]}


def normal(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 1, shape).astype(dtype)


def network(
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    size: tuple[Any, int, int] = (1, 24, 24),
    attributes: dict[str, Any] = PADS,
    nodes: list[onnx.NodeProto] | None = None,
    stated: bool = True,
) -> bytes:
    """x -> Relu -> Conv -> Relu -> y, the shapes in between stated in the file."""
    outputs, inputs = weight.shape[:2]
    stored = {"w": weight} | ({"b": bias} if bias is not None else {})
    made = nodes or [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Conv", ["r", *stored], ["c"], **attributes),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [size[0], inputs, *size[1:]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [size[0], outputs, None, None])
    graph = helper.make_graph(made, "g", [x], [y], [numpy_helper.from_array(v, k) for k, v in stored.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return (onnx.shape_inference.infer_shapes(model) if stated else model).SerializeToString()


def operators(data: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(data).graph.node]


@pytest.mark.parametrize("size", [(24, 24), (25, 27), (22, 40), (32, 24)])
@pytest.mark.parametrize("biased", [True, False])
def test_the_numbers_are_the_same(size: tuple[int, int], biased: bool) -> None:
    weight = normal(CHANNELS, CHANNELS + 8, 3, 3) / 35
    data = network(weight, normal(CHANNELS) if biased else None, (1, *size))
    quick = with_quick_convolutions(data, "it")
    onnx.checker.check_model(onnx.load_from_string(quick), full_check=True)
    read_contents(quick, "it")  # our own rules hold for what we write
    assert "Conv" not in operators(quick)
    plain, quickly = (open_session(data, provider="cpu", threads=1, quick=q) for q in (False, True))
    feed = {"x": normal(1, CHANNELS + 8, *size)}
    got, wanted = quickly.run(feed)["y"], plain.run(feed)["y"]
    assert got.shape == wanted.shape
    assert 0 < np.abs(got - wanted).max() < 3e-5  # not the same sums, and of 1 000 numbers
    assert quickly.ran_on == "CPU"


def test_weights_stored_as_fp16_are_taken_too() -> None:
    weight = (normal(CHANNELS, CHANNELS, 3, 3) / 35).astype(np.float16)
    nodes = [
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "wide"], ["y"], **PADS),
    ]
    data = network(weight, nodes=nodes)
    assert "Conv" not in operators(with_quick_convolutions(data, "it"))
    feed = {"x": normal(1, CHANNELS, 24, 24)}
    runs = [open_session(data, provider="cpu", threads=1, quick=q).run(feed)["y"] for q in (False, True)]
    np.testing.assert_allclose(runs[1], runs[0], atol=3e-5)


def test_a_graph_in_fp16_is_done_in_float32_in_between() -> None:
    weight = (normal(CHANNELS, CHANNELS, 3, 3) / 35).astype(np.float16)
    nodes = [
        helper.make_node("Cast", ["x"], ["narrow"], to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["narrow", "w", "b"], ["c"], **PADS),
        helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
    ]
    data = network(weight, normal(CHANNELS).astype(np.float16), nodes=nodes)
    quick = onnx.load_from_string(with_quick_convolutions(data, "it"))
    onnx.checker.check_model(quick, full_check=True)
    assert [node.op_type for node in quick.graph.node].count("Cast") == 4
    feed = {"x": normal(1, CHANNELS, 24, 24)}
    runs = [open_session(data, provider="cpu", threads=1, quick=q).run(feed)["y"] for q in (False, True)]
    np.testing.assert_allclose(runs[1], runs[0], atol=4e-3)  # fp16 keeps 11 bits of numbers up to 4


def test_weights_that_others_use_stay() -> None:
    weight = normal(CHANNELS, CHANNELS, 3, 3) / 35
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], **PADS),
        helper.make_node("Conv", ["a", "w"], ["b"], strides=[2, 2], **PADS),
        helper.make_node("Conv", ["b", "w"], ["y"], **PADS),  # nine tiles
    ]
    data = network(weight, nodes=nodes)
    quick = with_quick_convolutions(data, "it")
    assert operators(quick).count("Conv") == 2
    feed = {"x": normal(1, CHANNELS, 24, 24)}
    runs = [open_session(data, provider="cpu", threads=1, quick=q).run(feed)["y"] for q in (False, True)]
    np.testing.assert_allclose(runs[1], runs[0], atol=1e-4)


WIDE = normal(CHANNELS, CHANNELS, 3, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"weight": WIDE[:95]},
        {"weight": WIDE[:, :63]},
        {"weight": WIDE[:96, :64]},
        {"weight": WIDE, "size": (1, 12, 12)},
        {"weight": WIDE, "size": (2, 24, 24)},
        {"weight": WIDE, "size": ("n", 24, 24)},
        {"weight": WIDE, "attributes": {"pads": [0, 0, 0, 0]}},
        {"weight": WIDE, "attributes": {"auto_pad": "SAME_UPPER"}},
        {"weight": WIDE, "attributes": {**PADS, "strides": [2, 2]}},
        {"weight": WIDE, "attributes": {**PADS, "dilations": [2, 2]}},
        {"weight": normal(CHANNELS, CHANNELS, 1, 1), "attributes": {}},
        {"weight": WIDE, "stated": False},
    ],
)
def test_everything_else_is_passed_on_as_it_is(arguments: dict[str, Any]) -> None:
    data = network(**arguments)
    assert with_quick_convolutions(data, "it") is data


def test_what_cannot_be_read_is_left_to_the_runtime() -> None:
    assert with_quick_convolutions(b"no network", "it") == b"no network"
    landmarks = (built_in_folder() / "face" / "landmarks.onnx").read_bytes()
    assert with_quick_convolutions(landmarks, "it") is landmarks  # narrow layers: nothing to gain


@pytest.mark.parametrize("seed", range(100))
def test_a_damaged_file_raises_nothing_of_its_own(seed: int) -> None:
    """What ONNX Runtime would refuse in one line comes back as it is, or rewritten: nothing else."""
    spoilt = bytearray((built_in_folder() / "face" / "detector.onnx").read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(spoilt), int(rng.integers(1, 20))):
        spoilt[at] ^= 1 << int(rng.integers(8))
    assert len(with_quick_convolutions(bytes(spoilt), "it")) >= len(spoilt) // 2


def test_a_file_that_states_wrong_shapes_still_runs() -> None:
    model = onnx.load_from_string(network(WIDE / 35))
    next(v for v in model.graph.value_info if v.name == "r").type.tensor_type.shape.dim[2].dim_value = 48
    data = model.SerializeToString()
    assert with_quick_convolutions(data, "it") is not data
    feed = {"x": normal(1, CHANNELS, 24, 24)}
    session = open_session(data, provider="cpu", threads=1)
    wanted = open_session(network(WIDE / 35), provider="cpu", threads=1, quick=False).run(feed)["y"]
    np.testing.assert_allclose(session.run(feed)["y"], wanted, atol=3e-5)


def test_no_file_grows_above_what_onnx_holds() -> None:
    data = network(WIDE)
    assert with_quick_convolutions(data, "it", max_bytes=len(data) + 1000) is data


def test_one_tile_by_hand() -> None:
    """4x4 numbers by 3x3 ones: 36 products for 16 results of nine each."""
    filters, picture = normal(1, 1, 3, 3), np.pad(normal(4, 4), 1)
    wanted = [(picture[y : y + 3, x : x + 3] * filters[0, 0]).sum() for y in range(4) for x in range(4)]
    order = [6 * y + x for ys, xs in CORNERS for y in ys for x in xs]
    turned = matrices()["winograd/input"] @ picture.ravel()[order]
    got = matrices()["winograd/output"] @ (turned * turned_weights(filters)[:, 0, 0])
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert turned.size == 36


CORNERS = [(ys, xs) for ys in (range(4), range(4, 6)) for xs in (range(4), range(4, 6))]


def test_what_is_written_is_what_onnx_reads() -> None:
    node = onnx.NodeProto.FromString(node_bytes("Pad", ["a", ""], ["b"], {"i": -7, "t": "mode", "l": [1, -1, 1 << 40]}))
    assert (node.op_type, list(node.input), list(node.output), node.name) == ("Pad", ["a", ""], ["b"], "b")
    assert [helper.get_attribute_value(a) for a in node.attribute] == [-7, b"mode", [1, -1, 1 << 40]]
    for value in (normal(2, 3), np.array([-5, 1 << 50]), np.zeros((0, 2), np.float32)):
        tensor = onnx.TensorProto.FromString(tensor_bytes("w", value))
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), value)
        assert tensor.name == "w"
    assert varint(300) == b"\xac\x02"
    data = network(WIDE)
    assert b"".join(bytes(whole) for _, whole, _ in spans(memoryview(data))) == data
    with pytest.raises(ValueError, match="cut off"):
        list(spans(memoryview(data)[:-1]))
