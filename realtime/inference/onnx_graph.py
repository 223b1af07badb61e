"""The graph in an ONNX file as plain Python values and numpy arrays, without the `onnx` package.

Only for files that `read_contents` let through: it is called first here. Field numbers are `onnx.proto3`'s
(IR version 8 and later). Arrays are views of the file's bytes where their layout allows it.
"""

import struct
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from realtime.errors import ModelError
from realtime.inference.onnx_file import FLOAT16, read_contents
from realtime.inference.session import Array, TensorSpec
from realtime.inference.wire import wire_fields

Attribute = float | int | str | Array | list[float] | list[int] | list[str]
Fields = dict[int, list[int | memoryview]]

DTYPES = {  # TensorProto.DataType
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    FLOAT16: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
}
FLOAT, INT, STRING, TENSOR, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 6, 7, 8  # AttributeProto.AttributeType


@dataclass(frozen=True, slots=True)
class Node:
    """One operator: what it is, what it takes and gives by name (empty names are left out inputs)."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole network. `nodes` are in the order they can be run in, as ONNX demands it of a file.

    `constants` are in the file's order. `stated` is what the file itself says of its
    values, inputs and outputs included, where shapes are static.
    """

    opset: int
    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    inputs: dict[str, TensorSpec]
    outputs: tuple[str, ...]
    stated: dict[str, TensorSpec]

    @property
    def cast_constants(self) -> dict[str, str]:
        """What is only a constant cast to another type: its name to the constant's."""
        return {
            node.outputs[0]: node.inputs[0]
            for node in self.nodes
            if node.operator == "Cast" and node.outputs and node.inputs and node.inputs[0] in self.constants
        }


def read_graph(data: bytes, name: str) -> Graph:
    """The graph of an ONNX file. Raises ModelError where it is damaged, refused or beyond what is read here."""
    read_contents(data, name)
    try:
        model = _fields(memoryview(data))
        if len(model[7]) != 1:
            raise ValueError(f"it has {len(model[7])} graphs")
        graph = _fields(_message(model[7][0]))
        stored = [_tensor(_message(t)) for t in graph[5]]
        constants = dict(stored)
        if len(constants) != len(stored):
            raise ValueError("two weights have one name")
        ports = [_value(_message(v)) for v in graph[11]]
        return Graph(
            _opset(model),
            tuple(_node(_message(n)) for n in graph[1]),
            constants,
            {title: port for title, port in ports if title not in constants},
            tuple(_text(_fields(_message(v)), 1) for v in graph[12]),
            _stated([*graph[11], *graph[12], *graph[13]]),
        )
    except (ValueError, IndexError, KeyError, struct.error, OverflowError) as error:
        raise ModelError(f"{name} holds a graph that is damaged or beyond what PyTorch runs here ({error})") from error


def _opset(model: Fields) -> int:
    for entry in model[8]:
        part = _fields(_message(entry))
        if _text(part, 1) in ("", "ai.onnx"):
            return _whole(part, 2)
    raise ValueError("it names no operator set")


def _node(message: memoryview) -> Node:
    part = _fields(message)
    return Node(
        operator=_text(part, 4),
        name=_text(part, 3),
        inputs=_texts(part, 1),
        outputs=_texts(part, 2),
        attributes=dict(_attribute(_message(a)) for a in part[5]),
    )


def _attribute(message: memoryview) -> tuple[str, Attribute]:
    part = _fields(message)
    name, kind = _text(part, 1), _whole(part, 20)
    if kind == FLOAT:
        return name, _floats(part, 2)[0] if part[2] else 0.0
    if kind == INT:
        return name, _whole(part, 3)
    if kind == STRING:
        return name, _text(part, 4)
    if kind == TENSOR:
        return name, _tensor(_message(part[5][0]))[1]
    if kind == FLOATS:
        return name, _floats(part, 7)
    if kind == INTS:
        return name, _wholes(part, 8)
    if kind == STRINGS:
        return name, list(_texts(part, 9))
    raise ValueError(f"the attribute {name[:40]!r} is of kind {kind}")


def _tensor(message: memoryview) -> tuple[str, Array]:
    part = _fields(message)
    shape, kind = _wholes(part, 1), _whole(part, 2)
    if kind not in DTYPES or any(side < 0 for side in shape):
        raise ValueError(f"a tensor of kind {kind} and shape {shape[:8]}")
    dtype = np.dtype(DTYPES[kind])
    if part[9]:
        flat: Array = np.frombuffer(_message(part[9][-1]), dtype.newbyteorder("<")).astype(dtype, copy=False)
    elif part[4]:
        flat = np.array(_floats(part, 4), dtype)
    elif part[10]:
        flat = np.concatenate([np.frombuffer(_message(v), "<f8") for v in part[10]]).astype(dtype)
    elif kind == FLOAT16:  # kept as its bits
        flat = np.array(_wholes(part, 5), np.uint16).view(np.float16)
    else:
        whole = _wholes(part, 7) or _wholes(part, 5) or [n % (1 << 64) for n in _wholes(part, 11)]
        flat = np.array(whole, dtype)
    return _text(part, 8), flat.reshape(shape)


def _value(message: memoryview) -> tuple[str, TensorSpec]:
    part = _fields(message)
    kind = _fields(_message(_fields(_message(part[2][0]))[1][0]))
    shape = _fields(_message(kind[2][0]))[1] if kind[2] else []
    sides = [_whole(_fields(_message(side)), 1) for side in shape]
    return _text(part, 1), TensorSpec(
        tuple(side if side > 0 else None for side in sides), np.dtype(DTYPES[_whole(kind, 1)])
    )


def _stated(values: list[int | memoryview]) -> dict[str, TensorSpec]:
    """What is said of values whose shapes are static; what describes no array of a known kind is left out."""
    found = {}
    for value in values:
        try:
            name, port = _value(_message(value))
        except (ValueError, IndexError, KeyError):
            continue
        if port.shape and all(side is not None for side in port.shape):
            found[name] = port
    return found


def _fields(message: memoryview) -> Fields:
    found: Fields = defaultdict(list)
    for number, value in wire_fields(message):
        found[number].append(value)
    return found


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a message belongs")
    return value


def _text(part: Fields, number: int) -> str:
    return bytes(_message(part[number][-1])).decode() if part[number] else ""


def _texts(part: Fields, number: int) -> tuple[str, ...]:
    return tuple(bytes(_message(value)).decode() for value in part[number])


def _whole(part: Fields, number: int) -> int:
    value = part[number][-1] if part[number] else 0
    if not isinstance(value, int):
        raise ValueError("bytes stand where a number belongs")
    return _signed(value)


def _wholes(part: Fields, number: int) -> list[int]:
    """Whole numbers, one a field or many packed into one."""
    found: list[int] = []
    for value in part[number]:
        if isinstance(value, int):
            found.append(_signed(value))
            continue
        found += _unpacked(value)
    return found


def _unpacked(packed: memoryview) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(_signed(value))
            value = shift = 0
        elif shift > 63:
            raise ValueError("a number is too long")
    if shift:
        raise ValueError("a number is cut off")
    return found


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _floats(part: Fields, number: int) -> list[float]:
    """Floats, one a field or many packed into one."""
    return [x for value in part[number] for (x,) in struct.iter_unpack("<f", _message(value))]
