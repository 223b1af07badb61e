"""Writes weights, cards and arrays of the recipes; files appear whole or not at all."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from torch import nn

CARD = "model.toml"
LAST = ("training", "measured")


def save_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """An `.npz` without pickles."""
    part = path.with_suffix(".part.npz")
    (np.savez_compressed if compressed else np.savez)(part, **arrays)
    part.replace(path)


def save_halves(
    path: Path, network: nn.Module, facts: Mapping[str, Any], named: Callable[[str], str] = lambda name: name
) -> None:
    """The weights in half precision, vectors in float32, and some `facts`, as an `.npz`; `named`: names in the file."""
    tensors = {named(k): v.numpy() for k, v in network.state_dict().items()}
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 and v.ndim > 1 else v for k, v in tensors.items()}
    save_arrays(path, halves | {k: np.array(v) for k, v in facts.items()}, compressed=True)


def fill(network: nn.Module, stored: Mapping[str, Any], named: Callable[[str], str] = lambda name: name) -> Any:
    """`network` with the weights of a `save_halves` file, in float32, ready to run."""
    state = {}
    for name in network.state_dict():
        values = stored[named(name)]
        state[name] = torch.from_numpy(values.astype(np.float32) if values.dtype == np.float16 else values)
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last).eval()


def write_bundle(folder: Path, head: Mapping[str, Any], files: Mapping[str, bytes], tables: Mapping[str, Any]) -> None:
    """A bundle's `files` and its card: `head`, the files' digests, then `tables`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: digest(content) for name, content in files.items()}
    (folder / CARD).write_text(tomli_w.dumps({"schema": 1, **head, "files": digests, **tables}), encoding="utf-8")


def add_to_bundle(folder: Path, files: Mapping[str, bytes], tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Put `files` into a bundle, and what is to be said in `tables` on its card, in place of entries of those names."""
    card = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    for name, content in files.items():
        (folder / name).write_bytes(content)
        card["files"][name] = digest(content)
    for table, entries in tables.items():
        card.setdefault(table, {}).update(entries)
    for table in LAST:  # where a reader looks for them, whatever table is new
        if table in card:
            card[table] = card.pop(table)
    (folder / CARD).write_text(tomli_w.dumps(card), encoding="utf-8")


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
