"""ONNX Runtime's providers for other hardware than this machine's, over a stand-in for the runtime."""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from realtime.errors import ModelError
from realtime.inference.ort import OrtSession, bind
from realtime.inference.providers import Choice, choose, why_no_gpu
from realtime.inference.session import TensorSpec


class FakeOptions:
    """Session options that remember."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.devices: list[Any] = []
        self.enable_mem_pattern = True

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value

    def add_provider_for_devices(self, devices: list[Any], options: dict[str, str]) -> None:
        self.devices.append((devices, options))


class FakeOrtValue:
    """An array on a device."""

    def __init__(self, value: np.ndarray, device: str) -> None:
        self.held, self.device = value.copy(), device

    def update_inplace(self, value: np.ndarray) -> None:
        assert value.flags["C_CONTIGUOUS"]
        self.held[...] = value

    def numpy(self) -> np.ndarray:
        return self.held


class FakeInferenceSession:
    """x (shape) float32 -> y = 2 x."""

    def __init__(self, runtime: "FakeRuntime", options: FakeOptions, providers: list[Any]) -> None:
        self.runtime, self.options, self.providers = runtime, options, providers
        self.bound: dict[str, FakeOrtValue] = {}
        self.calls: list[str] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="x", type="tensor(float)", shape=self.runtime.shape)]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="y", type="tensor(float)", shape=self.runtime.shape)]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        placed = self.runtime.placed
        return [SimpleNamespace(ep_name=name, get_nodes=lambda n=n: [None] * n) for name, n in placed.items()]

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.calls.append("run")
        return [feed["x"] * 2]

    def io_binding(self) -> Any:
        return SimpleNamespace(
            bind_ortvalue_input=self.bound.__setitem__,
            bind_ortvalue_output=self.bound.__setitem__,
            synchronize_inputs=lambda: self.calls.append("in"),
            synchronize_outputs=lambda: self.calls.append("out"),
        )

    def run_with_iobinding(self, binding: Any) -> None:
        self.calls.append("bound")
        self.bound["y"].held[...] = self.bound["x"].held * 2


class FakeRuntime:
    """What `realtime.inference.ort` uses of the module `onnxruntime`. `placed`: how many nodes where."""

    def __init__(self, placed: dict[str, int], shape: tuple[Any, ...] = (1, 3)) -> None:
        self.placed, self.shape = placed, shape
        self.preloaded = 0
        self.sessions: list[FakeInferenceSession] = []
        self.SessionOptions = FakeOptions
        self.OrtHardwareDeviceType = SimpleNamespace(CPU="cpu", GPU="gpu")
        self.OrtValue = SimpleNamespace(ortvalue_from_numpy=lambda value, device, number: FakeOrtValue(value, device))

    def preload_dlls(self) -> None:
        self.preloaded += 1

    def get_ep_devices(self) -> list[Any]:
        """OpenVINO's CPU, as its plugin offers it once it is registered."""
        device = SimpleNamespace(ep_name="OpenVINOExecutionProvider", device=SimpleNamespace(type="cpu"))
        return [device]

    def get_available_providers(self) -> list[str]:
        return [*self.placed, "CPUExecutionProvider"]

    def InferenceSession(
        self, data: bytes, options: FakeOptions, providers: Any = None, enable_fallback: int = 1
    ) -> FakeInferenceSession:
        self.sessions.append(FakeInferenceSession(self, options, providers))
        return self.sessions[-1]


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
X = {"x": np.array([[1, 2, 3]], np.float32)}


def opened(runtime: FakeRuntime, choice: Choice, own: str = "fp32") -> OrtSession:
    return OrtSession(b"", "eve.onnx", own, choice, 2, runtime)


def test_cuda_runs_on_arrays_that_stay_on_the_gpu() -> None:
    runtime = FakeRuntime({CUDA: 7})
    session = opened(runtime, Choice("cuda", CUDA, "fp32", {"use_tf32": "0"}))
    inner = runtime.sessions[0]
    first = session.run(X)["y"]
    second = session.run({"x": X["x"] + 1})["y"]
    np.testing.assert_array_equal(first, [[2, 4, 6]])  # not overwritten by the second run
    np.testing.assert_array_equal(second, [[4, 6, 8]])
    assert {value.device for value in inner.bound.values()} == {"cuda"}
    assert inner.calls == ["in", "bound", "out"] * 3  # with the warm-up
    assert runtime.preloaded == 1
    assert inner.providers == [(CUDA, {"use_tf32": "0"}), CPU]
    assert (session.ran_on, session.precision) == ("CUDA", "fp32")
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.run(X)


def test_dynamic_shapes_are_run_plainly() -> None:
    runtime = FakeRuntime({CUDA: 7}, shape=("n", 3))
    session = opened(runtime, Choice("cuda", CUDA, "fp32"))
    np.testing.assert_array_equal(session.run({"x": np.ones((4, 3), np.float32)})["y"], np.full((4, 3), 2))
    assert runtime.sessions[0].calls == ["run", "run"]


def test_asked_for_cuda_and_got_the_cpu_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"eve\.onnx did not run on CUDA but on CPU: use --provider cpu"):
        opened(FakeRuntime({CPU: 7}), Choice("cuda", CUDA, "fp32"))


def test_a_mixed_placement_is_told_by_node_counts() -> None:
    session = opened(FakeRuntime({CUDA: 40, CPU: 2}), Choice("cuda", CUDA, "fp32"))
    assert session.ran_on == "CUDA + CPU (2 of 42 nodes)"
    mostly = opened(FakeRuntime({CUDA: 1, CPU: 41}), Choice("cuda", CUDA, "fp32"))
    assert mostly.ran_on == "CPU + CUDA (1 of 42 nodes)"


def test_the_files_precision_counts_where_the_provider_keeps_to_it() -> None:
    half = "fp16"
    assert opened(FakeRuntime({CUDA: 1}), Choice("cuda", CUDA, "fp32"), half).precision == "fp16"
    assert opened(FakeRuntime({CPU: 1}), Choice("cpu", CPU, "fp32"), half).precision == "fp32"


def test_tensorrt_has_cuda_behind_it_and_directml_no_memory_plan() -> None:
    tensorrt = FakeRuntime({"TensorrtExecutionProvider": 3})
    opened(tensorrt, Choice("tensorrt", "TensorrtExecutionProvider", "fp32"))
    tried = [p if isinstance(p, str) else p[0] for p in tensorrt.sessions[0].providers]
    assert tried == ["TensorrtExecutionProvider", CUDA, CPU]
    directml = FakeRuntime({"DmlExecutionProvider": 3})
    session = opened(directml, Choice("directml", "DmlExecutionProvider", "fp32", {"device_id": "0"}))
    assert not directml.sessions[0].options.enable_mem_pattern
    assert session.ran_on == "DirectML"
    coreml = FakeRuntime({"CoreMLExecutionProvider": 3, CPU: 1})
    assert opened(coreml, Choice("coreml", "CoreMLExecutionProvider", "fp32")).ran_on == "CoreML + CPU (1 of 4 nodes)"


def test_every_session_asks_where_its_nodes_went_and_does_not_spin() -> None:
    runtime = FakeRuntime({CPU: 1})
    opened(runtime, Choice("cpu", CPU, "fp32"))
    assert runtime.sessions[0].options.entries == {
        "session.intra_op.allow_spinning": "0",
        "session.x64quantprecision": "1",
        "session.record_ep_graph_assignment_info": "1",
    }
    assert runtime.sessions[0].options.intra_op_num_threads == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["coreml", "directml"])
def test_what_is_installed_is_offered_by_name_only(name: str) -> None:
    provider = {"coreml": "CoreMLExecutionProvider", "directml": "DmlExecutionProvider"}[name]
    runtime = FakeRuntime({provider: 1})
    assert choose(name, "fp32", 1, runtime)[0].provider == provider
    assert name not in [choice.name for choice in choose("auto", "fp32", 1, runtime)]


def test_cuda_without_a_driver_is_refused_before_it_is_loaded() -> None:
    if not why_no_gpu():
        assert choose("cuda", "fp32", 1, FakeRuntime({CUDA: 1}))[0].provider == CUDA
        return
    with pytest.raises(ModelError, match="NVIDIA driver"):
        choose("cuda", "fp32", 1, FakeRuntime({CUDA: 1}))


class Driver:
    """NVIDIA's driver, answering what it is told to."""

    def __init__(self, code: int = 0, gpus: int = 1) -> None:
        self.code, self.gpus = code, gpus

    def cuInit(self, flags: ctypes.c_uint) -> int:
        return self.code

    def cuDeviceGetCount(self, count: object) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self.gpus  # type: ignore[arg-type]
        return 0


def test_the_driver_is_asked_without_loading_anything_else() -> None:
    def absent(name: str) -> object:
        raise OSError(name)

    assert why_no_gpu(lambda name: Driver()) == ""
    assert "no NVIDIA driver here" in why_no_gpu(absent)
    assert "error 100" in why_no_gpu(lambda name: Driver(code=100))
    assert "counts none" in why_no_gpu(lambda name: Driver(gpus=0))
    assert "is not NVIDIA's driver" in why_no_gpu(lambda name: object())


def test_a_binding_gives_what_a_plain_run_gives() -> None:
    """The real runtime, on the device that every machine has."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU])
    x, y = ({name: TensorSpec((2, 3), np.dtype(np.float32))} for name in ("x", "y"))
    run = bind(session, x, y, onnxruntime, device="cpu")
    assert run is not None
    value = np.arange(6, dtype=np.float32).reshape(3, 2).T  # not contiguous
    first = run({"x": value})["y"]
    run({"x": value * 0})
    np.testing.assert_array_equal(first, value * 2)
    assert bind(session, {"x": TensorSpec((None, 3), np.dtype(np.float32))}, y, onnxruntime) is None
