"""What need not be computed goes; numbers, names and shapes stay."""

import numpy as np
import onnx
import pytest

pytest.importorskip("onnxscript", reason="the export needs the extra `export`")

from onnx import TensorProto, helper
from small_graphs import Graph, feed_of, operators, run, same_ports, worst

from export.graph import tidy


def cluttered() -> onnx.ModelProto:
    graph = Graph()
    norm = [graph.random.random(8).astype("f4") + 0.5 for _ in range(4)]
    v = graph.add("Conv", ["x", graph.draw(8, 3, 3, 3)], pads=[1] * 4)
    v = graph.add("BatchNormalization", [v, *norm])
    v = graph.add("Identity", [graph.add("Dropout", [v])])
    v = graph.add("Cast", [v], to=TensorProto.FLOAT)
    v = graph.add("Add", [graph.add("Relu", [v]), graph.add("Relu", [v])])
    half = graph.add("Cast", [graph.draw(4, 8, 3, 3).astype(np.float16)], to=TensorProto.FLOAT)
    scaled = graph.add("Mul", [half, graph.add("Sqrt", [np.array(4, "f4")])])
    graph.add("Exp", [v], "dead")
    graph.add("Conv", [v, scaled], "y", pads=[1] * 4)
    return graph.model({"x": ["N", 3, 9, 7]}, {"y": ["N", 4, 9, 7]})


def test_clutter_goes_and_the_numbers_stay() -> None:
    model = cluttered()
    simple = tidy(model)
    assert operators(simple) == {"Conv": 2, "Relu": 1, "Add": 1}
    assert all(weight.data_type == TensorProto.FLOAT for weight in simple.graph.initializer)
    assert same_ports(model, simple)
    feed = feed_of(model, batch=2)
    assert worst(model, simple, feed) < 1e-5


def test_the_given_model_is_not_changed() -> None:
    model = cluttered()
    before = model.SerializeToString(deterministic=True)
    tidy(model)
    assert model.SerializeToString(deterministic=True) == before


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert tidy(cluttered()).SerializeToString() == tidy(cluttered()).SerializeToString()


def test_weights_listed_among_the_inputs_are_weights() -> None:
    model = cluttered()
    weight = model.graph.initializer[0]
    model.graph.input.append(helper.make_tensor_value_info(weight.name, TensorProto.FLOAT, weight.dims))
    simple = tidy(model)
    assert [port.name for port in simple.graph.input] == ["x"]
    assert operators(simple)["BatchNormalization"] == 0


def test_an_output_that_is_an_input_or_a_constant_keeps_its_name() -> None:
    graph = Graph()
    graph.add("Identity", ["x"], "same")
    graph.add("Add", [graph.draw(1, 3), graph.draw(1, 3)], "fixed")
    model = graph.model({"x": [1, 3]}, {"same": [1, 3], "fixed": [1, 3]})
    simple = tidy(model)
    assert same_ports(model, simple)
    for got, expected in zip(run(simple), run(model), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
