"""How a builder that gives nothing is reported, and a child that ends badly; more compiling: test_to_tensorrt."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tensorrt_fakes import FakeCuda, FakeTensorRt

from realtime.errors import ModelError
from realtime.inference.providers import MODULES, engine_module_installed
from realtime.inference.tensorrt_build import compile_in_child, compile_network, load_module
from realtime.models.library import built_in_folder

compiles = pytest.mark.skipif(not engine_module_installed("rtx"), reason="TensorRT-RTX is not installed")
HOW: dict[str, Any] = {"on_this_gpu": False, "tf32": False}


def network(width: int | str = 8) -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, width)) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(made.SerializeToString())


def test_plain_tensorrt_is_not_started_without_a_gpu() -> None:
    trt = FakeTensorRt(FakeCuda())
    trt.starts = False
    with pytest.raises(ModelError, match=r"TensorRT 11\.4\.0 compiles only where an NVIDIA GPU is"):
        compile_network(trt, b"", "it", on_this_gpu=False)
    assert trt.logger is None


def test_a_builder_that_gives_nothing_is_one_line_with_its_own_reason() -> None:
    trt = FakeTensorRt(FakeCuda(), rtx=True)
    for spoil, says in (("compiles", "no kernel for it"), ("starts", "it gave no reason")):
        setattr(trt, spoil, False)
        with pytest.raises(ModelError, match=rf"TensorRT RTX 11.4.0 does not compile it \({says}\): use another"):
            compile_network(trt, b"", "it", on_this_gpu=True)


def test_rtx_compiles_for_every_gpu_where_none_is_here() -> None:
    trt = FakeTensorRt(FakeCuda(), rtx=True)
    assert compile_network(trt, b"", "it", on_this_gpu=False) == b"engine 1"
    assert trt.configs[0].target is None


def test_a_missing_module_is_named_with_what_installs_it() -> None:
    assert not engine_module_installed("cuda")
    for provider, (_, title, advice) in MODULES.items():
        if not engine_module_installed(provider):
            with pytest.raises(ModelError, match=f"{title} is not installed") as caught:
                load_module(provider)
            assert advice in str(caught.value)


@compiles
def test_a_child_compiles_the_same_engine_and_refuses_the_same() -> None:
    rtx = load_module("rtx")
    assert compile_in_child("rtx", network(), "it", **HOW) == compile_network(rtx, network(), "it", on_this_gpu=False)
    with pytest.raises(ModelError, match="it leaves more than the batch size of x open"):
        compile_in_child("rtx", network("w"), "it", **HOW)


def test_the_childs_files_are_what_is_given() -> None:
    def child(module: str, provider: str, folder: str, how: str, *, crashed: str, do: str) -> None:
        assert json.loads(how) == {"name": "it", "on_this_gpu": False, "tf32": False}
        assert Path(folder, "model.onnx").read_bytes() == network()
        assert crashed == "TensorRT RTX crashed while compiling it"
        Path(folder, "engine").write_bytes(provider.encode())

    assert compile_in_child("rtx", network(), "it", **HOW, run=child) == b"rtx"


def never(*arguments: str, **more: str) -> None:
    raise AssertionError("it was given to the child")


def test_a_damaged_network_never_reaches_tensorrt() -> None:
    """Bytes that ended TensorRT-RTX 1.7 with a segmentation fault."""
    spoilt = bytearray((built_in_folder() / "face" / "detector.onnx").read_bytes())
    rng = np.random.default_rng(86)
    for at in rng.integers(0, len(spoilt), int(rng.integers(1, 20))):
        spoilt[at] ^= 1 << int(rng.integers(8))
    with pytest.raises(ModelError) as caught:
        compile_in_child("rtx", bytes(spoilt), "it", **HOW, run=never)
    assert "crashed" not in str(caught.value)


def test_a_disk_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"it cannot be compiled \(.*\): free some space in"):
        compile_in_child("rtx", network(), "it", **HOW, run=never)
