"""Compiling in a child process: what it gives, and how it is told when the child ends badly."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from realtime.errors import ModelError
from realtime.inference.compile_apart import compile_apart
from realtime.inference.providers import engine_module_installed
from realtime.inference.tensorrt_build import Built, compile_network
from realtime.inference.tensorrt_module import load_module
from realtime.models.library import built_in_folder

compiles = pytest.mark.skipif(not engine_module_installed("rtx"), reason="TensorRT-RTX is not installed")
HOW = {"on_this_gpu": False, "tf32": False, "batch": 1, "timings": b""}


def network(operator: str = "Relu") -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8)) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", [x], [y])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(made.SerializeToString())


def child(code: str) -> list[str]:
    """A stand-in for the child: its arguments are the provider, the folder and the options."""
    return [sys.executable, "-c", code]


@compiles
def test_it_is_the_same_engine_as_in_this_process() -> None:
    assert compile_apart("rtx", network(), "it", **HOW) == compile_network(
        load_module("rtx"), network(), "it", on_this_gpu=False
    )


@compiles
def test_a_refusal_comes_over_as_it_is() -> None:
    model = onnx.load_from_string(network())
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[3].dim_param = "w"
    with pytest.raises(ModelError, match="it leaves more than the batch size of x open"):
        compile_apart("rtx", bytes(model.SerializeToString()), "it", **HOW)


def test_the_childs_files_are_what_is_given() -> None:
    code = """
import json, pathlib, sys
folder, how = pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
assert how == {"name": "it", "on_this_gpu": False, "tf32": False, "batch": 1}, how
assert (folder / "model.onnx").read_bytes().startswith(b"\\x08")
(folder / "engine").write_bytes(sys.argv[1].encode())
(folder / "learnt").write_bytes((folder / "timings").read_bytes() * 2)
"""
    assert compile_apart("rtx", network(), "it", **{**HOW, "timings": b"ab"}, child=child(code)) == Built(
        b"rtx", b"abab"
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("raise SystemError('two\\nlines')", "lines"),
        ("import sys; sys.exit(3)", "no reason given"),
    ],
    ids=["killed", "a traceback", "silent"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_child_that_ends_badly_is_one_line(code: str, reason: str) -> None:
    with pytest.raises(ModelError, match=rf"TensorRT RTX crashed while compiling it \({reason}\)") as caught:
        compile_apart("rtx", network(), "it", **HOW, child=child(code))
    assert "\n" not in str(caught.value)


def test_a_damaged_network_never_reaches_tensorrt(capfd: pytest.CaptureFixture[str]) -> None:
    """Bytes that ended TensorRT-RTX 1.7 with a segmentation fault."""
    spoilt = bytearray((built_in_folder() / "face" / "detector.onnx").read_bytes())
    rng = np.random.default_rng(86)
    for at in rng.integers(0, len(spoilt), int(rng.integers(1, 20))):
        spoilt[at] ^= 1 << int(rng.integers(8))
    never = child("raise AssertionError('it was given to the child')")
    with pytest.raises(ModelError) as caught:
        compile_apart("rtx", bytes(spoilt), "it", **HOW, child=never)
    assert "crashed" not in str(caught.value)


def test_a_disk_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"it cannot be compiled \(.*\): free some space in"):
        compile_apart("rtx", network(), "it", **HOW)
