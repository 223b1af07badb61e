"""Checks what an ONNX file contains, without loading it, so that a bad one is refused first.

A model file is data. Refused are: external data (weights fetched from other files), operators of unknown domains
(they need native libraries), compiled nodes (`EPContext` carries machine code), model-local functions (deep chains
of them crashed ONNX Runtime 1.26) and loops (a few bytes make one that never ends). The walk reads protobuf's wire
format (field numbers from `onnx.proto3`, IR version 8 and later) and copies no weights. Where protobuf's own readers
could understand something else than this one, the file is refused, or each way to understand it is checked.
What a file makes the runtime do is contained by `realtime.inference.trial`.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from realtime.errors import ModelError
from realtime.inference.file_kind import AGAIN, UNKNOWN, kind_of
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

Field = tuple[int, int | memoryview]
"""A field's number, and its value: a whole number, or the bytes of a text, a message or packed numbers."""


def check_onnx(data: bytes, name: str) -> str:
    """The precision that an ONNX file itself asks for: `int8`, `fp16` or `fp32`.

    fp16 where float16 weights are not just cast to float32. Raises ModelError for a damaged or refused file.
    """
    all_operators, half, cast = set[str](), set[str](), set[str]()
    saw_graph, nodes, left = False, 0, MAX_FIELDS
    todo: list[tuple[str, memoryview, int]] = [("model", memoryview(data), 0)]
    try:
        while todo:
            kind, message, depth = todo.pop()
            if depth > MAX_DEPTH:
                raise ModelError(f"{name} nests graphs more than {MAX_DEPTH} deep: it is refused")
            fields = list(islice(_fields(message), left + 1))
            saw_graph |= kind == "graph"
            left -= len(fields)
            nodes += kind == "node"
            if left < 0 or nodes > MAX_NODES:
                raise ModelError(f"{name} has more than {MAX_NODES} operators or {MAX_FIELDS} fields: it is refused")
            _check(kind, fields, name)
            if kind == "node":
                operators = _texts(fields, 4)
                all_operators.update(operators)
                if "Cast" in operators:
                    cast.update(_texts(fields, 1))
            if kind == "tensor" and (2, FLOAT16) in [(f, v) for f, v in fields if isinstance(v, int)]:
                half.add("".join(_texts(fields, 8)[-1:]))
            for number, value in fields:
                part = PARTS.get((kind, number))
                if part and isinstance(value, memoryview):
                    todo.append((part, value, depth + 1))
    except (ValueError, IndexError) as error:
        raise _no_onnx(data, name, f"a whole ONNX file ({printable(error, 80)})") from error
    if not saw_graph:
        raise _no_onnx(data, name, "an ONNX file (there is no graph in it)")
    if all_operators & INT8_OPS:
        return "int8"
    return "fp16" if half - cast else "fp32"


def _no_onnx(data: bytes, name: str, what: str) -> ModelError:
    kind = kind_of(data)
    if kind.reader == "onnx" or kind.title == UNKNOWN:
        return ModelError(f"{name} is not {what}: {AGAIN}")
    return ModelError(f"{name} is {kind.title}, not an ONNX network: {kind.do}")


def _check(kind: str, fields: list[Field], name: str) -> None:
    numbers = {f for f, _ in fields}
    if kind == "tensor" and (13 in numbers or any(f == 14 and v for f, v in fields)):
        raise ModelError(f"{name} keeps weights in other files (ONNX external data): export it as one file")
    if kind == "model" and 25 in numbers:
        raise ModelError(f"{name} defines functions of its own: export it with functions inlined")
    if kind == "node":
        # Of a field that is there twice, readers take the last, or the first: all must do.
        operators, domains = _texts(fields, 4), _texts(fields, 7)
        odd = [domain for domain in domains if domain not in KNOWN_DOMAINS]
        if odd:
            which = printable(".".join([odd[0], *operators[:1]]), 80)
            raise ModelError(f"{name} needs the operator {which}: only standard ones are run")
        if "EPContext" in operators:
            raise ModelError(f"{name} holds a compiled model (EPContext): use the ONNX it was made from")
        if LOOPS.intersection(operators):
            raise ModelError(f"{name} repeats a part of itself, perhaps without an end: export it without loops")


def _texts(fields: Iterable[Field], number: int) -> list[str]:
    """Every text of field `number`, in the file's order. Raises ValueError."""
    return [bytes(value).decode() for f, value in fields if f == number and isinstance(value, memoryview)]


def _fields(message: memoryview) -> Iterator[Field]:
    """The (field number, value) pairs of one protobuf message. Raises ValueError or IndexError."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        if key >> 32 or key < 8:  # C++ drops the bits above 32: it would see another field
            raise ValueError("a field has a number that none has")
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
        if at + length > end:
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
