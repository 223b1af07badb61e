"""How a builder that gives nothing is reported, and where none is asked; real compiling: test_export_to_tensorrt."""

import pytest
from cuda_fakes import FakeDriver
from tensorrt_fakes import FakeTensorRt

from realtime.errors import ModelError
from realtime.inference.providers import MODULES, engine_module_installed
from realtime.inference.tensorrt_build import Built, compile_network
from realtime.inference.tensorrt_module import load_module


def test_plain_tensorrt_is_not_started_without_a_gpu() -> None:
    trt = FakeTensorRt(FakeDriver())
    trt.starts = False
    with pytest.raises(ModelError, match=r"TensorRT 11\.4\.0 compiles only where an NVIDIA GPU is"):
        compile_network(trt, b"", "it", on_this_gpu=False)
    assert trt.logger is None


@pytest.mark.parametrize(("spoil", "says"), [("compiles", "no kernel for it"), ("starts", "it gave no reason")])
def test_a_builder_that_gives_nothing_is_one_line(spoil: str, says: str) -> None:
    trt = FakeTensorRt(FakeDriver(), rtx=True)
    setattr(trt, spoil, False)
    with pytest.raises(ModelError, match=rf"TensorRT RTX 11.4.0 does not compile it \({says}\): use another provider"):
        compile_network(trt, b"", "it", on_this_gpu=True)


def test_what_an_earlier_build_complained_of_is_not_this_ones_reason() -> None:
    trt = FakeTensorRt(FakeDriver(), rtx=True)
    trt.compiles = False
    with pytest.raises(ModelError, match="no kernel"):
        compile_network(trt, b"", "it", on_this_gpu=True)
    trt.starts = False
    with pytest.raises(ModelError, match="it gave no reason"):
        compile_network(trt, b"", "it", on_this_gpu=True)


def test_rtx_compiles_for_every_gpu_where_none_is_here() -> None:
    trt = FakeTensorRt(FakeDriver(), rtx=True)
    assert compile_network(trt, b"", "it", on_this_gpu=False) == Built(b"engine 1", b"")
    assert trt.configs[0].target is None


def test_a_missing_module_is_named_with_what_installs_it() -> None:
    assert not engine_module_installed("cuda")
    for provider, (_, title, advice) in MODULES.items():
        if not engine_module_installed(provider):
            with pytest.raises(ModelError, match=f"{title} is not installed") as caught:
                load_module(provider)
            assert advice in str(caught.value)
