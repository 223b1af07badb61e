"""Weights and arithmetic in float16, for strongly typed runtimes (TensorRT) and small files.

What a graph takes and gives stays float32. So does what float16's 11 bits and largest number of 65504 would spoil
(all but `HALVED`), together with the arithmetic that leads to it: the positions at which pixels are looked up,
distances before an exponential, squares before their sum.

ONNX Runtime's own converter (`onnxruntime.transformers.float16`) keeps single operators: between two of them values
go through float16, which is what must not happen to positions.
"""

import numpy as np
import onnx
import onnx_ir as ir

from export.passes import constant, is_float, simplify, sweep
from realtime.errors import ModelError

LARGEST = float(np.finfo(np.float16).max)
FULL, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)

LEADING = frozenset(
    ("Add", "Sub", "Mul", "Neg", "Abs", "Clip", "Where", "Concat", "Split", "Slice", "Gather")
    + ("Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Expand", "Pad")
)
"""Arithmetic that stays in float32 where its result goes into a kept operator."""
HALVED = LEADING | frozenset(
    ("Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Resize", "Identity")
    + ("AveragePool", "MaxPool", "DepthToSpace", "SpaceToDepth", "Max", "Min")
)
"""What is calculated in float16. All other operators stay in float32: GridSample, as near a picture's edge positions in
-1..1 would move in steps of 1/16 px at 256 px; Softmax, Exp, Pow, Sqrt, Div and the like, which make large errors of
small ones; Cos and Sin, which lose the phase of large arguments; comparisons, as a morph would cut elsewhere; sums over
many values and norms, which lose small values and can pass 65504."""


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a float32 graph that calculates in float16 in the operators `HALVED`, with Casts where the two meet.

    Nodes stay in float32 where their results lead to one that does, or a constant is beyond float16. Raises
    ModelError for graphs within graphs (If, Loop), which none of our networks needs.
    """
    copy = ir.from_proto(model)
    simplify(copy)  # folds weights stored in half: they are cast to float32 by no node any more
    graph = copy.graph
    for node in graph:
        if any(attribute.type in GRAPHS for attribute in node.attributes.values()):
            raise ModelError(f"the graph has a {node.op_type} with a graph inside: use --precision fp32")
    kept: set[ir.Node] = set()
    for node in reversed(list(graph)):
        leads = node.op_type in LEADING and any(
            user in kept and not _is_looked_up(user, number)
            for output in node.outputs
            for user, number in output.uses()
        )
        if leads or node.domain or node.op_type not in HALVED or _beyond_half(node):
            kept.add(node)
    converter = _Converter(graph)
    for node in list(graph):
        if node in kept:
            converter.keep(node)
        else:
            converter.convert(node)
    converter.finish()
    sweep(copy)
    return ir.to_proto(copy)


def _is_looked_up(node: ir.Node, number: int) -> bool:
    """Whether that input is where GridSample takes its values from: those need no more precision than other pixels."""
    return node.op_type == "GridSample" and number == 0


def _beyond_half(node: ir.Node) -> bool:
    """Whether one of its constants is larger than float16 can say."""
    constants = (constant(value) for value in node.inputs if is_float(value))
    return any(numbers is not None and numbers.size > 0 and np.abs(numbers).max() > LARGEST for numbers in constants)


class _Converter:
    """Turns one node after the other to float16, in their order, and remembers what exists in which form."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._halved: set[ir.Value] = set()
        self._others: dict[ir.Value, ir.Value] = {}

    def keep(self, node: ir.Node) -> None:
        """Give the node float32 for whatever has become float16."""
        for number, value in enumerate(node.inputs):
            if value in self._halved:
                node.replace_input_with(number, self._other(value, FULL, node))

    def convert(self, node: ir.Node) -> None:
        """Give the node float16 wherever it takes that, and note what it gives as float16."""
        for number, value in enumerate(node.inputs[:1] if node.op_type == "Resize" else node.inputs):
            if value is not None and is_float(value):
                node.replace_input_with(number, self._other(value, HALF, node))
        for value in node.outputs:
            if is_float(value):
                value.dtype = HALF
                self._halved.add(value)

    def finish(self) -> None:
        """Give the graph its float32 outputs again, under their names."""
        for number, value in enumerate(list(self._graph.outputs)):
            if value in self._halved:
                name, value.name = value.name, f"{value.name}_half"
                cast = _cast(value, FULL, name or "")
                self._graph.append(cast)
                cast.outputs[0].shape = value.shape
                self._graph.outputs[number] = cast.outputs[0]

    def _other(self, value: ir.Value, form: ir.DataType, before: ir.Node) -> ir.Value:
        """The value in the form that it is not in: a constant made anew, or a Cast in front of the node."""
        if value not in self._others:
            name = f"{value.name}_{'half' if form == HALF else 'full'}"
            numbers = constant(value)
            if numbers is not None:
                made = ir.val(name, const_value=ir.tensor(numbers.astype(np.float16), name=name))
                self._graph.register_initializer(made)
            else:
                cast = _cast(value, form, name)
                self._graph.insert_before(before, cast)
                made = cast.outputs[0]
                made.shape = value.shape
            self._others[value] = made
        return self._others[value]


def _cast(value: ir.Value, form: ir.DataType, name: str) -> ir.Node:
    result = ir.val(name, form)
    return ir.node("Cast", [value], {"to": form}, outputs=[result], name=f"Cast_{name}")


SPLITTER = np.array(2**13 + 1, np.float32)
TO_THE_END, BACK = np.array(2.0**112, np.float32), np.array(2.0**-112, np.float32)


def emulate_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float32 graph that gives what the float16 graph `model` gives in float16 arithmetic, on any CPU.

    ONNX Runtime's CPU provider runs float16 graphs in float32 and leaves out the Casts between nodes, so what it gives
    shows the rounding of weights only. Here every float16 value is rounded by Veltkamp's splitting (Dekker, Numerische
    Mathematik 18, 1971), which no runtime simplifies: h = s x - (s x - x) with s = 2^13 + 1 keeps 11 of 24 bits. Sums
    inside a node stay in float32, as in the matrix units of GPUs. Values that float16 has no number for become
    infinite: they pass float32's end after a shift by 112 powers of two, which changes no other value.
    """
    copy = ir.from_proto(model)
    sweep(copy)
    graph = copy.graph
    for value in list(graph.initializers.values()):
        numbers = constant(value) if value.dtype == HALF else None
        if numbers is not None:
            value.const_value = ir.tensor(numbers.astype(np.float32), name=value.name)
            value.dtype = FULL
    constants = []
    for number, name in ((SPLITTER, "splitter"), (TO_THE_END, "to_the_end"), (BACK, "back")):
        constants.append(ir.val(name, const_value=ir.tensor(number, name=name)))
        graph.register_initializer(constants[-1])
    for node in list(graph):
        halves = [value for value in node.outputs if value.dtype == HALF]
        if node.op_type == "Cast" and node.attributes.get_int("to") in (FULL, HALF):
            node.attributes["to"] = ir.AttrInt64("to", FULL)
        for value in halves:
            _round(graph, node, value, constants)
    sweep(copy)
    return ir.to_proto(copy)


def _round(graph: ir.Graph, node: ir.Node, value: ir.Value, constants: list[ir.Value]) -> None:
    """Put the rounding between a value and all that take it."""
    value.dtype = FULL
    users = list(value.uses())
    splitter, to_the_end, back = constants
    made = [ir.val(f"{value.name}_{what}", FULL) for what in ("split", "rest", "rounded", "shifted", "limited")]
    inputs = [[value, splitter], [made[0], value], [made[0], made[1]], [made[2], to_the_end], [made[3], back]]
    nodes = [
        ir.node(op, given, outputs=[result], name=f"{op}_{result.name}")
        for op, given, result in zip(("Mul", "Sub", "Sub", "Mul", "Mul"), inputs, made, strict=True)
    ]
    graph.insert_after(node, nodes)
    for user, number in users:
        user.replace_input_with(number, made[-1])
