"""What a network may take of the memory is bounded, and it computes the same."""

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")

import onnxruntime  # noqa: E402
from hostile_onnx import N, a_model, a_network, sum_of, whole  # noqa: E402

from realtime.errors import ModelError  # noqa: E402
from realtime.inference.ort import limit_memory, memory_bytes, open_session  # noqa: E402
from realtime.inference.session import MAX_INPUT_BYTES, TensorSpec, blank_feed  # noqa: E402


def limited(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    limit_memory(onnxruntime, options)
    assert options.get_session_config_entry("session.use_env_allocators") == "1"
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def test_above_half_of_the_memory_a_run_fails_before_it_takes_any() -> None:
    count = whole("n", memory_bytes())  # numbers of four bytes
    session = limited(a_model(sum_of("k", N("ConstantOfShape", ["n"], ["k"])), [count]).SerializeToString())
    with pytest.raises(Exception, match="Available memory of"):
        session.run(None, {"x": np.zeros((1, 3, 8, 8), np.float32)})


def test_networks_share_it_and_compute_the_same() -> None:
    model = a_network().SerializeToString()
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    plain = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    for _ in range(2):
        np.testing.assert_array_equal(limited(model).run(None, {"x": x})[0], plain)
        session = open_session(model, provider="cpu", threads=1)
        np.testing.assert_array_equal(session.run({"x": x})["y"], plain)
        session.close()


def test_a_runtime_without_allocators_is_left_alone() -> None:
    limit_memory(object(), object())


def test_inputs_of_absurd_sizes_are_refused() -> None:
    dtype = np.dtype(np.float32)
    most = MAX_INPUT_BYTES // 4
    assert blank_feed({"x": TensorSpec((None, 3), dtype)})["x"].shape == (1, 3)
    for shape in ((most + 1,), (None, 1 << 20, 1 << 20), (1 << 40, 1 << 40)):
        with pytest.raises(ModelError, match="more than 1 GiB") as caught:
            blank_feed({"x\x1b": TensorSpec(shape, dtype)})
        assert "\x1b" not in str(caught.value)
