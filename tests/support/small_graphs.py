"""Small random ONNX graphs for the tests of `export`, and what ONNX Runtime makes of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from export.passes import sweep

Sides = Sequence[int | str]


class Graph:
    """Collects nodes; values go by name. Weights are drawn from one seeded generator."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def draw(self, *shape: int) -> np.ndarray:
        """Random numbers of the size that keeps a convolution's output as large as its input."""
        return (self.random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)

    def add(self, op: str, inputs: Sequence[str | np.ndarray], output: str = "", **attributes: Any) -> str:
        """A node; arrays among its inputs become weights. Gives its output's name."""
        names = []
        for given in inputs:
            if isinstance(given, np.ndarray):
                name = f"w{len(self.weights)}"
                self.weights[name] = given
                names.append(name)
            else:
                names.append(given)
        output = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [output], name=f"n{len(self.nodes)}", **attributes))
        return output

    def model(self, inputs: Mapping[str, Sides], outputs: Mapping[str, Sides], opset: int = 20) -> onnx.ModelProto:
        """The checked model, float32 in and out."""
        ports = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in given.items()]
            for given in (inputs, outputs)
        ]
        weights = [numpy_helper.from_array(values, name) for name, values in self.weights.items()]
        graph = helper.make_graph(self.nodes, "small", *ports, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model


def rewritten(model: onnx.ModelProto, rewrite: Callable[[ir.Model], int], places: int) -> onnx.ModelProto:
    """The model after one pass, which must say that it changed so many places; checked."""
    graph = ir.from_proto(model)
    sweep(graph)
    assert rewrite(graph) == places
    sweep(graph)
    changed = ir.to_proto(graph)
    onnx.checker.check_model(changed, full_check=True)
    assert same_ports(model, changed)
    return changed


def same_ports(one: onnx.ModelProto, other: onnx.ModelProto) -> bool:
    """Whether both take and give the same: names, order, shapes and types."""
    ports = [
        [[(port.name, port.type.SerializeToString(deterministic=True)) for port in side] for side in sides]
        for sides in ((m.graph.input, m.graph.output) for m in (one, other))
    ]
    return ports[0] == ports[1]


def operators(model: onnx.ModelProto) -> Counter[str]:
    """How many nodes of each kind there are."""
    return Counter(node.op_type for node in model.graph.node)


def feed_of(model: onnx.ModelProto, seed: int = 1, batch: int = 1) -> dict[str, np.ndarray]:
    """Random numbers for all inputs; open sides become `batch`."""
    random = np.random.default_rng(seed)
    return {
        port.name: random.standard_normal([s.dim_value or batch for s in port.type.tensor_type.shape.dim]).astype("f4")
        for port in model.graph.input
    }


def run(model: onnx.ModelProto, feed: Mapping[str, np.ndarray] | None = None) -> list[np.ndarray]:
    """All outputs, as ONNX Runtime computes the graph as it stands (its own rewrites are off)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(feed or feed_of(model))))


def worst(
    one: onnx.ModelProto, other: onnx.ModelProto, feed: Mapping[str, np.ndarray] | None = None, least: float = 0.01
) -> float:
    """The largest difference between two models' outputs on the same feed. Outputs must span `least` or more."""
    feed = feed or feed_of(one)
    pairs = list(zip(run(one, feed), run(other, feed), strict=True))
    assert all(np.isfinite(a).all() and np.ptp(a) > least and a.shape == b.shape for a, b in pairs)
    return max(float(np.abs(a - b).max()) for a, b in pairs)
