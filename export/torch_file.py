"""Checkpoints read without running anything that is in them, and put into networks.

PyTorch's restricted unpickler admits tensors and plain values only. Both forms of `torch.save` are read: the zip
archive of today and the pickle stream of before 1.6 (2020), with storages that were on a GPU; `export.torch_script`
reads TorchScript and safetensors. What comes out is checked key by key against the network that it shall fill.
"""

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export.torch_script import read_safetensors, read_torch_script
from realtime.errors import ModelError
from realtime.inference.file_kind import ZIP_ERRORS, kind_of, open_zip
from realtime.text import printable

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""The number types that weights may have; they become float32."""

MOST_PLACES = 1000
"""Dicts in a file that are looked into."""

UNUSED = "num_batches_tracked"
"""What training counts for BatchNorm; no network needs it, files have it or not."""


def read_torch_file(file: Path) -> Mapping[str, Any]:
    """The dict that a file holds, its tensors on the CPU. Raises ModelError with one line on why it is refused."""
    name = printable(file.name, 80)
    if not file.is_file() and not file.is_dir():  # a pipe or device could give data for ever
        raise ModelError(f"no checkpoint at {printable(file)}: give the path of a .pth or .pth.tar file")
    try:
        kind = kind_of(file)
    except OSError as error:
        raise ModelError(f"{name} cannot be read ({error.strerror}): check its permissions") from error
    if kind.reader == "torchscript":
        return read_torch_script(file)
    if kind.reader == "safetensors":
        return read_safetensors(file)
    if kind.reader == "onnx":
        raise ModelError(
            f"{name} is an ONNX network, which needs no export: give the PyTorch checkpoint it was made of"
        )
    if kind.reader == "pickle":
        raise ModelError(
            f"{name} is a pickle that torch.save did not write: --family deepfacelab for a file of its models"
        )
    if kind.reader != "torch":
        raise ModelError(f"{name} is {kind.title}, not a checkpoint: {kind.do}")
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


def state_dict(found: Mapping[str, Any], part: str, probe: str, file: Path, family: str) -> dict[str, Tensor]:
    """The state dict of the network `part`, without the `module.` that training on several GPUs leaves.

    It is looked for by the name of a weight that it has, `probe`: under `part`, under another key or at the top, whole
    or with a prefix. Raises ModelError where it is missing (the message guesses what the file is instead) or holds
    anything but named tensors, or where its tensors are larger together than the file: views that overlap can make a
    small file fill the memory.
    """
    name = printable(file.name, 80)
    state = _weights(found, part, probe)
    if state is None:
        guess, state = _guess(found, family), found.get(part)
        if guess or not isinstance(state, Mapping):
            only = printable(", ".join(sorted(key for key in found if isinstance(key, str))), 80) or "nothing"
            raise ModelError(f"{name} is not a {family} checkpoint: it has no {part!r}{guess or f', only {only}'}")
    clean: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise ModelError(f"{name}: {part} holds {printable(key, 80)}, which is not a plain named tensor")
        if not _is_plain(value):
            what = "quantised" if value.is_quantized else "sparse or without numbers"
            raise ModelError(f"{name}: {printable(key, 80)} is {what}: get the checkpoint with plain float weights")
        plain = key.removeprefix("module.")
        if plain in clean:
            raise ModelError(f"{name}: {part} holds {printable(plain, 80)} twice, with and without module.")
        clean[plain] = value
    views = {(v.untyped_storage().data_ptr(), v.storage_offset(), v.shape, v.stride()): v for v in clean.values()}
    if sum(value.numel() * value.element_size() for value in views.values()) > file.stat().st_size:
        raise ModelError(f"{name}: the tensors of {part} are larger than the file, which torch.save never writes")
    return clean


def _weights(found: Mapping[str, Any], part: str, probe: str) -> Mapping[Any, Any] | None:
    """The names and values among which `probe` is, the nearest to `part` where there are several."""
    places = [("", found)]
    for path, place in places:  # grows
        inner = [(f"{path}{key}.", value) for key, value in place.items() if isinstance(value, Mapping)]
        places += inner[: MOST_PLACES - len(places)]
    choices = []
    for path, place in places:
        for key in place:
            plain = key.removeprefix("module.") if isinstance(key, str) else ""
            if plain == probe or plain.endswith(f".{probe}"):
                prefix = plain.removesuffix(probe)
                where = f"{path}{prefix}".replace("module.", "")
                choices.append((where != f"{part}.", part not in where, len(where), prefix, place))
    if not choices:
        return None
    prefix, place = min(choices, key=lambda choice: choice[:3])[3:]
    if not prefix:
        return place
    plain_names = {key.removeprefix("module."): value for key, value in place.items() if isinstance(key, str)}
    return {key.removeprefix(prefix): value for key, value in plain_names.items() if key.startswith(prefix)}


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {key: tuple(value.shape) for key, value in state.items()}


def fill(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Put a checkpoint's weights in a network, strictly: every name, every shape, every number finite.

    `network` may be on the meta device (no memory spent before this check). `what` begins the message of the
    ModelError that says which weight is missing, too much, or wrong.
    """
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith(UNUSED)]
    extra = [key for key in state if key not in wanted and not key.endswith(UNUSED)]
    for how, odd in (("lacks", missing), ("has unknown", extra)):
        if odd:
            raise ModelError(f"{what} {how} {_some(odd)}: it is of another model or configuration, or cut off")
    ready: dict[str, Tensor] = {}
    for key, place in wanted.items():
        if key.endswith(UNUSED):
            ready[key] = torch.zeros(place.shape, dtype=place.dtype)
            continue
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
        with open_zip(file) as archive:
            entries = archive.infolist()
    except (*ZIP_ERRORS, OSError):
        return  # the older form, or damaged: the reader decides
    unpacked = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or unpacked > file.stat().st_size:
        raise ModelError(f"{name} is a compressed archive, which torch.save never writes: refused")


def _is_plain(value: Tensor) -> bool:
    """Numbers in memory on the CPU: not nested, sparse, quantized or without storage."""
    return (
        not value.is_nested and not value.is_quantized and value.layout is torch.strided and value.device.type == "cpu"
    )


def _guess(found: Mapping[str, Any], family: str) -> str:
    """What else a file is, by its keys and those one level deeper."""
    keys = {key for part in (found, *found.values()) if isinstance(part, Mapping) for key in part if type(key) is str}
    if any("face_encoder.0." in key for key in keys):
        return "; it looks like SyncNet, the judge that Wav2Lip is trained with (give wav2lip.pth or wav2lip_gan.pth)"
    if {"generator", "kp_detector"} <= keys and family == "Wav2Lip":
        return "; it looks like a First Order Motion Model (--family first-order-motion)"
    if {"state_dict", "global_step"} <= keys and family != "Wav2Lip":
        return "; it looks like a Wav2Lip checkpoint (--family wav2lip)"
    if {"inpainting_network", "kp_detector"} <= keys:
        return "; it looks like a Thin-Plate Spline Motion Model, which is not supported"
    return ""


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
