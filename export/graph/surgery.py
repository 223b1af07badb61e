"""Reading a graph's nodes, and putting others in the place of some of them.

Every pass of this package takes an `onnx_ir.Model`, changes it in place and says how many places it changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Array = npt.NDArray[Any]

ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "Sigmoid", "Tanh"})
"""Functions of one value each that runtimes compute as the last step of a convolution."""


def constant(value: ir.Value | None) -> Array | None:
    """The numbers of an initializer or a Constant node; None for anything that a run computes."""
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else np.asarray(tensor.numpy())


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape, where every side of it is known."""
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(side) for side in value.shape.numpy())


def picture_sides(value: ir.Value | None) -> tuple[int, int, int] | None:
    """Channels, height and width of an (N, C, H, W) value, where those three are known; N may be open."""
    if value is None or value.shape is None or value.shape.rank() != 4:
        return None
    sides = [side for side in value.shape.dims[1:] if isinstance(side, int)]
    return (sides[0], sides[1], sides[2]) if len(sides) == 3 else None


def is_float(value: ir.Value | None) -> bool:
    """Whether it is known to be float32: the passes leave other numbers alone."""
    return value is not None and value.dtype == ir.DataType.FLOAT


def only_user(value: ir.Value) -> ir.Node | None:
    """The one node that takes the value, if there is one only and the value is no output of the graph."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A Conv or ConvTranspose of pictures with constant weights.

    `weight`: (out, in, kh, kw) for Conv, (in, out, kh, kw) for ConvTranspose. `pads`: top, left, bottom, right.
    """

    node: ir.Node
    source: ir.Value
    result: ir.Value
    weight: Array
    bias: Array | None
    pads: tuple[int, int, int, int]
    strides: tuple[int, int]

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return int(self.weight.shape[1 if self.node.op_type == "ConvTranspose" else 0])

    @property
    def inputs(self) -> int:
        """Channels that go in."""
        return int(self.weight.shape[0 if self.node.op_type == "ConvTranspose" else 1])

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of its filters."""
        return int(self.weight.shape[2]), int(self.weight.shape[3])

    def is_plain(self, side: int) -> bool:
        """Whether it has square filters of that side, moves by one and keeps the picture's size."""
        return self.kernel == (side, side) and self.strides == (1, 1) and self.pads == (side // 2,) * 4


def read_convolution(node: ir.Node, op_type: str = "Conv") -> Convolution | None:
    """The node as a float32 2-D convolution in one group without dilation; None if it is anything else."""
    if node.op_type != op_type or node.domain or node.inputs[0] is None or not is_float(node.outputs[0]):
        return None
    weight, bias = constant(node.inputs[1]), constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if weight is None or weight.ndim != 4 or (bias is None and len(node.inputs) > 2 and node.inputs[2] is not None):
        return None
    attributes = node.attributes
    ones = (1, 1)
    if attributes.get_int("group", 1) != 1 or tuple(attributes.get_ints("dilations", ones)) != ones:
        return None
    if attributes.get_string("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in attributes:
        return None
    top, left, bottom, right = attributes.get_ints("pads", (0, 0, 0, 0))
    down, across = attributes.get_ints("strides", ones)
    return Convolution(node, node.inputs[0], node.outputs[0], weight, bias, (top, left, bottom, right), (down, across))


class Patch:
    """New nodes for a graph, to stand where `node` stands.

    Values it makes are named after the result they lead to, so that the same graph gives the same names.
    """

    def __init__(self, node: ir.Node) -> None:
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        self._graph, self._node, self._nodes = graph, node, list[ir.Node]()
        self._stem = node.outputs[0].name or "value"

    def weight(self, values: Array, what: str, /) -> ir.Value:
        """A constant of the graph, called after `what` it is."""
        name = f"{self._stem}.{what}"
        while name in self._graph.initializers:
            name += "_"
        value = ir.val(name, const_value=ir.tensor(np.ascontiguousarray(values), name=name))
        self._graph.register_initializer(value)
        return value

    def node(self, op_type: str, inputs: Sequence[ir.Value | None], what: str, /, **attributes: Any) -> ir.Value:
        """A new node; gives its only output."""
        return self.nodes(op_type, inputs, [what], **attributes)[0]

    def nodes(
        self, op_type: str, inputs: Sequence[ir.Value | None], what: Sequence[str], /, **attributes: Any
    ) -> Sequence[ir.Value]:
        """A new node of several outputs."""
        outputs = [ir.Value(name=f"{self._stem}.{each}") for each in what]
        self._nodes.append(
            ir.node(op_type, inputs, attributes, outputs=outputs, name=f"{op_type}_{self._stem}.{what[0]}")
        )
        return outputs

    def convolution(
        self, source: ir.Value, weight: Array, bias: Array | None, what: str, **attributes: Any
    ) -> ir.Value:
        """A Conv node with these constant weights."""
        inputs = [source, self.weight(weight, what + "_weight")]
        if bias is not None:
            inputs.append(self.weight(bias, what + "_bias"))
        return self.node("Conv", inputs, what, kernel_shape=list(weight.shape[2:]), **attributes)

    def replace(self, old: Sequence[ir.Value], new: Sequence[ir.Value]) -> None:
        """Put the new nodes into the graph and `new` in the place of `old`, under its names, shapes and types.

        Nodes that nobody needs after that go out with `simplify.sweep`.
        """
        for was, becomes in zip(old, new, strict=True):
            becomes.name, becomes.type, becomes.shape = was.name, was.type, was.shape
            was.name = None
        self._graph.insert_before(self._node, self._nodes)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
