"""A pickled file as arrays and plain values, without ever running a pickle.

A pickle is a small program that may call anything it can name. DeepFaceLab writes its weights and options
that way, but of the instructions it needs only those that build dictionaries, lists, tuples, texts, numbers
and NumPy arrays. They are read here as data: Python's own `pickle` is not involved, the four names that
NumPy arrays are made of are recognised by their spelling, nothing is imported or called for the file, and
memory and time are bounded by its length. The instruction set is that of PEP 3154 (protocol 4, 2013).
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.errors import ModelError

Value = bool | int | float | str | None | list[Any] | tuple[Any, ...] | dict[Any, Any] | NDArray[Any]
"""What a file can give; NumPy scalars come as Python's numbers."""

MAX_STEPS = 40_000_000
"""Instructions in one file. A loss history of a million iterations takes under ten million."""


class _Refused(Exception):
    """Why the file cannot be read."""

    advice = "take the file from a backup, or save the model again"


class _Hostile(_Refused):
    """The file is whole, and wants to be run."""

    advice = "get the model from a source you trust"


class _Name(Enum):
    """What a file may name; inert here."""

    RECONSTRUCT = "_reconstruct"
    NDARRAY = "ndarray"
    DTYPE = "dtype"
    SCALAR = "scalar"


_NAMES = {("numpy", "ndarray"): _Name.NDARRAY, ("numpy", "dtype"): _Name.DTYPE} | {
    (module, name.value): name
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")  # the second since NumPy 2
    for name in (_Name.RECONSTRUCT, _Name.SCALAR)
}
_CODES = {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "f2": "e", "f4": "f", "f8": "d"} | {
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
}
"""The kinds of numbers an array may have, and how `struct` calls them."""


@dataclass(eq=False, slots=True)
class _Dtype:
    """A dtype on its way: the byte order comes in a second instruction."""

    code: str
    order: str = "="


@dataclass(eq=False, slots=True)
class _Array:
    """An array on its way: its content comes in a second instruction."""

    value: NDArray[Any] | None = None


class _Parts(tuple[Any, ...]):
    """A tuple with something in it that is no plain value: only good for building an array."""


_PLAIN = {bool, int, float, str, type(None), list, tuple, dict, np.ndarray}


def read_restricted_pickle(content: bytes, title: str) -> Value:
    """What `content` holds. Arrays are read-only views of it, in native byte order.

    Raises ModelError, in one line that starts with `title`, for anything that is not exactly one pickle
    (protocol 2 to 5) of plain values and numeric arrays.
    """
    try:
        return _Reader(content).read()
    except _Refused as why:
        raise ModelError(f"{title} {why}: {why.advice}") from why
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error, MemoryError) as why:
        raise ModelError(f"{title} is damaged: {_Refused.advice}") from why


class _Reader:
    """The stack, the marks and the memory of one file, and one method for each kind of instruction."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Value:
        content, known = self._content, self._instructions()
        if len(content) < 2 or content[0] != 0x80:
            raise _Refused("is no DeepFaceLab file")
        for _ in range(MAX_STEPS):
            if self._at >= len(content):
                raise _Refused("ends early: it is cut short")
            code = content[self._at]
            self._at += 1
            if code == 0x2E:  # the end
                return self._result()
            step = known.get(code)
            if step is None:
                raise _Refused(f"holds more than arrays and plain values (instruction 0x{code:02x})")
            step()
        raise _Refused(f"has more than {MAX_STEPS} instructions")

    def _result(self) -> Value:
        if self._at != len(self._content) or len(self._stack) != 1 or self._marks:
            raise _Refused("is damaged: something is left over at its end")
        result: Value = self._plain(self._stack)[0]
        return result

    def _instructions(self) -> dict[int, Callable[[], None]]:
        push = self._stack.append
        return {
            0x80: lambda: self._check_protocol(self._number(1)),
            0x95: lambda: self._ignore(self._number(8)),  # a frame: how far to read ahead
            0x28: lambda: self._marks.append(len(self._stack)),
            0x4E: lambda: push(None),
            0x88: lambda: push(True),
            0x89: lambda: push(False),
            0x4B: lambda: push(self._number(1)),
            0x4D: lambda: push(self._number(2)),
            0x4A: lambda: push(self._number(4, signed=True)),
            0x8A: lambda: push(self._long()),
            0x47: lambda: push(struct.unpack(">d", self._take(8))[0]),
            0x8C: lambda: push(self._text(1)),
            0x58: lambda: push(self._text(4)),
            0x8D: lambda: push(self._text(8)),
            0x43: lambda: push(self._take(self._number(1))),
            0x42: lambda: push(self._take(self._number(4))),
            0x8E: lambda: push(self._take(self._number(8))),
            0x5D: lambda: push([]),
            0x7D: lambda: push({}),
            0x29: lambda: push(()),
            0x85: lambda: push(self._tuple(self._pop(1))),
            0x86: lambda: push(self._tuple(self._pop(2))),
            0x87: lambda: push(self._tuple(self._pop(3))),
            0x74: lambda: push(self._tuple(self._pop_to_mark())),
            0x61: lambda: self._extend(self._pop(1)),
            0x65: lambda: self._extend(self._pop_to_mark()),
            0x73: lambda: self._set(self._pop(2)),
            0x75: lambda: self._set(self._pop_to_mark()),
            0x94: lambda: self._memo.__setitem__(len(self._memo), self._stack[-1]),
            0x71: lambda: self._memo.__setitem__(self._number(1), self._stack[-1]),
            0x72: lambda: self._memo.__setitem__(self._number(4), self._stack[-1]),
            0x68: lambda: push(self._remembered(self._number(1))),
            0x6A: lambda: push(self._remembered(self._number(4))),
            0x63: lambda: push(self._name(self._line(), self._line())),
            0x93: lambda: push(self._name(*self._pop(2))),
            0x52: lambda: push(self._make(*self._pop(2))),
            0x62: lambda: push(self._fill(*self._pop(2))),
        }

    # -- the bytes

    def _take(self, count: int) -> memoryview:
        taken = self._content[self._at : self._at + count]
        if len(taken) != count:
            raise _Refused("ends early: it is cut short")
        self._at += count
        return taken

    def _number(self, count: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(count), "little", signed=signed)

    def _long(self) -> int:
        count = self._number(1)
        if count > 8:
            raise _Refused("holds a whole number of more than 64 bits")
        return self._number(count, signed=True)

    def _text(self, count: int) -> str:
        return bytes(self._take(self._number(count))).decode()

    def _line(self) -> str:
        ahead = bytes(self._content[self._at : self._at + 200])
        length = ahead.index(b"\n")
        self._at += length + 1
        return ahead[:length].decode()

    def _check_protocol(self, version: int) -> None:
        if not 2 <= version <= 5:
            raise _Refused(f"is written in pickle protocol {version}; known are 2 to 5")

    def _ignore(self, _: int) -> None:
        pass

    # -- the stack

    def _pop(self, count: int) -> list[Any]:
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) - count < floor:
            raise _Refused("is damaged: it takes back what it never gave")
        popped = self._stack[-count:]
        del self._stack[-count:]
        return popped

    def _pop_to_mark(self) -> list[Any]:
        mark = self._marks.pop()
        popped = self._stack[mark:]
        del self._stack[mark:]
        return popped

    def _remembered(self, place: int) -> Any:
        value = self._memo[place]
        return value.value if type(value) is _Array and value.value is not None else value

    def _plain(self, values: list[Any]) -> list[Any]:
        if any(type(value) not in _PLAIN for value in values):
            raise _Refused("holds more than arrays and plain values")
        return values

    def _tuple(self, values: list[Any]) -> tuple[Any, ...]:
        return tuple(values) if all(type(value) in _PLAIN for value in values) else _Parts(values)

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise _Refused("is damaged: it appends to what is no list")
        target.extend(self._plain(values))

    def _set(self, values: list[Any]) -> None:
        target, keys = self._stack[-1], values[0::2]
        if type(target) is not dict or len(values) % 2 or any(type(key) not in (str, int) for key in keys):
            raise _Refused("is damaged: it has a dictionary that is none")
        target.update(zip(keys, self._plain(values[1::2]), strict=True))

    # -- arrays

    def _name(self, module: object, name: object) -> _Name:
        if type(module) is not str or type(name) is not str or (module, name) not in _NAMES:
            spelled = ascii(f"{module}.{name}"[:60]) if type(module) is type(name) is str else "something unnamed"
            raise _Hostile(f"asks to run {spelled}, which weights and options never do; nothing was run")
        known: _Name = _NAMES[module, name]
        return known

    def _make(self, name: object, given: object) -> _Dtype | _Array | bool | int | float:
        parts = given if isinstance(given, tuple) else ()
        match name, len(parts):
            case _Name.DTYPE, 3 if type(parts[0]) is str and parts[0] in _CODES:
                return _Dtype(parts[0])
            case _Name.RECONSTRUCT, 3 if parts[0] is _Name.NDARRAY:
                return _Array()
            case _Name.SCALAR, 2 if type(parts[0]) is _Dtype and type(parts[1]) is memoryview:
                order = parts[0].order.replace("|", "=")
                number: bool | int | float = struct.unpack(order + _CODES[parts[0].code], parts[1])[0]
                return number
        raise _Refused("is damaged: it has an array that is none")

    def _fill(self, target: object, state: object) -> _Dtype | NDArray[Any]:
        parts = state if isinstance(state, tuple) else ()
        if type(target) is _Dtype and len(parts) == 8 and type(parts[1]) is str and parts[1] in "<>=|":
            target.order = parts[1]
            return target
        if type(target) is not _Array or len(parts) != 5 or target.value is not None:
            raise _Refused("is damaged: it has an array that is none")
        _, shape, dtype, by_columns, raw = parts
        if type(shape) is not tuple or len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
            raise _Refused("is damaged: it has an array without a shape")
        flat = self._numbers(dtype, raw)
        if math.prod(shape) != flat.size:
            raise _Refused("is damaged: it has an array whose shape and content differ")
        target.value = flat.reshape(shape, order="F" if by_columns else "C")
        return target.value

    def _numbers(self, dtype: object, raw: object) -> NDArray[Any]:
        if type(dtype) is not _Dtype or type(raw) is not memoryview:
            raise _Refused("holds more than arrays of numbers")
        kind = np.dtype(dtype.code)
        if len(raw) % kind.itemsize:
            raise _Refused("is damaged: it has half a number")
        numbers = np.frombuffer(raw, np.dtype(dtype.order + dtype.code)) if len(raw) else np.zeros(0, kind)
        numbers = numbers.astype(kind, copy=False)
        numbers.flags.writeable = False
        return numbers
