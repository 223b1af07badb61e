"""TorchScript and safetensors files as a state dict: name -> tensor. Nothing in them is run.

A TorchScript file is a zip: `data.pkl` holds the modules with their tensors' shapes, `data/KEY` the numbers, `code/`
the program, which nobody needs to read the weights (`inference.file_kind` says which zip is one).
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from export.restricted_pickle import ScriptModule, read_script_pickle
from realtime.errors import ModelError
from realtime.inference.file_kind import AGAIN, ZIP_ERRORS, open_zip
from realtime.text import printable

STORAGES = MappingProxyType({
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
})  # fmt: skip
SAFETENSORS = MappingProxyType({
    "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
})  # fmt: skip
MAX_HEADER = 100_000_000
"""Of a safetensors file, as its own library has it."""
MAX_NAMES = 100_000
MAX_DEPTH = 64


def read_torch_script(file: Path) -> dict[str, Tensor]:
    """The parameters and buffers of all modules, named as in the network's state dict. Raises ModelError, one line."""
    name = printable(file.name, 80)
    try:
        with open_zip(file) as archive:
            if sum(e.file_size for e in archive.infolist() if not e.compress_type) > file.stat().st_size:
                raise ValueError("it claims to be larger than it is")
            found = _read_archive(archive, name)
    except (*ZIP_ERRORS, OSError) as error:
        raise ModelError(f"{name} is damaged or cut off ({printable(error, 80)}): {AGAIN}") from error
    if not found:
        raise ModelError(
            f"{name} is a TorchScript file without named weights (a frozen one?): get the plain checkpoint, or the "
            "script as it was before torch.jit.freeze"
        )
    return found


def _read_archive(archive: zipfile.ZipFile, name: str) -> dict[str, Tensor]:
    names = archive.namelist()
    roots = [entry.removesuffix("data.pkl") for entry in names if entry.endswith("data.pkl") and entry.count("/") <= 1]
    if not roots:
        raise ModelError(
            f"{name} is a TorchScript file of PyTorch 1.3 or older: save torch.jit.load(FILE).state_dict() with "
            "torch.save, and give that file"
        )
    root = roots[0]
    if f"{root}byteorder" in names and _stored(archive, f"{root}byteorder") != b"little":
        raise ModelError(f"{name} was written on a big-endian machine: save it again on another")
    storages: dict[str, tuple[str, Tensor]] = {}

    def rebuild(kind: str, key: str, offset: Any, shape: Any, stride: Any) -> Tensor:
        if key not in storages:
            numbers = bytearray(_stored(archive, f"{root}data/{key}"))
            whole = torch.frombuffer(numbers, dtype=STORAGES[kind]) if numbers else torch.empty(0, dtype=STORAGES[kind])
            storages[key] = (kind, whole)
        if storages[key][0] != kind:
            raise ValueError("a storage of two kinds")
        return storages[key][1].as_strided(shape, stride, offset)  # checks its bounds

    top = read_script_pickle(_stored(archive, f"{root}data.pkl"), name, rebuild)
    found: dict[str, Tensor] = {}
    left: list[tuple[str, Any]] = [("", top)]
    while left:
        prefix, module = left.pop()
        for attribute, value in module.items() if type(module) is ScriptModule else ():
            key = f"{prefix}{attribute}"
            if isinstance(value, Tensor):
                found[key] = value
            elif type(value) is ScriptModule:
                left.append((f"{key}.", value))
        if len(found) + len(left) > MAX_NAMES or prefix.count(".") > MAX_DEPTH:
            raise ModelError(f"{name} has modules in themselves, or more than {MAX_NAMES} weights: it is refused")
    return found


def _stored(archive: zipfile.ZipFile, entry: str) -> bytes:
    """An entry that is stored as it is: a compressed one could unpack to any size."""
    found = archive.getinfo(entry)
    if found.compress_type != zipfile.ZIP_STORED or found.file_size != found.compress_size:
        raise ValueError(f"{entry} is compressed, which PyTorch never does")
    return archive.read(found)


def read_safetensors(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file: 8 bytes of length, a JSON header, the numbers. Raises ModelError, one line."""
    name = printable(file.name, 80)
    try:
        whole = bytearray(file.read_bytes())
        start = 8 + int.from_bytes(whole[:8], "little")
        if start > min(len(whole), MAX_HEADER):
            raise ValueError("its header is longer than the file")
        header = json.loads(whole[8:start])
        return {key: _tensor(whole, start, entry) for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError, OSError) as error:
        raise ModelError(f"{name} is no whole safetensors file ({printable(error, 80)}): {AGAIN}") from error
    except MemoryError as error:
        raise ModelError(f"{name} does not fit into memory: close other programs") from error


def _tensor(whole: bytearray, start: int, entry: Any) -> Tensor:
    kind, (begin, end) = SAFETENSORS[entry["dtype"]], entry["data_offsets"]
    shape = entry["shape"]
    count = torch.Size(shape).numel()
    if not 0 <= begin <= end <= len(whole) - start or end - begin != count * kind.itemsize or min(shape, default=0) < 0:
        raise ValueError("a tensor lies outside of it")
    if not count:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(whole, dtype=kind, count=count, offset=start + begin).reshape(shape)
