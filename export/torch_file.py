"""Files written by `torch.save`, read without running anything that is in them.

PyTorch's restricted unpickler admits tensors and plain values only. Both forms are read: the zip archive of
today and the pickle stream of before 1.6 (2020), with storages that were on a GPU. What comes out is checked
key by key against the network that it shall fill.
"""

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from realtime.errors import ModelError
from realtime.text import printable

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""The number types that weights may have; they become float32."""


def read_torch_file(file: Path) -> Mapping[str, Any]:
    """The dict that a file holds, its tensors on the CPU. Raises ModelError with one line on why it is refused."""
    name = printable(file.name, 80)
    if not file.is_file():
        raise ModelError(f"no checkpoint at {printable(file)}: give the path of a .pth or .pth.tar file")
    _refuse_packed(file, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats: nothing a user can do
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(_refusal(name, str(error))) from error
    if not isinstance(found, Mapping):
        raise ModelError(f"{name} holds a {type(found).__name__}, not the dict of a checkpoint")
    return found


def state_dict(found: Mapping[str, Any], part: str, file: Path, family: str) -> dict[str, Tensor]:
    """The state dict under the key `part`, without the `module.` that training on several GPUs leaves.

    Raises ModelError where it is missing (the message guesses what the file is instead) or holds anything
    but named tensors, or where its tensors are larger together than the file: views that overlap can make
    a small file fill the memory.
    """
    name = printable(file.name, 80)
    state = found.get(part)
    if not isinstance(state, Mapping):
        raise ModelError(f"{name} is not a {family} checkpoint: it has no {part!r}{_guess(found)}")
    clean: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor) or not _is_plain(value):
            raise ModelError(f"{name}: {part} holds {printable(key, 80)}, which is not a plain named tensor")
        plain = key.removeprefix("module.")
        if plain in clean:
            raise ModelError(f"{name}: {part} holds {printable(plain, 80)} twice, with and without module.")
        clean[plain] = value
    if sum(value.numel() * value.element_size() for value in clean.values()) > file.stat().st_size:
        raise ModelError(f"{name}: the tensors of {part} are larger than the file, which torch.save never writes")
    return clean


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {key: tuple(value.shape) for key, value in state.items()}


def fill(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Put a checkpoint's weights in a network, strictly: every name, every shape, every number finite.

    `network` may be on the meta device (no memory spent before this check). `what` begins the message of the
    ModelError that says which weight is missing, too much, or wrong.
    """
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    extra = [key for key in state if key not in wanted]
    for how, odd in (("lacks", missing), ("has unknown", extra)):
        if odd:
            raise ModelError(f"{what} {how} {_some(odd)}: it is of another model or configuration, or cut off")
    ready: dict[str, Tensor] = {}
    for key, place in wanted.items():
        value = state[key]
        if tuple(value.shape) != tuple(place.shape):
            raise ModelError(
                f"{what}: {key} is {_sides(value)}, wanted is {_sides(place)}: is it of another configuration?"
            )
        kinds = FLOATS if place.dtype.is_floating_point else (torch.int64,)
        if value.dtype not in kinds:
            raise ModelError(f"{what}: {key} is {value.dtype}, wanted is {place.dtype}")
        ready[key] = value.detach().to(place.dtype, copy=True).contiguous()
        if not bool(torch.isfinite(ready[key]).all()):
            raise ModelError(f"{what}: {key} has values that are not finite numbers")
    network.load_state_dict(ready, strict=True, assign=True)
    network.eval().requires_grad_(False)


def _refuse_packed(file: Path, name: str) -> None:
    """A zip checkpoint stores its entries as they are; a compressed one could unpack to any size."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # the older form, or damaged: the reader decides
    unpacked = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or unpacked > file.stat().st_size:
        raise ModelError(f"{name} is a compressed archive, which torch.save never writes: refused")


def _is_plain(value: Tensor) -> bool:
    """Numbers in memory on the CPU: not nested, sparse, quantized or without storage."""
    return (
        not value.is_nested and not value.is_quantized and value.layout is torch.strided and value.device.type == "cpu"
    )


def _guess(found: Mapping[str, Any]) -> str:
    keys = {key for key in found if isinstance(key, str)}
    if {"generator", "kp_detector"} <= keys:
        return "; it looks like a First Order Motion Model (--family first-order-motion)"
    if {"state_dict", "global_step"} <= keys:
        return "; it looks like a Wav2Lip checkpoint (--family wav2lip)"
    if {"inpainting_network", "kp_detector"} <= keys:
        return "; it looks like a Thin-Plate Spline Motion Model, which is not supported"
    return f", only {printable(', '.join(sorted(keys)), 80) or 'nothing'}"


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return f"{printable(keys[0], 100)}{more}"


def _sides(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "one number"


def _refusal(name: str, reason: str) -> str:
    """One line for a user, made of what PyTorch's reader says."""
    called = re.search(r"\bGLOBAL (\S+)", reason)
    if called:
        return f"{name} is refused: to read it would call {printable(called[1], 80)}, and weights need no code"
    line = reason.splitlines()[0] if reason else ""
    if not line or "weights only" in line.lower():  # PyTorch's advice on how to read it unsafely
        line = "it holds more than tensors and plain values"
    return f"{name} is no torch checkpoint, or it is damaged or cut off: {printable(line, 120)}"


def stem_of(file: Path) -> str:
    """A checkpoint's name without its endings: .pth.tar are two."""
    return file.name.removesuffix(".tar").removesuffix(".pth").removesuffix(".pt") or file.name
