"""A TensorRT module without a GPU, working on a `FakeCuda`: it compiles anything to one small network.

That network is y = 2·x + shift, and the sum of y as float16. The module has the API of TensorRT 11, or with
`rtx=True` what TensorRT-RTX adds to it.
"""

import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from cuda_fakes import FakeCuda

SHAPES: dict[str, tuple[int, ...]] = {"x": (1, 3, 4), "shift": (1,), "y": (1, 3, 4), "total": ()}
DTYPES: dict[str, Any] = {"x": np.float32, "shift": np.float32, "y": np.float32, "total": np.float16}


Mode = enum.Enum("Mode", "INPUT OUTPUT")
Place = enum.Enum("Place", "DEVICE HOST")
Kind = enum.Enum("Kind", "NONE CURRENT SM75 SM89 SM120")


class FakeTensorRt:
    """The module. `engines` counts what was compiled; `refused` holds engines that it does not load."""

    TensorIOMode, TensorLocation, ComputeCapability = Mode, Place, Kind
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    BuilderFlag = SimpleNamespace(TF32="tf32", REQUIRE_USER_ALLOCATION="fixed memory")

    class ILogger:
        ERROR, INTERNAL_ERROR = "error", "internal error"

    def __init__(self, cuda: FakeCuda, version: str = "11.4.0", rtx: bool = False) -> None:
        self.cuda, self.__version__, self.rtx = cuda, version, rtx
        self.__name__ = "tensorrt_rtx" if rtx else "tensorrt"
        self.engines = 0
        self.configs: list[FakeConfig] = []
        self.refused: set[bytes] = set()
        self.runs = self.capturable = self.fits = self.compiles = self.starts = True
        self.location, self.open_sizes = Place.DEVICE, False
        self.kernels_given: list[bytes] = []
        self.logger: Any = None

    def complain(self, text: str) -> None:
        self.logger.log("error", text)

    def nptype(self, dtype: Any) -> Any:
        if dtype is None:
            raise TypeError("no such type")
        return dtype

    def Builder(self, logger: Any) -> "FakeBuilder":
        self.logger = logger
        if not self.starts:
            raise TypeError("factory function returned nullptr")  # as the bindings say it
        return FakeBuilder(self)

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        return SimpleNamespace(parse=lambda data: True)

    def Runtime(self, logger: Any) -> Any:
        self.logger = logger
        return SimpleNamespace(deserialize_cuda_engine=self._load)

    def shape_of(self, name: str) -> tuple[int, ...]:
        return (-1, *SHAPES[name][1:]) if self.open_sizes and name == "x" else SHAPES[name]

    def _load(self, engine: bytes) -> Any:
        if engine in self.refused:
            self.complain("the engine is of another GPU\nsecond line")
            return None
        assert engine.startswith(b"engine ")
        return SimpleNamespace(
            num_io_tensors=len(SHAPES),
            get_tensor_name=lambda index: list(SHAPES)[index],
            get_tensor_mode=lambda name: Mode.INPUT if name in ("x", "shift") else Mode.OUTPUT,
            get_tensor_shape=self.shape_of,
            get_tensor_profile_shape=lambda name, profile: [SHAPES[name]] * 3,
            get_tensor_location=lambda name: self.location,
            get_tensor_dtype=DTYPES.__getitem__,
            create_runtime_config=self._runtime_config,
            create_execution_context=lambda config: FakeContext(self) if self.fits else None,
        )

    def _runtime_config(self) -> Any:
        if not self.rtx:
            return SimpleNamespace()
        cache = SimpleNamespace(deserialize=self.kernels_given.append, serialize=lambda: b"kernels")
        return SimpleNamespace(create_runtime_cache=lambda: cache, set_runtime_cache=lambda cache: True)


class FakeConfig:
    num_compute_capabilities = 0

    def __init__(self) -> None:
        self.flags: set[str] = {"tf32"}  # as the real one starts
        self.target: Any = None

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def set_compute_capability(self, capability: Any, index: int) -> None:
        self.target = capability


class FakeBuilder:
    def __init__(self, trt: FakeTensorRt) -> None:
        self._trt = trt

    def create_network(self, flags: int) -> Any:
        assert flags == 2  # strongly typed
        x = SimpleNamespace(name="x", shape=SHAPES["x"])
        return SimpleNamespace(num_inputs=1, get_input=lambda i: x)

    def create_builder_config(self) -> FakeConfig:
        self._trt.configs.append(FakeConfig())
        return self._trt.configs[-1]

    def build_serialized_network(self, network: Any, config: FakeConfig) -> bytes | None:
        if not self._trt.compiles:
            self._trt.complain("no kernel for it")
            return None
        self._trt.engines += 1
        return f"engine {self._trt.engines}".encode()


class FakeContext:
    def __init__(self, trt: FakeTensorRt) -> None:
        self._trt = trt
        self._addresses: dict[str, int] = {}
        self._shapes = {name: trt.shape_of(name) for name in SHAPES}
        if trt.rtx:
            self.is_stream_capturable: Callable[[int], bool] = lambda stream: trt.capturable

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self._shapes[name] = shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        queue = self._trt.cuda.streams[stream]
        if not self._trt.runs or (queue.recording is not None and not self._trt.capturable):
            self._trt.complain("enqueue refused")
            return False
        x, shift, y, total = (self._array(name) for name in SHAPES)

        def work() -> None:
            y[...] = 2 * x + shift
            total[...] = y.sum()

        queue.queue(work)
        return True

    def _array(self, name: str) -> np.ndarray:
        return np.ndarray(SHAPES[name], DTYPES[name], self._trt.cuda.memory[self._addresses[name]])
