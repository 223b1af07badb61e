"""A stand-in for ONNX Runtime with an NVIDIA GPU: it keeps what it was asked for, and doubles its input."""

from types import SimpleNamespace
from typing import Any

import numpy as np


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
