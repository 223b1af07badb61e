"""A foreign network is run by a child first: what it does there ends the child alone, with one line."""

import re
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")

import hostile_onnx  # noqa: E402
from bundles import one_line  # noqa: E402
from hostile_onnx import N, a_model, sum_of, whole  # noqa: E402

from realtime.inference.trial import run_child, try_model  # noqa: E402


def test_an_honest_network_passes(tmp_path: Path) -> None:
    file = tmp_path / "good.onnx"
    file.write_bytes(hostile_onnx.a_network().SerializeToString())
    try_model(file)


HUNGRY = a_model(sum_of("k", N("ConstantOfShape", ["n"], ["k"])), [whole("n", 1 << 50)]).SerializeToString()
BY_MINUS_ONE = next(content for title, content, _ in hostile_onnx.stopping())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BY_MINUS_ONE, r"bad\.onnx crashes what runs it \(signal 8\)"),
        (HUNGRY, "bad.onnx"),
        (b"no network", r"bad\.onnx is a text .*, not an ONNX network"),
    ],
)
def test_what_it_does_ends_the_child_alone(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "bad.onnx"
    file.write_bytes(content)
    message = one_line(lambda: try_model(file))
    assert re.search(says, message)


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "slow.onnx"
    file.write_bytes(b"")
    assert "takes more than 0.01 s" in one_line(lambda: try_model(file, seconds=0.01))


def test_a_child_that_ends_otherwise_is_one_line() -> None:
    message = one_line(lambda: run_child("realtime.inference.nothing", crashed="it crashed", do="try another"))
    assert re.fullmatch(r"it crashed \(.*No module named.*\): try another", message)
