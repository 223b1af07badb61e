"""Divisions of whole numbers in an ONNX file, which can stop the whole program.

The lowest whole number divided by -1 has no answer of its own size. The processor then stops the program (SIGFPE on
x86), in ONNX Runtime 1.32 too, where nothing can catch it. Networks divide floating point numbers, or sizes by
positive constants. So a `Div` is let through where its numbers are seen to be floating point, or its divisor is a
constant without -1; a `Mod` in its floating point form, or by such a divisor.

What is floating point follows from what a file declares (ONNX Runtime refuses a file that declares another type
than it works out itself) and from operators that know nothing else, or keep the type of their first input.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from realtime.errors import ModelError
from realtime.inference.wire import Field, messages, numbers, texts, wire_fields

FLOATS = frozenset({1, 10, 11, 16})  # TensorProto.DataType: float, half, double, bfloat16
WHOLE = {2: "<u1", 3: "<i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 12: "<u4", 13: "<u8"}

FLOAT_ONLY = frozenset({
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "Cos", "DequantizeLinear", "Elu", "Erf",
    "Exp", "Gelu", "GlobalAveragePool", "GridSample", "GroupNormalization", "HardSigmoid", "HardSwish",
    "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Log", "LRN", "LogSoftmax", "LpNormalization",
    "Mish", "Reciprocal", "ReduceL2", "Selu", "Sigmoid", "Sin", "Softmax", "Softplus", "Softsign", "Sqrt",
    "Tanh",
})  # fmt: skip
LIKE_THE_FIRST = frozenset({
    "Abs", "Add", "Clip", "Concat", "DepthToSpace", "Div", "Expand", "Flatten", "Gather", "Gemm",
    "GlobalMaxPool", "Identity", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mul", "Neg", "PRelu", "Pad", "Pow",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Resize", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Sub", "Sum", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip


@dataclass(slots=True)
class _Node:
    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, list[Field]]


@dataclass(slots=True)
class _Facts:
    """Of all graphs of a file together: what names are declared as, whole constants, what makes a name, divisions."""

    kinds: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    constants: dict[str, list[set[int]]] = field(default_factory=lambda: defaultdict(list))
    makers: dict[str, list[_Node]] = field(default_factory=lambda: defaultdict(list))
    divisions: list[_Node] = field(default_factory=list)
    nested: bool = False


def check_divisions(data: bytes, name: str) -> None:
    """Raise ModelError where a division of whole numbers could stop the program, ValueError for a damaged file."""
    facts = _Facts()
    graphs = messages(list(wire_fields(memoryview(data))), 7)
    while graphs:
        inner = _read(list(wire_fields(graphs.pop())), facts)
        facts.nested |= bool(inner)
        graphs += inner
    for node in facts.divisions:
        # Graphs in graphs may call two things by one name.
        if facts.nested or not _is_safe(node, facts):
            raise ModelError(f"{name} divides whole numbers by others than constants: export it with static shapes")


def _is_safe(node: _Node, facts: _Facts) -> bool:
    if node.operator == "Mod" and 1 in numbers(node.attributes.get("fmod", []), 3):
        return True
    operands = [*node.inputs, *node.outputs] if node.operator == "Div" else []
    return any(_is_float(operand, facts) for operand in operands) or _divides_safely(node, facts)


def _read(graph: list[Field], facts: _Facts) -> list[memoryview]:
    """Put what a graph says into `facts`; the graphs within its operators are returned."""
    within: list[memoryview] = []
    for number in (11, 12, 13):  # inputs, outputs, what is known of other values
        for value in messages(graph, number):
            fields = list(wire_fields(value))
            kinds = [
                kind
                for described in messages(fields, 2)
                for tensor in messages(wire_fields(described), 1)
                for kind in numbers(wire_fields(tensor), 1)
            ]
            for title in texts(fields, 1):
                facts.kinds[title].update(kinds)
    for stored in messages(graph, 5):
        fields = list(wire_fields(stored))
        for title in texts(fields, 8):
            _store(title, fields, facts)
    for message in messages(graph, 1):
        fields = list(wire_fields(message))
        attributes = [list(wire_fields(attribute)) for attribute in messages(fields, 5)]
        named = {title: attribute for attribute in attributes for title in texts(attribute, 1)}
        node = _Node("".join(texts(fields, 4)[-1:]), texts(fields, 1), texts(fields, 2), named)
        within += [inner for attribute in attributes for n in (6, 11) for inner in messages(attribute, n)]
        for output in node.outputs:
            facts.makers[output].append(node)
            for stored in messages(named.get("value", []), 5) if node.operator == "Constant" else ():
                _store(output, list(wire_fields(stored)), facts)
        if node.operator in ("Div", "Mod"):
            facts.divisions.append(node)
    return within


def _store(title: str, tensor: list[Field], facts: _Facts) -> None:
    """A constant: its kind, and where it is one of whole numbers, which."""
    kinds = numbers(tensor, 2)
    facts.kinds[title].update(kinds)
    raw, listed = messages(tensor, 9), numbers(tensor, 5) + numbers(tensor, 7) + numbers(tensor, 11)
    if len(kinds) == 1 and kinds[0] in WHOLE and len(raw) <= 1:
        dtype = np.dtype(WHOLE[kinds[0]])
        if raw and len(raw[0]) % dtype.itemsize:
            raise ValueError("a constant is cut off")
        found = {int(value) for value in np.unique(np.frombuffer(raw[0], dtype))} if raw else set()
        facts.constants[title].append(found | set(listed))


def _is_float(operand: str, facts: _Facts) -> bool:
    """Whether a value is of floating point numbers for certain."""
    todo, seen = [operand], set[str]()
    while todo:
        title = todo.pop()
        if title in seen:
            continue
        seen.add(title)
        declared, makers = facts.kinds.get(title), facts.makers.get(title, [])
        if declared:
            if not declared <= FLOATS:
                return False
            continue
        if not makers:
            return False
        for node in makers:
            if node.operator == "Cast":
                if not FLOATS.issuperset(numbers(node.attributes.get("to", []), 3) or [0]):
                    return False
            elif node.operator in LIKE_THE_FIRST and node.inputs:
                todo.append(node.inputs[0])
            elif node.operator not in FLOAT_ONLY:
                return False
    return True


def _divides_safely(node: _Node, facts: _Facts) -> bool:
    """Whether the divisor is a constant, made in one place, without -1."""
    divisor = node.inputs[1] if len(node.inputs) == 2 else ""
    makers = [maker for maker in facts.makers.get(divisor, []) if maker.operator != "Constant"]
    known = facts.constants.get(divisor, [])
    return not makers and len(known) == 1 and -1 not in known[0]
