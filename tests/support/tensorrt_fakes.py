"""`cuda.core` and TensorRT without a GPU: queued work really waits until the stream is waited for.

Memory of the GPU is main memory, so addresses can be followed. TensorRT compiles anything to one small network, which
is y = 2·x + shift, and the sum of y as float16. The module has the API of TensorRT 11, or with
`rtx=True` what TensorRT-RTX adds to it.
"""

import ctypes
import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {"x": (1, 3, 4), "shift": (1,), "y": (1, 3, 4), "total": ()}
DTYPES: dict[str, Any] = {"x": np.float32, "shift": np.float32, "y": np.float32, "total": np.float16}


Mode = enum.Enum("Mode", "INPUT OUTPUT")
Place = enum.Enum("Place", "DEVICE HOST")
Kind = enum.Enum("Kind", "NONE CURRENT SM75 SM89 SM120")


class CUDAError(Exception):
    """As `cuda.core` names what it raises."""


class FakeCuda:
    """The module. `fails` maps a call to the error it raises; `calls` keeps what was called."""

    def __init__(self) -> None:
        self.name, self.capability, self.driver = "NVIDIA Fake", (8, 9), (580, 95, 5)
        self.fails: dict[str, str] = {}
        self.calls: list[str] = []
        self.memory: dict[int, Any] = {}
        self.open: list[str] = []
        self.streams: dict[int, FakeStream] = {}
        self.system = SimpleNamespace(
            get_user_mode_driver_version=lambda: (13, 0), get_kernel_mode_driver_version=lambda: self.driver
        )

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise CUDAError(self.fails[name])

    def Device(self, number: int) -> Any:
        return SimpleNamespace(
            name=self.name,
            compute_capability=self.capability,
            properties=SimpleNamespace(multiprocessor_count=132),
            set_current=lambda: self.call("set_current"),
            create_stream=lambda: FakeStream(self),
            allocate=lambda length, stream: FakeBuffer(self, "device", length),
        )

    def LegacyPinnedMemoryResource(self) -> Any:
        return SimpleNamespace(allocate=lambda length: FakeBuffer(self, "pinned", length))


class Held:
    """Something taken that must be given back."""

    def __init__(self, cuda: FakeCuda, kind: str) -> None:
        self.cuda, self.kind = cuda, kind
        cuda.call(f"take {kind}")
        cuda.open.append(kind)

    def close(self) -> None:
        self.cuda.open.remove(self.kind)
        self.cuda.call(f"free {self.kind}")


class FakeBuffer(Held):
    def __init__(self, cuda: FakeCuda, kind: str, length: int) -> None:
        super().__init__(cuda, kind)
        self.content = ctypes.create_string_buffer(b"\xff" * length, length)  # never zeros by chance
        self.handle = ctypes.addressof(self.content)
        cuda.memory[self.handle] = self.content

    def copy_from(self, source: "FakeBuffer", stream: "FakeStream") -> None:
        assert len(self.content) == len(source.content)
        self.cuda.call(f"{source.kind} to {self.kind}")
        stream.queue(lambda: ctypes.memmove(self.content, source.content, len(self.content)))


class FakeStream(Held):
    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__(cuda, "stream")
        self.handle = 1000 + len(cuda.streams)
        cuda.streams[self.handle] = self
        self.pending: list[Callable[[], Any]] = []
        self.recording: list[Callable[[], Any]] | None = None

    def queue(self, work: Callable[[], Any]) -> None:
        (self.pending if self.recording is None else self.recording).append(work)

    def sync(self) -> None:
        assert self.recording is None, "a stream that records cannot be waited for"
        self.cuda.call("sync")
        queued, self.pending = self.pending, []
        for work in queued:
            work()

    def close(self) -> None:
        assert not self.pending, "a stream was closed with work on it"
        super().close()

    def create_graph_builder(self) -> "FakeGraphBuilder":
        return FakeGraphBuilder(self)


class FakeGraphBuilder(Held):
    def __init__(self, stream: FakeStream) -> None:
        super().__init__(stream.cuda, "builder")
        self.stream = stream

    def begin_building(self, mode: str) -> None:
        assert mode == "thread_local"
        self.stream.recording = []

    def end_building(self) -> None:
        assert self.stream.recording is not None
        self.recorded, self.stream.recording = self.stream.recording, None
        self.cuda.call("end_building")

    def complete(self) -> "FakeGraph":
        return FakeGraph(self.cuda, self.recorded)


class FakeGraph(Held):
    def __init__(self, cuda: FakeCuda, recorded: list[Callable[[], Any]]) -> None:
        super().__init__(cuda, "graph")
        self.recorded = recorded

    def launch(self, stream: FakeStream) -> None:
        self.cuda.call("launch")
        stream.pending += self.recorded


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
