"""Half precision made full: the same numbers, the same ports, no half left."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from small_networks import faces, picture_network

from export.int8_judge import runner
from export.widen import widen


def test_no_half_is_left_and_the_numbers_stay() -> None:
    half = picture_network(half=True)
    before = half.SerializeToString()
    wide = widen(half)
    assert half.SerializeToString() == before
    onnx.checker.check_model(wide, full_check=True)
    assert {t.data_type for t in wide.graph.initializer} == {TensorProto.FLOAT}
    assert "Cast" not in {node.op_type for node in wide.graph.node}
    for feed in faces(2, 3):
        assert np.abs(runner(wide)(feed)["drawn"] - runner(half)(feed)["drawn"]).max() < 5e-3
    exact = {t.name: numpy_helper.to_array(t) for t in half.graph.initializer}
    assert all((numpy_helper.to_array(t) == exact[t.name]).all() for t in wide.graph.initializer)


def test_ports_of_half_become_full_and_casts_of_whole_numbers_stay() -> None:
    nodes = [
        helper.make_node("Cast", ["count"], ["number"], to=TensorProto.FLOAT16),
        helper.make_node("Mul", ["x", "number"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["y"], ["again"], to=TensorProto.FLOAT16),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT16, [2]),
        helper.make_tensor_value_info("count", TensorProto.INT64, [2]),
    ]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [2]),
        helper.make_tensor_value_info("again", TensorProto.FLOAT16, [2]),
    ]
    graph = helper.make_graph(nodes, "casts", inputs, outputs)
    wide = widen(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    onnx.checker.check_model(wide, full_check=True)
    given = runner(wide)({"x": np.array([1.5, 2], np.float32), "count": np.array([3, 4])})
    for name in ("y", "again"):
        assert given[name].dtype == np.float32
        np.testing.assert_array_equal(given[name], [4.5, 8])
