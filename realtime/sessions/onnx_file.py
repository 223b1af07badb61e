"""What an ONNX file contains, read without loading it, so that a bad one is refused first.

A model file is data. Refused are: external data (weights fetched from other files), operators of unknown
domains (they need native libraries), compiled nodes (`EPContext` carries machine code) and model-local
functions (deep chains of them crashed ONNX Runtime 1.26). The walk reads protobuf's wire format directly
(field numbers from `onnx.proto3`, IR version 8 and later) and copies no weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from realtime.errors import ModelError

KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
INT8_OPS = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger"})
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
    saw_graph = False
    todo: list[tuple[str, memoryview, int]] = [("model", memoryview(data), 0)]
    try:
        while todo:
            kind, message, depth = todo.pop()
            if depth > MAX_DEPTH:
                raise ModelError(f"{name} nests graphs more than {MAX_DEPTH} deep: it is refused")
            fields = list(_fields(message))
            saw_graph |= kind == "graph"
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
    except (ValueError, IndexError) as error:
        raise ModelError(f"{name} is not a whole ONNX file ({error}): get it again") from error
    if not saw_graph:
        raise ModelError(f"{name} is not an ONNX file (there is no graph in it): get it again")
    found.half_tensors -= cast
    return found


def _check(kind: str, fields: list[tuple[int, int | memoryview]], name: str) -> None:
    numbers = {f for f, _ in fields}
    if kind == "tensor" and (13 in numbers or (14, 1) in fields):
        raise ModelError(f"{name} keeps weights in other files (ONNX external data): export it as one file")
    if kind == "model" and 25 in numbers:
        raise ModelError(f"{name} defines functions of its own: export it with functions inlined")
    if kind == "node":
        domain, operator = _text(fields, 7), _text(fields, 4)
        if domain not in KNOWN_DOMAINS:
            raise ModelError(f"{name} needs the operator {domain}.{operator}: only standard ones are run")
        if operator == "EPContext":
            raise ModelError(f"{name} holds a compiled model (EPContext): use the ONNX it was made from")


def _text(fields: list[tuple[int, int | memoryview]], number: int) -> str:
    for f, value in fields:
        if f == number and isinstance(value, memoryview):
            return bytes(value).decode()
    return ""


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The (field number, value) pairs of one protobuf message. Raises ValueError or IndexError."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if key >> 3 == 0 or at + length > end:
            raise ValueError("it is cut off or damaged")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
