"""Winograd's algorithm gives what the convolution gives, and is used where it should be faster."""

import numpy as np
import onnx
import pytest

pytest.importorskip("onnxscript", reason="the export needs the extra `export`")

from small_graphs import Graph, operators, rewritten, worst

from export.graph.winograd import BACK, FILTERS, SURROUNDINGS, use_winograd


def convolution(inputs: int, outputs: int, height: int, width: int, count: int = 1) -> onnx.ModelProto:
    graph = Graph()
    for number in range(count):
        weights = [graph.draw(outputs, inputs, 3, 3), *([] if number else [graph.draw(outputs)])]
        graph.add("Relu", [graph.add("Conv", ["x", *weights], pads=[1] * 4)], f"y{number}")
    sides = [1, outputs, height, width]
    return graph.model({"x": [1, inputs, height, width]}, {f"y{n}": sides for n in range(count)})


def test_the_transforms_are_those_of_minimal_filtering() -> None:
    random = np.random.default_rng(0)
    line, taps = random.standard_normal(6), random.standard_normal(3)
    made = BACK @ ((FILTERS @ taps) * (SURROUNDINGS @ line))
    np.testing.assert_allclose(made, np.correlate(line, taps), rtol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (24, 36), (26, 31), (41, 28)])
def test_any_size_of_picture(height: int, width: int) -> None:
    model = convolution(192, 160, height, width)
    fast = rewritten(model, use_winograd, places=1)
    assert operators(fast)["Conv"] == 0
    assert worst(model, fast) < 2e-5


def test_what_sees_the_same_values_shares_their_transform() -> None:
    model = convolution(160, 160, 28, 28, count=2)
    fast = rewritten(model, use_winograd, places=2)
    assert operators(fast)["SpaceToDepth"] == 1
    assert worst(model, fast) < 2e-5


def test_the_file_does_not_grow() -> None:
    model = convolution(256, 256, 16, 16)
    assert rewritten(model, use_winograd, places=1).ByteSize() < 1.02 * model.ByteSize()


@pytest.mark.parametrize(("inputs", "outputs", "side"), [(64, 64, 96), (48, 96, 112), (256, 256, 3)])
def test_what_would_gain_nothing_stays(inputs: int, outputs: int, side: int) -> None:
    rewritten(convolution(inputs, outputs, side, side), use_winograd, places=0)


def test_an_open_batch_stays() -> None:
    graph = Graph()
    graph.add("Conv", ["x", graph.draw(192, 192, 3, 3)], "y", pads=[1] * 4)
    model = graph.model({"x": ["N", 192, 16, 16]}, {"y": ["N", 192, 16, 16]})
    rewritten(model, use_winograd, places=0)
