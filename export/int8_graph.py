"""Where QuantizeLinear and DequantizeLinear go in a network, in the two forms that runtimes make int8 of.

`cpu`: for ONNX Runtime (and OpenVINO) on a CPU. uint8 values, int8 weights, int32 biases; what a layer gives is
rounded too, because ONNX Runtime runs a convolution in integers only between a pair on either side. What lies
between such layers (`BETWEEN`) then stays in integers as well. A layer that gives an output of the network is
left alone: outputs are not rounded.

`tensorrt`: for TensorRT. int8 values symmetric about 0, int8 weights, float biases, and a pair before each layer
only: TensorRT fuses what follows the layer into it and rounds at the next pair.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.int8_layers import Layer
from export.int8_weights import CPU_LEVELS, LEVELS, put_rounded

Form = Literal["cpu", "tensorrt"]
Ends = tuple[float, float]
"""The lowest and the highest value that 8 bits span."""

OPERATORS: Mapping[Form, frozenset[str]] = MappingProxyType(
    {
        # ONNX Runtime's CPU provider has no transposed convolution in integers.
        "cpu": frozenset({"Conv", "Gemm", "MatMul"}),
        "tensorrt": frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"}),
    }
)

MOVED = frozenset({"DepthToSpace", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "MaxPool"})
"""Operators that only move values: what they give has the range of what they take."""

BETWEEN = MOVED | {"Add", "Mul", "LeakyRelu", "Concat"}
"""What ONNX Runtime's CPU provider runs in integers between two layers, besides `FUSED`."""

FUSED = frozenset({"Relu"})
"""What it runs as a part of the layer before, as the range of what the layer gives ends at 0."""

SMALL = 16
"""An operand so many times smaller than the result (a gain for each channel) is rounded wherever it comes from."""


class Placer:
    """One network into which pairs can be put in many ways. `model` must be `named`, `layers` are its own."""

    def __init__(self, model: onnx.ModelProto, layers: Collection[Layer], form: Form) -> None:
        self.form: Form = form
        self._model = model
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes = {node.name: node for node in model.graph.node}
        self._maker = {name: node for node in model.graph.node for name in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
        self._outputs = {port.name for port in model.graph.output}
        self._sizes = {
            port.name: int(np.prod([size.dim_value for size in port.type.tensor_type.shape.dim]))
            for port in [*model.graph.value_info, *model.graph.input, *model.graph.output]
        }
        self.layers: Mapping[str, Layer] = {
            layer.node: layer for layer in layers if form == "tensorrt" or self._end(layer.made) not in self._outputs
        }

    def tensors(self, chosen: Collection[str]) -> dict[str, str]:
        """Which tensors are rounded when the layers `chosen` (by node) are int8, each with the one whose range
        it has: its own name, or that of the tensor it was moved from."""
        if self.form == "tensorrt":
            return {self.layers[node].source: self.layers[node].source for node in chosen}
        rounded: dict[str, str] = {}
        within = self._between(chosen)
        for node in self._model.graph.node:
            if node.name in chosen or node.name in within:
                for name in self._operands(node):
                    rounded.setdefault(name, name)
                for name in node.output:
                    end = self._end(name)
                    rounded[end] = rounded[node.input[0]] if node.op_type in MOVED and end == name else end
        return rounded

    def _operands(self, node: onnx.NodeProto) -> list[str]:
        """The tensors that a node calculates with, constants apart."""
        names = node.input[:1] if node.name in self.layers or node.op_type in MOVED else node.input
        return [name for name in names if name not in self._weights]

    def _end(self, name: str) -> str:
        """The tensor at which what a node gives is rounded: after what is fused with the node."""
        users = self._users.get(name, [])
        if name not in self._outputs and len(users) == 1 and users[0].op_type in FUSED:
            return str(users[0].output[0])
        return name

    def _between(self, chosen: Collection[str]) -> set[str]:
        """The nodes of `BETWEEN`, and of `FUSED` with nothing to be fused to, that integers surround."""
        within = {
            node.name
            for node in self._model.graph.node
            if (node.op_type in BETWEEN and len(node.output) == 1)
            or (node.op_type in FUSED and self._end(node.input[0]) != node.output[0])
        }
        while True:
            kept = {name for name in within if self._surrounded(self._nodes[name], within.union(chosen))}
            if kept == within:
                return within
            within = kept

    def _surrounded(self, node: onnx.NodeProto, inside: Collection[str]) -> bool:
        end = self._end(node.output[0])
        users = self._users.get(end, [])
        if end in self._outputs or not users or any(user.name not in inside for user in users):
            return False
        made = 0
        for source in self._operands(node):
            maker = self._maker.get(source)
            if maker is not None and maker.op_type in FUSED and self._end(maker.input[0]) == source:
                maker = self._maker.get(maker.input[0])
            if maker is not None and maker.name in inside:
                made += 1
            elif not 0 < self._sizes.get(source, 0) * SMALL <= self._sizes.get(end, 0):
                return False
        return made > 0

    def place(self, chosen: Collection[str], ranges: Mapping[str, Ends]) -> onnx.ModelProto:
        """A copy of the network with the layers `chosen` in int8, their values spanning `ranges` (by tensor)."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph = model.graph
        del graph.value_info[:]
        scales: dict[str, np.float32] = {}
        after: dict[str, list[onnx.NodeProto]] = {}
        for name, like in self.tensors(chosen).items():
            scales[name], zero = step(ranges[like], self.form)
            graph.initializer.append(numpy_helper.from_array(np.array(scales[name], np.float32), f"{name}/scale"))
            graph.initializer.append(numpy_helper.from_array(zero, f"{name}/zero"))
            after[name] = pair(name)
        constants: list[onnx.NodeProto] = []
        for node in graph.node:
            if node.name in chosen:
                layer = self.layers[node.name]
                on_cpu = self.form == "cpu"
                levels, scale = CPU_LEVELS if on_cpu else LEVELS, scales[layer.source]
                constants += put_rounded(graph, node, layer, self._weights, levels, scale, whole_bias=on_cpu)
        put_after(graph, after, lambda node: self.form == "cpu" or node.name in chosen)
        nodes = [*constants, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        _drop_unused(graph)
        return model


def step(ends: Ends, form: Form) -> tuple[np.float32, npt.NDArray[np.integer]]:
    """The scale and the zero point of a range."""
    low, high = ends
    if form == "tensorrt":
        return np.float32(max(-low, high, 1e-8) / 127), np.array(0, np.int8)
    scale = np.float32(max(high - low, 1e-8) / 255)
    return scale, np.array(np.clip(np.rint(-low / scale), 0, 255), np.uint8)


def pair(name: str) -> list[onnx.NodeProto]:
    """A tensor rounded and brought back, by its `/scale` and its `/zero`, as `/rounded`."""
    how = [f"{name}/scale", f"{name}/zero"]
    return [
        helper.make_node("QuantizeLinear", [name, *how], [f"{name}/steps"], f"{name}/quantize"),
        helper.make_node("DequantizeLinear", [f"{name}/steps", *how], [f"{name}/rounded"], f"{name}/dequantize"),
    ]


def put_after(
    graph: onnx.GraphProto, after: Mapping[str, list[onnx.NodeProto]], reads: Callable[[onnx.NodeProto], bool]
) -> None:
    """Put the nodes `after[tensor]` behind the one that makes it; nodes that `reads` read the last one's output.

    The network's outputs are left as they are.
    """
    for node in graph.node:
        for number, name in enumerate(node.input):
            if name in after and reads(node):
                node.input[number] = after[name][-1].output[0]
    nodes = [new for port in graph.input for new in after.get(port.name, [])]
    for node in graph.node:
        nodes.append(node)
        nodes += [new for name in node.output for new in after.get(name, [])]
    del graph.node[:]
    graph.node.extend(nodes)


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {port.name for port in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
