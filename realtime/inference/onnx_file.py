"""What an ONNX file contains, read without loading it, so that a bad one is refused first.

A model file is data. Refused are: external data (weights fetched from other files), operators of unknown
domains (they need native libraries), compiled nodes (`EPContext` carries machine code), model-local functions
(deep chains of them crashed ONNX Runtime 1.26), loops (a few bytes make one that never ends) and divisions that
can stop the whole program (`realtime.inference.divisions`). The walk reads protobuf's wire format directly
(field numbers from `onnx.proto3`, IR version 8 and later) and copies no weights. Where protobuf's own readers
could understand something else than this one, the file is refused, or each way to understand it is checked.
"""

from dataclasses import dataclass, field
from itertools import islice

from realtime.errors import ModelError
from realtime.inference.divisions import check_divisions
from realtime.inference.wire import Field, texts, wire_fields
from realtime.text import printable

KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
INT8_OPS = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger"})
LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
FLOAT16 = 10

# Where graphs, nodes, attributes and tensors lie in each other: (kind, field) -> kind of the part.
PARTS = {
    ("model", 7): "graph",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
}
MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_FIELDS = 2_000_000
"""Far above any network of a face; what a file is made of takes more memory here than in the file."""


@dataclass(slots=True)
class Contents:
    """What a walk found: operator names, and tensors that are float16 and not just cast to float32."""

    operators: set[str] = field(default_factory=set)
    half_tensors: set[str] = field(default_factory=set)

    @property
    def precision(self) -> str:
        """The precision that the file itself asks for: `int8`, `fp16` or `fp32`."""
        if self.operators & INT8_OPS:
            return "int8"
        return "fp16" if self.half_tensors else "fp32"


def read_contents(data: bytes, name: str) -> Contents:
    """The contents of an ONNX file. Raises ModelError on a damaged file or one that is refused."""
    found = Contents()
    cast: set[str] = set()
    saw_graph, nodes, left = False, 0, MAX_FIELDS
    todo: list[tuple[str, memoryview, int]] = [("model", memoryview(data), 0)]
    try:
        while todo:
            kind, message, depth = todo.pop()
            if depth > MAX_DEPTH:
                raise ModelError(f"{name} nests graphs more than {MAX_DEPTH} deep: it is refused")
            fields = list(islice(wire_fields(message), left + 1))
            saw_graph |= kind == "graph"
            left -= len(fields)
            nodes += kind == "node"
            if left < 0 or nodes > MAX_NODES:
                raise ModelError(f"{name} has more than {MAX_NODES} operators or {MAX_FIELDS} fields: it is refused")
            _check(kind, fields, name)
            if kind == "node":
                operator = _text(fields, 4)
                found.operators.add(operator)
                if operator == "Cast":
                    cast.update(bytes(v).decode() for f, v in fields if f == 1 and isinstance(v, memoryview))
            if kind == "tensor" and (2, FLOAT16) in [(f, v) for f, v in fields if isinstance(v, int)]:
                found.half_tensors.add(_text(fields, 8))
            for number, value in fields:
                part = PARTS.get((kind, number))
                if part and isinstance(value, memoryview):
                    todo.append((part, value, depth + 1))
        if found.operators & {"Div", "Mod"}:
            check_divisions(data, name)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{name} is not a whole ONNX file ({printable(error, 80)}): get it again") from error
    if not saw_graph:
        raise ModelError(f"{name} is not an ONNX file (there is no graph in it): get it again")
    found.half_tensors -= cast
    return found


def _check(kind: str, fields: list[Field], name: str) -> None:
    numbers = {f for f, _ in fields}
    if kind == "tensor" and (13 in numbers or any(f == 14 and v for f, v in fields)):
        raise ModelError(f"{name} keeps weights in other files (ONNX external data): export it as one file")
    if kind == "model" and 25 in numbers:
        raise ModelError(f"{name} defines functions of its own: export it with functions inlined")
    if kind == "node":
        # Of a field that is there twice, readers take the last, or the first: all must do.
        operators, domains = texts(fields, 4), texts(fields, 7)
        odd = [domain for domain in domains if domain not in KNOWN_DOMAINS]
        if odd:
            which = printable(".".join([odd[0], *operators[:1]]), 80)
            raise ModelError(f"{name} needs the operator {which}: only standard ones are run")
        if "EPContext" in operators:
            raise ModelError(f"{name} holds a compiled model (EPContext): use the ONNX it was made from")
        if LOOPS.intersection(operators):
            raise ModelError(f"{name} repeats a part of itself, perhaps without an end: export it without loops")


def _text(fields: list[Field], number: int) -> str:
    return next(reversed(texts(fields, number)), "")
