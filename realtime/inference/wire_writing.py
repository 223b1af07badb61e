"""Protobuf written, and its parts passed on as they are: enough to change a few nodes of an ONNX file.

The counterpart of `realtime.inference.wire`. Field numbers are `onnx.proto3`'s.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from realtime.inference.session import Array

BYTES = 2  # protobuf's wire type of everything that has a length
DATA_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
INT, STRING, INTS = 2, 3, 7  # AttributeProto.AttributeType

Attribute = int | str | list[int]


def varint(value: int) -> bytes:
    """A number of up to 64 bits; negative ones as ONNX has them, in two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_field(number: int, value: int) -> bytes:
    """A field that holds a number."""
    return varint(number << 3) + varint(value)


def bytes_field(number: int, content: bytes | str) -> bytes:
    """A field that holds bytes, a text or a message."""
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def node_bytes(
    operator: str, inputs: Iterable[str], outputs: Iterable[str], attributes: Mapping[str, Attribute] | None = None
) -> bytes:
    """A NodeProto, named after its first output."""
    outputs = list(outputs)
    return b"".join(
        (
            *(bytes_field(1, name) for name in inputs),
            *(bytes_field(2, name) for name in outputs),
            bytes_field(3, outputs[0]),
            bytes_field(4, operator),
            *(bytes_field(5, _attribute(name, value)) for name, value in (attributes or {}).items()),
        )
    )


def tensor_bytes(name: str, value: Array) -> bytes:
    """A TensorProto of float32 or int64 numbers."""
    return b"".join(
        (
            *(number_field(1, side) for side in value.shape),
            number_field(2, DATA_TYPES[value.dtype]),
            bytes_field(8, name),
            bytes_field(9, value.astype(value.dtype.newbyteorder("<")).tobytes()),
        )
    )


def spans(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """(field number, the whole field as it is written, its content) of each field of a message that was read before.

    The content is empty for what has no length.
    """
    at, end = 0, len(message)
    while at < end:
        start = at
        key, at = _read_varint(message, at)
        content = message[at:at]
        if key & 7 == 0:
            _, at = _read_varint(message, at)
        elif key & 7 == BYTES:
            length, at = _read_varint(message, at)
            content = message[at : at + length]
            at += length
        else:
            at += 8 if key & 7 == 1 else 4
        if at > end:
            raise ValueError("it is cut off")
        yield key >> 3, message[start:at], content


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return bytes_field(1, name) + number_field(3, value) + number_field(20, INT)
    if isinstance(value, str):
        return bytes_field(1, name) + bytes_field(4, value) + number_field(20, STRING)
    return bytes_field(1, name) + b"".join(number_field(8, n) for n in value) + number_field(20, INTS)


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
