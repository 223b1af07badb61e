"""Bundles and a scripted network for tests, and the check that an error is one line."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import tomli_w

from realtime.errors import MasqueradeError, ModelError
from realtime.inference.session import Array, TensorSpec
from realtime.models.bundle import hash_file
from realtime.text import unprintable

RELU = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01b\x0f\n\x01y'
    b"\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
"""A whole ONNX file: y = max(x, 0), both (1,) float32."""


def network_of(name: str) -> bytes:
    """A whole network file that differs by `name`, its description."""
    return RELU + b"2" + bytes([len(name)]) + name.encode()


def a_bundle(folder: Path, name: str = "eve", contents: Mapping[str, bytes] | None = None, **changes: object) -> Path:
    """A good bundle, its card's top keys replaced by `changes`. `contents`: other files than the one network."""
    folder.mkdir(parents=True)
    contents = contents or {"swap.onnx": network_of(name)}
    for file, data in {**contents, "preview.jpg": b"picture"}.items():
        (folder / file).write_bytes(data)
    card = {
        "schema": 1,
        "name": name,
        "title": name.title(),
        "family": "swap",
        "licence": "CC0-1.0",
        "identity": {"kind": "synthetic", "statement": "Nobody."},
        "files": {file: hash_file(folder / file) for file in contents},
        "input": {"size": 64, "face_type": "whole_face"},
    } | changes
    (folder / "model.toml").write_text(tomli_w.dumps(card), encoding="utf-8")
    return folder


def one_line(act: Callable[[], object], kind: type[MasqueradeError] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    assert unprintable(str(caught.value)) is None
    return str(caught.value)


class Script:
    """A session that keeps what it was fed and answers what it was told to."""

    ran_on, precision, spent_ns = "Script", "fp32", 7

    def __init__(
        self, inputs: dict[str, TensorSpec], answers: dict[str, Array], outputs: dict[str, TensorSpec] | None = None
    ):
        self.inputs = inputs
        self.outputs = outputs or {name: TensorSpec(a.shape, a.dtype) for name, a in answers.items()}
        self.answers = answers
        self.fed: list[dict[str, Array]] = []
        self.closed = 0
        self.opened_with: dict[str, object] = {}

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        assert feed.keys() == self.inputs.keys()
        self.fed.append({name: value.copy() for name, value in feed.items()})
        return self.answers

    def close(self) -> None:
        self.closed += 1

    def open(self, model: Path, **options: object) -> "Script":
        assert model.name in ("swap.onnx", "eve.dfm")
        self.opened_with = options
        return self
