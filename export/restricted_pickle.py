"""Reads pickled files as arrays, tensors and plain values, without calling anything that a file names.

A pickle is a small program that may call whatever it can name. DeepFaceLab writes its weights and options that way, but
needs only dictionaries, lists, tuples, texts, numbers and NumPy arrays; TorchScript needs modules and tensors too. Here
the standard library's unpickler knows the instructions for these alone, and the names that arrays and tensors are made
of stand for functions of this file: nothing is imported for a pickle. It is the unpickler written in Python: the one in
C hashes any key (a nest of tuples takes it for ever) and makes room for as many remembered values as a file says (four
bytes ask for 16 GiB).
"""

import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from realtime.errors import ModelError

MAX_READS = 100_000_000
"""Pieces of one file: about two an instruction. A loss history of a million iterations takes under 20 million."""
SCALARS = {bool, int, float, str, type(None)}
CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
"""The kinds of numbers an array may have."""
AGAIN = "take the file from a backup, or save the model again"


class _Refused(Exception):
    """Why the file cannot be read, and what to do."""

    def __init__(self, why: str, advice: str = AGAIN) -> None:
        super().__init__(f"{why}: {advice}")


NO_ARRAY = "is damaged: it has an array that is none"


class _Dtype:
    """What `numpy.dtype` stands for. The byte order comes with BUILD."""

    def __init__(self, code: Any, align: Any, copy: Any) -> None:
        if type(code) is not str or code not in CODES:
            raise _Refused(NO_ARRAY)
        self.code, self.order = code, "="

    def build(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 8 or state[1] not in ("<", ">", "=", "|"):
            raise _Refused(NO_ARRAY)
        self.order = state[1]

    def of(self, raw: Any) -> np.dtype[Any]:
        """The dtype, of which `raw` must hold whole numbers."""
        found: np.dtype[Any] = np.dtype(self.order + self.code)
        if type(raw) is not bytes or len(raw) % found.itemsize:
            raise _Refused(NO_ARRAY)
        return found


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """An array; writeable until its content comes with BUILD."""

    def build(self, state: Any) -> None:
        if not self.flags.writeable or type(state) is not tuple or len(state) != 5 or type(state[2]) is not _Dtype:
            raise _Refused(NO_ARRAY)
        _, shape, dtype, by_columns, raw = state
        kind = dtype.of(raw)
        if type(shape) is not tuple or len(shape) > 8 or any(type(side) is not int or side < 0 for side in shape):
            raise _Refused("is damaged: it has an array without a shape")
        if math.prod(shape) * kind.itemsize != len(raw):
            raise _Refused("is damaged: it has an array whose shape and content differ")
        np.ndarray.__setstate__(self, (1, shape, kind, bool(by_columns), raw))  # type: ignore[arg-type]
        self.flags.writeable = False


_NDARRAY = object()


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise _Refused(NO_ARRAY)
    return _Array(0, np.uint8)


def _scalar(dtype: Any, raw: Any) -> Any:
    if type(dtype) is not _Dtype:
        raise _Refused(NO_ARRAY)
    (number,) = np.frombuffer(raw, dtype.of(raw))
    return number.item()


NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # since NumPy 2
    ("numpy._core.multiarray", "scalar"): _scalar,
}


class _Pieces(io.BytesIO):
    """The file's bytes, handed out so many times only: instructions make up to a hundred times their size."""

    left = MAX_READS

    def read(self, size: int | None = -1) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise _Refused(f"has more than {MAX_READS} pieces")
        return super().read(size)


class _Reader(pickle._Unpickler):
    """The standard library's unpickler with the instructions of `dispatch` and the names of `NAMES` alone."""

    built: tuple[type, ...] = (_Dtype, _Array)
    """What may be given a state."""
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]
    stack: list[Any]
    metastack: list[list[Any]]

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in NAMES:
            spelled = ascii(f"{module}.{name}"[:60])
            raise _Refused(
                f"asks to run {spelled}, which weights and options never do; nothing was run",
                "get the model from a source you trust",
            )
        return NAMES[module, name]

    def _ignore_frame(self) -> None:  # it says how far to read ahead
        self.read(8)

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _set_items(self) -> None:
        self._set(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        target, keys = self.stack[-1], items[0::2]
        if type(target) is not dict or any(type(key) not in (str, int) for key in keys):
            raise _Refused("is damaged: it has a dictionary that is none")
        target.update(zip(keys, items[1::2], strict=True))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) not in self.built:
            raise _Refused("holds more than arrays and plain values")
        target.build(state)

    def _stop(self) -> None:
        if self.metastack or len(self.stack) != 1:
            raise _Refused("is damaged: something is left over at its end")
        pickle._Unpickler.dispatch[pickle.STOP[0]](self)  # type: ignore[arg-type]

    dispatch = {  # type: ignore[assignment]
        code: pickle._Unpickler.dispatch[code]
        for code in b"".join(
            (
                *(pickle.PROTO, pickle.MARK, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
                *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT),
                *(pickle.SHORT_BINUNICODE, pickle.BINUNICODE, pickle.BINUNICODE8),
                *(pickle.SHORT_BINBYTES, pickle.BINBYTES, pickle.BINBYTES8),
                *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.EMPTY_TUPLE),
                *(pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
                *(pickle.MEMOIZE, pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET),
                *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE),
            )
        )
    } | {
        pickle.FRAME[0]: _ignore_frame,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.BUILD[0]: _build,
        pickle.STOP[0]: _stop,
    }


class ScriptModule(dict[str, Any]):
    """A module of a TorchScript file: attribute -> value, nothing else of it."""

    def build(self, state: Any) -> None:
        if type(state) is not dict:
            raise _Refused(*QUANTISED)  # a packed object of a quantised network
        self.update(state)


QUANTISED = ("is a quantised network", "get the checkpoint with float weights")
Rebuild = Callable[[str, str, int, Any, Any], Any]
"""A tensor from its storage's kind (`FloatStorage`) and key, its offset, shape and strides."""


class _ScriptReader(_Reader):
    """Also knows modules and tensors, which `rebuild` makes."""

    built = (ScriptModule,)

    def __init__(self, file: io.BytesIO, rebuild: Rebuild) -> None:
        super().__init__(file)
        self.rebuild = rebuild

    def find_class(self, module: str, name: str, /) -> Any:
        if module.partition(".")[0] == "__torch__":
            return ScriptModule
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: self.rebuild(
                storage[1], storage[2], offset, shape, stride
            )
        if (module, name) == ("torch._utils", "_rebuild_qtensor"):
            raise _Refused(*QUANTISED)
        if module == "torch" and (name.endswith("Storage") or name == "device"):
            return name if name != "device" else str
        if module == "torch.jit._pickle":  # a list or a dict with its type
            return lambda value, *_: value
        return dict if (module, name) == ("collections", "OrderedDict") else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        if type(pid) is not tuple or list(map(type, pid)) != [str, str, str, str, int]:
            raise _Refused("is damaged: it has a tensor without numbers")
        return pid

    def _new(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if kind is not ScriptModule or arguments != ():
            raise _Refused("holds more than modules and plain values")
        self.stack.append(ScriptModule())

    dispatch = _Reader.dispatch | {  # type: ignore[assignment]
        pickle.NEWOBJ[0]: _new,
        pickle.BINPERSID[0]: pickle._Unpickler.dispatch[pickle.BINPERSID[0]],
    }


def read_script_pickle(content: bytes, title: str, rebuild: Rebuild) -> Any:
    """What the `data.pkl` of a TorchScript file holds: `ScriptModule`s, tensors and plain values, no code run.

    Raises ModelError as `read_restricted_pickle`, and what `rebuild` raises as one.
    """
    return _read(lambda pieces: _ScriptReader(pieces, rebuild), content, title)


def read_restricted_pickle(content: bytes, title: str) -> Any:
    """What `content` holds: plain values, and read-only arrays in native byte order.

    Raises ModelError, in one line that starts with `title`, for anything that is not exactly one pickle
    (protocol 2 to 5) of plain values and numeric arrays.
    """
    return _read(_Reader, content, title, _check_plain)


def _read(
    reader: Callable[[_Pieces], _Reader],
    content: bytes,
    title: str,
    check: Callable[[Any], None] = lambda value: None,
) -> Any:
    pieces = _Pieces(content)
    try:
        if content[:1] != pickle.PROTO or not 2 <= content[1] <= 5:
            raise _Refused("is no pickle")
        value = reader(pieces).load()
        if pieces.tell() != len(content):
            raise _Refused("is damaged: something is left over at its end")
        check(value)
    except _Refused as why:
        raise ModelError(f"{title} {why}") from why
    except EOFError as why:
        raise ModelError(f"{title} ends early, it is cut short: {AGAIN}") from why
    except Exception as why:  # whatever instructions without sense may raise
        raise ModelError(f"{title} is damaged or holds more than arrays and plain values: {AGAIN}") from why
    return value


def _check_plain(value: Any) -> None:
    """Refuses whatever stands for a name of the file, or is not built to its end, anywhere in `value`."""
    seen: set[int] = set()  # lists may hold themselves, or the same list many times
    left = [value]
    while left:
        one = left.pop()
        if type(one) in SCALARS or id(one) in seen or (type(one) is _Array and not one.flags.writeable):
            continue
        if type(one) not in (list, tuple, dict):
            raise _Refused("holds more than arrays and plain values")
        seen.add(id(one))
        items = one.values() if type(one) is dict else one
        if not set(map(type, items)) <= SCALARS:
            left += items
