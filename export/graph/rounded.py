"""What float16 arithmetic gives, computed in float32: for parity where no machine with such arithmetic is at hand.

ONNX Runtime's CPU provider runs float16 graphs in float32 and leaves out the Casts between nodes, so what it gives
shows the rounding of weights only. Here every float16 value is rounded by Veltkamp's splitting (Dekker, Numerische
Mathematik 18, 1971), which no runtime simplifies: h = s x - (s x - x) with s = 2^13 + 1 keeps 11 of 24 bits. Sums
inside a node stay in float32, as in the matrix units of GPUs. Values that float16 has no number for become infinite:
they pass float32's end after a shift by 112 powers of two, which changes no other value.
"""

import numpy as np
import onnx
import onnx_ir as ir

from export.graph.half import FULL, HALF
from export.graph.simplify import sweep
from export.graph.surgery import constant

SPLITTER = np.array(2**13 + 1, np.float32)
TO_THE_END, BACK = np.array(2.0**112, np.float32), np.array(2.0**-112, np.float32)


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float32 graph that gives what the float16 graph `model` (see `to_fp16`) gives in float16 arithmetic."""
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
