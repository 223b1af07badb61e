"""Protobuf's wire format, read without a schema and without a copy: what an ONNX file is written in."""

from collections.abc import Iterable, Iterator

Field = tuple[int, int | memoryview]
"""A field's number, and its value: a whole number, or the bytes of a text, a message or packed numbers."""


def wire_fields(message: memoryview) -> Iterator[Field]:
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


def texts(fields: Iterable[Field], number: int) -> list[str]:
    """Every text of field `number`, in the file's order: readers take the last of several. Raises ValueError."""
    return [bytes(value).decode() for f, value in fields if f == number and isinstance(value, memoryview)]


def messages(fields: Iterable[Field], number: int) -> list[memoryview]:
    """Every message of field `number`."""
    return [value for f, value in fields if f == number and isinstance(value, memoryview)]


def numbers(fields: Iterable[Field], number: int) -> list[int]:
    """Every whole number of field `number`, packed or one by one, as signed 64 bits. Raises ValueError."""
    found: list[int] = []
    for f, value in fields:
        if f != number:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            found.append(one)
    return [(one & (1 << 64) - 1 ^ 1 << 63) - (1 << 63) for one in found]
