"""The layers of a network that can run in int8, and how much of its work each of them is."""

import math
from collections import Counter
from dataclasses import dataclass

import onnx

from realtime.errors import ModelError

WORK_OF_A_WEIGHT = 16
"""How many multiply-adds fetching one weight is worth: about what a CPU core does in that time. It makes a dense
layer, which uses each of its weights once, count for what it costs."""

LEAST_WORK = 0.002
"""A smaller share of the network's work is not worth the error that rounding it would bring."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with constant weights: its node's name, its tensors, the weights' axis of output channels.

    `work` is its share of the work of all such layers, 0..1; `cost` the work itself, in multiply-adds.
    """

    node: str
    operator: str
    source: str
    made: str
    weight: str
    bias: str | None
    axis: int
    work: float
    cost: int


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` in which every node has a name of its own and every tensor's shape is inferred."""
    copy = onnx.shape_inference.infer_shapes(model, data_prop=True)
    seen = Counter(node.name for node in copy.graph.node)
    for number, node in enumerate(copy.graph.node):
        if not node.name or seen[node.name] > 1:
            node.name = f"{node.op_type}:{number}"
    return copy


def find_layers(model: onnx.ModelProto, operators: frozenset[str]) -> list[Layer]:
    """Every layer of `operators` that int8 can hold, in the graph's order; `model` must be `named`."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {
        port.name: [size.dim_value for size in port.type.tensor_type.shape.dim]
        for port in [*graph.value_info, *graph.input, *graph.output]
    }
    costs: list[tuple[onnx.NodeProto, int, int]] = []
    for node in graph.node:
        axis = _axis(node, weights)
        if axis is None:
            continue
        weight = math.prod(weights[node.input[1]].dims)
        places = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0], [])
        if not places or min(places) < 1:
            raise ModelError(f"the shape of {node.name!r} is not known, so it can't be quantised: export static shapes")
        channels = {"Conv": places[1:2], "ConvTranspose": places[1:2]}.get(node.op_type, places[-1:])
        costs.append((node, axis, weight * math.prod(places) // channels[0] + WORK_OF_A_WEIGHT * weight))
    total = sum(cost for *_, cost in costs)
    return [
        Layer(
            node=node.name,
            operator=node.op_type,
            source=node.input[0],
            made=node.output[0],
            weight=node.input[1],
            bias=node.input[2] if len(node.input) > 2 and node.input[2] else None,
            axis=axis,
            work=cost / total,
            cost=cost,
        )
        for node, axis, cost in costs
        if node.op_type in operators and cost >= LEAST_WORK * total
    ]


def _axis(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> int | None:
    """Which axis of a layer's weights counts its output channels; None where it is no such layer."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or node.domain not in ("", "ai.onnx"):
        return None
    if node.input[0] in weights or node.input[1] not in weights:
        return None
    if len(node.input) > 2 and node.input[2] and node.input[2] not in weights:
        return None
    weight = weights[node.input[1]]
    if weight.data_type != onnx.TensorProto.FLOAT:
        return None
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Gemm":
        plain = given.get("alpha", 1.0) == 1.0 and given.get("beta", 1.0) == 1.0 and not given.get("transA")
        return (0 if given.get("transB") else 1) if plain else None
    if node.op_type == "MatMul":
        return 1 if len(weight.dims) == 2 else None
    if node.op_type == "ConvTranspose":
        return 1 if given.get("group", 1) == 1 else None
    return 0
