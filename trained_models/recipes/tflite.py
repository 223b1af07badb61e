"""Reads a TensorFlow Lite network: its tensors, weights and operators, without TensorFlow.

A small reader of the flatbuffer layout (`schema.fbs` of TensorFlow Lite, schema version 3) that knows the
fields the face networks use. Everything is little-endian; a table starts with the distance back to its
vtable, which lists where each field lies (0: the field has its default).
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

OP_NAMES = {
    0: "ADD",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    22: "RESHAPE",
    34: "PAD",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    45: "STRIDED_SLICE",
    54: "PRELU",
    59: "NEG",
    74: "SUM",
    75: "SQRT",
    76: "RSQRT",
    99: "SQUARED_DIFFERENCE",
}
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}


@dataclass(frozen=True)
class Tensor:
    """One value of the graph: `constant` holds the weights, None where it is computed."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    constant: Array | None


@dataclass(frozen=True)
class Table:
    """A flatbuffer table inside `data`, starting at byte `at`."""

    data: bytes
    at: int

    def where(self, field: int) -> int | None:
        """The byte at which a field's value lies, None where it has its default."""
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size: int = struct.unpack_from("<H", self.data, vtable)[0]
        if 4 + 2 * field >= size:
            return None
        offset: int = struct.unpack_from("<H", self.data, vtable + 4 + 2 * field)[0]
        return self.at + offset if offset else None

    def number(self, field: int, kind: str = "i", default: int = 0) -> int:
        """A scalar; `kind` is its `struct` letter."""
        at = self.where(field)
        return default if at is None else int(struct.unpack_from("<" + kind, self.data, at)[0])

    def table(self, field: int) -> "Table | None":
        """A table within this one."""
        at = self.where(field)
        return None if at is None else Table(self.data, at + struct.unpack_from("<I", self.data, at)[0])

    def span(self, field: int) -> tuple[int, int]:
        """(first byte, number of elements) of a vector or string; (0, 0) where there is none."""
        at = self.where(field)
        if at is None:
            return 0, 0
        at += struct.unpack_from("<I", self.data, at)[0]
        return at + 4, struct.unpack_from("<I", self.data, at)[0]

    def numbers(self, field: int) -> list[int]:
        """A vector of int32."""
        at, count = self.span(field)
        return list(struct.unpack_from(f"<{count}i", self.data, at))

    def tables(self, field: int) -> list["Table"]:
        """A vector of tables."""
        at, count = self.span(field)
        starts = (at + 4 * i for i in range(count))
        return [Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in starts]

    def raw(self, field: int) -> bytes:
        """A vector of bytes, or a string's bytes."""
        at, count = self.span(field)
        return self.data[at : at + count]


@dataclass(frozen=True)
class Operator:
    """One step: tensors by number (-1: an optional input left out), and its options table."""

    name: str
    inputs: list[int]
    outputs: list[int]
    options: Table | None

    def option(self, field: int, kind: str = "i", default: int = 0) -> int:
        """A scalar option."""
        return default if self.options is None else self.options.number(field, kind, default)


@dataclass(frozen=True)
class Network:
    """The first subgraph of a tflite file, operators in the order they run."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


def read_tflite(data: bytes) -> Network:
    """The network in a tflite file. Raises ValueError where it is none or uses what is not known here."""
    if data[4:8] != b"TFL3":
        raise ValueError("not a TensorFlow Lite file (no TFL3 mark)")
    model = Table(data, struct.unpack_from("<I", data, 0)[0])
    codes = [max(code.number(0, "b"), code.number(3)) for code in model.tables(1)]
    graph = model.tables(2)[0]
    buffers = model.tables(4)
    tensors = [_tensor(t, buffers) for t in graph.tables(0)]
    operators = []
    for op in graph.tables(3):
        code = codes[op.number(0, "I")]
        if code not in OP_NAMES:
            raise ValueError(f"operator {code} is not known to this reader")
        operators.append(Operator(OP_NAMES[code], op.numbers(1), op.numbers(2), op.table(4)))
    return Network(tensors, operators, graph.numbers(1), graph.numbers(2))


def _tensor(table: Table, buffers: list[Table]) -> Tensor:
    shape = tuple(table.numbers(0))
    dtype: np.dtype[np.generic] = np.dtype(DTYPES[table.number(1, "b")])
    stored = buffers[table.number(2, "I")].raw(0)
    constant = np.frombuffer(stored, dtype).reshape(shape) if stored else None
    return Tensor(table.raw(3).decode(), shape, dtype, constant)
