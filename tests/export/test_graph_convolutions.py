"""Convolutions rewritten: doubled pictures, transposed ones, siblings, narrow heads."""

from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("onnxscript", reason="the export needs the extra `export`")

from small_graphs import Graph, feed_of, operators, rewritten, worst

from export.graph.doubled_convolution import split_doubled_convolutions
from export.graph.narrow_convolution import widen_narrow_convolutions
from export.graph.sibling_convolutions import merge_siblings
from export.graph.transposed_convolution import split_transposed_convolutions

FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
HALF = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
DOUBLE = np.array([1, 1, 2, 2], np.float32)


def doubled(side: int = 3, activation: str = "Relu", bias: bool = True, **resize: Any) -> onnx.ModelProto:
    graph = Graph()
    large = graph.add("Resize", ["x", "", DOUBLE], mode="nearest", **resize)
    weights = [graph.draw(5, 16, side, side), *([graph.draw(5)] if bias else [])]
    out = graph.add("Conv", [large, *weights], pads=[side // 2] * 4)
    given = {"alpha": 0.3} if activation == "LeakyRelu" else {}
    graph.add(activation, [out], "y", **given)
    return graph.model({"x": ["N", 16, 9, 8]}, {"y": ["N", 5, 18, 16]})


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("resize", [FLOOR, HALF])
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Neg"])
def test_a_doubled_picture_is_never_made(side: int, resize: dict[str, str], activation: str) -> None:
    model = doubled(side, activation, bias=activation != "Neg", **resize)
    fast = rewritten(model, split_doubled_convolutions, places=1)
    found = operators(fast)
    assert (found["Resize"], found["Conv"], found["DepthToSpace"]) == (0, 4, 1)
    assert found[activation] == (1 if activation == "Neg" else 4)
    assert worst(model, fast, feed_of(model, batch=2)) < 2e-6


def test_a_doubled_picture_that_others_need_stays() -> None:
    model = doubled(**FLOOR)
    model.graph.output.append(onnx.helper.make_tensor_value_info("v0", 1, ["N", 16, 18, 16]))
    rewritten(model, split_doubled_convolutions, places=0)


@pytest.mark.parametrize(
    "resize",
    [
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
        {"coordinate_transformation_mode": "align_corners", "nearest_mode": "floor"},
    ],
)
def test_other_ways_of_enlarging_stay(resize: dict[str, str]) -> None:
    rewritten(doubled(**resize), split_doubled_convolutions, places=0)


@pytest.mark.parametrize(
    ("side", "ways"),
    [
        (3, {"pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
        (4, {"pads": [1, 1, 1, 1]}),
        (2, {}),
        (5, {"pads": [2, 2, 2, 2], "output_padding": [1, 1]}),
        (3, {"pads": [0, 1, 1, 0]}),
    ],
)
@pytest.mark.parametrize("activation", ["Relu", "Neg"])
def test_a_transposed_convolution_is_four(side: int, ways: dict[str, Any], activation: str) -> None:
    graph = Graph()
    weights = [graph.draw(6, 5, side, side), graph.draw(5)]
    out = graph.add("ConvTranspose", ["x", *weights], strides=[2, 2], **ways)
    graph.add(activation, [out], "y")
    model = graph.model({"x": ["N", 6, 7, 4]}, {"y": ["N", 5, 14, 8]})
    fast = rewritten(model, split_transposed_convolutions, places=1)
    assert operators(fast)["ConvTranspose"] == 0
    assert worst(model, fast, feed_of(model, batch=2)) < 2e-6


@pytest.mark.parametrize(("size", "group", "dilation"), [(20, 1, 1), (7, 2, 1), (7, 1, 2)])
def test_other_transposed_convolutions_stay(size: int, group: int, dilation: int) -> None:
    graph = Graph()
    reach = (3 - 1) * dilation
    graph.add(
        "ConvTranspose", ["x", graph.draw(6, 4, 3, 3)], "y",
        strides=[2, 2], pads=[reach // 2] * 4, output_padding=[1, 1], group=group, dilations=[dilation] * 2,
    )  # fmt: skip
    model = graph.model({"x": [1, 6, size, size]}, {"y": [1, 4 * group, 2 * size, 2 * size]})
    rewritten(model, split_transposed_convolutions, places=0)


def heads(*outputs_and_sides: tuple[int, int], pad: bool = True) -> onnx.ModelProto:
    graph = Graph()
    shapes = {}
    for number, (outputs, side) in enumerate(outputs_and_sides):
        weights = [graph.draw(outputs, 20, side, side), *([graph.draw(outputs)] if number % 2 else [])]
        graph.add("Conv", ["x", *weights], f"y{number}", pads=[side // 2 if pad else 0] * 4)
        lost = 0 if pad else side - 1
        shapes[f"y{number}"] = ["N", outputs, 9 - lost, 11 - lost]
    return graph.model({"x": ["N", 20, 9, 11]}, shapes)


@pytest.mark.parametrize(
    ("members", "pad"),
    [(((11, 7), (1, 7)), True), (((3, 1), (3, 3), (3, 3), (3, 3)), True), (((10, 7), (40, 7)), False)],
)
def test_siblings_become_one(members: tuple[tuple[int, int], ...], pad: bool) -> None:
    model = heads(*members, pad=pad)
    fast = rewritten(model, merge_siblings, places=1)
    assert operators(fast) == {"Conv": 1, "Split": 1}
    assert worst(model, fast, feed_of(model, batch=2)) < 2e-6


@pytest.mark.parametrize(
    ("members", "pad"),
    [(((16, 3), (32, 3)), True), (((3, 3), (3, 5)), False), (((11, 3), (100, 3)), True), (((3, 1), (15, 9)), True)],
)
def test_siblings_that_gain_nothing_stay_apart(members: tuple[tuple[int, int], ...], pad: bool) -> None:
    rewritten(heads(*members, pad=pad), merge_siblings, places=0)


@pytest.mark.parametrize(("outputs", "side", "pad", "cell"), [(3, 7, 3, 2), (1, 7, 3, 4), (3, 3, 1, 2), (2, 5, 0, 4)])
def test_a_narrow_head_makes_cells(outputs: int, side: int, pad: int, cell: int) -> None:
    graph = Graph()
    graph.add("Conv", ["x", graph.draw(outputs, 16, side, side), graph.draw(outputs)], "y", pads=[pad] * 4)
    lost = side - 1 - 2 * pad
    model = graph.model({"x": ["N", 16, 16, 20]}, {"y": ["N", outputs, 16 - lost, 20 - lost]})
    fast = rewritten(model, widen_narrow_convolutions, places=1)
    kernel = next(node for node in fast.graph.node if node.op_type == "Conv")
    assert onnx.helper.get_node_attr_value(kernel, "strides") == [cell, cell]
    assert worst(model, fast, feed_of(model, batch=2)) < 2e-6


@pytest.mark.parametrize(
    ("inputs", "outputs", "side", "height"), [(16, 12, 7, 16), (8, 3, 7, 16), (16, 3, 7, 15), (16, 3, 1, 16)]
)
def test_a_head_that_gains_nothing_stays(inputs: int, outputs: int, side: int, height: int) -> None:
    graph = Graph()
    graph.add("Conv", ["x", graph.draw(outputs, inputs, side, side)], "y", pads=[side // 2] * 4)
    model = graph.model({"x": [1, inputs, height, 16]}, {"y": [1, outputs, height, 16]})
    rewritten(model, widen_narrow_convolutions, places=0)


@pytest.mark.parametrize("rewrite", [merge_siblings, widen_narrow_convolutions, split_doubled_convolutions])
def test_weights_that_are_computed_are_left_alone(rewrite: Any) -> None:
    graph = Graph()
    for name in ("y", "z"):
        graph.add("Conv", ["x", "w"], name, pads=[3] * 4)
    model = graph.model(
        {"x": [1, 16, 8, 8], "w": [3, 16, 7, 7]}, {"y": [1, 3, 8, 8], "z": [1, 3, 8, 8]}
    )  # fmt: skip
    rewritten(model, rewrite, places=0)
