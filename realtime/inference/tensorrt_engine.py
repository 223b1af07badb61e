"""Networks as TensorRT engines on an NVIDIA GPU, run as one recorded CUDA graph a picture.

Inputs are written into memory that the GPU copies from by itself; upload, network and download lie in one graph
on a stream of the session's own, so that a run costs the processor one launch and one wait. CUDA is reached through
NVIDIA's `cuda.core`.
"""

import ctypes
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from realtime.errors import ModelError
from realtime.inference.engine_cache import EngineCache, engine_facts, find_engine, open_cache
from realtime.inference.onnx_file import check_onnx
from realtime.inference.session import Array, Session, TensorSpec, blank_feed, model_bytes
from realtime.inference.tensorrt_build import (
    Gpu,
    GpuError,
    check_card,
    compile_in_child,
    gpu_errors,
    last_error,
    load_module,
    logger,
    open_gpu,
    title,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One input or output: its memory on the GPU, pinned memory of the same size, and that as an array."""

    is_input: bool
    device: Any
    pinned: Any
    array: Array


class EngineSession(Session):
    """One engine on one GPU: see `Session`. Use `open_engine_session` to make one.

    `kernels` are what an earlier session of this engine compiled (TensorRT-RTX finishes its kernels on the GPU that
    runs them); `self.kernels` gives those of this one. Any thread may call it, one at a time. The arrays it returns
    are the caller's own.
    """

    def __init__(self, trt: Any, gpu: Gpu, engine: bytes, name: str, precision: str, kernels: bytes = b"") -> None:
        super().__init__(name)
        self._trt, self._gpu, self.precision = trt, gpu, precision
        self._graph: Any = None
        self._owned = ExitStack()
        self._open = True
        with ExitStack() as on_error, gpu_errors():
            on_error.callback(self.close)
            gpu.device.set_current()
            loaded = _load(trt, engine, name)
            self._context, self._kernels = _context(trt, loaded, name, kernels)
            self._owned.callback(self._drop_context)
            self._stream = gpu.device.create_stream()
            self._owned.callback(self._stream.close)
            specs = _specs(trt, loaded, self._context, name)
            self._tensors = {name: self._allocate(name, *described) for name, described in specs.items()}
            self.inputs = MappingProxyType({n: spec for n, (is_input, spec) in specs.items() if is_input})
            self.outputs = MappingProxyType({n: spec for n, (is_input, spec) in specs.items() if not is_input})
            self._owned.callback(lambda: self._graph and self._graph.close())
            self._owned.callback(self._stream.sync)  # first of all: nothing is freed under a running copy
            self._warm_up()
            how = "CUDA graph" if self._graph is not None else "no CUDA graph"
            self.ran_on = f"{title(trt)} ({gpu.name}, {precision}, {how})"
            on_error.pop_all()

    @property
    def kernels(self) -> bytes:
        """What this session compiled on the GPU, for the next one's `kernels`; empty for plain TensorRT."""
        return bytes(self._kernels.serialize() or b"") if self._kernels is not None else b""

    @property
    def _running(self) -> bool:
        return self._open

    def _run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        with gpu_errors():
            self._gpu.device.set_current()
            for name, value in feed.items():
                np.copyto(self._tensors[name].array, value)
            if self._graph is not None:
                self._graph.launch(self._stream)
            else:
                self._queue()
            self._stream.sync()
        return {name: self._tensors[name].array.copy() for name in self.outputs}

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._tensors = {}  # their arrays must not outlive the memory
        try:
            with gpu_errors():
                self._gpu.device.set_current()
                self._owned.close()
        except GpuError as error:  # a GPU that failed while running fails here too; what it held went with it
            log.warning("%s: closed after an error: %s", self._name, error)

    def _queue(self) -> None:
        """Puts one run on the stream: uploads, network, downloads."""
        for tensor in self._tensors.values():
            if tensor.is_input:
                tensor.device.copy_from(tensor.pinned, stream=self._stream)
        if not self._context.execute_async_v3(int(self._stream.handle)):
            raise ModelError(f"{self._name} failed while running ({last_error(self._trt)}): try --provider cpu")
        for tensor in self._tensors.values():
            if not tensor.is_input:
                tensor.pinned.copy_from(tensor.device, stream=self._stream)

    def _warm_up(self) -> None:
        """Runs once as it is, since a first run allocates and may not be recorded; then records a run."""
        self.run(blank_feed(self.inputs))
        capturable = getattr(self._context, "is_stream_capturable", lambda stream: True)
        if capturable(int(self._stream.handle)):
            self._graph = self._record()
        if self._graph is not None:
            self.run(blank_feed(self.inputs))
        self.spent_ns = 0

    def _record(self) -> Any:
        """A run as a CUDA graph; None where it cannot be recorded."""
        builder = self._stream.create_graph_builder()
        try:
            with gpu_errors():
                builder.begin_building("thread_local")  # other threads may allocate meanwhile
                try:
                    self._queue()
                finally:
                    builder.end_building()
                return builder.complete()
        except ModelError as error:
            log.info("%s runs without a CUDA graph: %s", self._name, error)
            return None
        finally:
            builder.close()

    def _allocate(self, name: str, is_input: bool, spec: TensorSpec) -> Tensor:
        shape = [side or 1 for side in spec.shape]
        length = int(np.prod(shape, dtype=np.int64)) * spec.dtype.itemsize
        device = self._gpu.device.allocate(length, stream=self._stream)
        self._owned.callback(device.close)
        pinned = self._gpu.cuda.LegacyPinnedMemoryResource().allocate(length)
        self._owned.callback(pinned.close)
        if not self._context.set_tensor_address(name, int(device.handle)):
            raise ModelError(f"{self._name}: TensorRT takes no memory for {name} ({last_error(self._trt)})")
        raw = (ctypes.c_ubyte * length).from_address(int(pinned.handle))
        return Tensor(is_input, device, pinned, np.ndarray(shape, spec.dtype, memoryview(raw)))

    def _drop_context(self) -> None:
        self._context = self._kernels = None


def open_engine_session(
    model: Path | bytes,
    *,
    provider: str = "tensorrt",
    precision: str = "fp32",
    find_gpu: Callable[[], Gpu] = open_gpu,
    find_module: Callable[[str], Any] = load_module,
    compiler: Callable[..., bytes] = compile_in_child,
    cache: EngineCache | None = None,
) -> EngineSession:
    """The network in an ONNX file (or its bytes) as an engine on this machine's first NVIDIA GPU, warmed up.

    `provider` is tensorrt or rtx. The arithmetic is what the graph says; `precision` fp32 keeps float32 whole,
    auto allows TF32 in it (then `precision` of the session says `tf32`), another must be the graph's own. The
    engine comes from this user's cache, or is compiled and kept there; one that the GPU refuses is compiled again.
    Raises ModelError where there is no driver, GPU or module, and for a file or graph that is refused.
    """
    data, name = model_bytes(model)
    own = check_onnx(data, name)
    if precision not in ("fp32", "auto", own):
        raise ModelError(f"{name} computes in {own}, not {precision}: export it again (masquerade export --precision)")
    tf32 = precision == "auto" and own == "fp32"
    gpu = find_gpu()  # before the module: without a driver its library may crash
    trt = find_module(provider)
    check_card(trt, gpu)
    cache = cache or open_cache()
    facts = engine_facts(trt, data, own, gpu, tf32=tf32)

    def start() -> EngineSession:
        kernels = cache.load(facts, "kernels") or b""
        session = EngineSession(trt, gpu, found.engine, name, "tf32" if tf32 else own, kernels)
        if session.kernels and session.kernels != kernels:
            cache.store(facts, session.kernels, "kernels")
        return session

    def make() -> bytes:
        return compiler(provider, data, name, on_this_gpu=True, tf32=tf32)

    found = find_engine(facts, name, cache, make)
    try:
        session = start()
    except ModelError as error:
        if found.compiled or isinstance(error, GpuError):
            raise
        log.warning("%s: the cached engine does not run here (%s): it is compiled again", name, error)
        cache.forget(facts)
        found = find_engine(facts, name, cache, make)
        session = start()
    log.info("%s runs on %s", name, session.ran_on)
    return session


def _load(trt: Any, engine: bytes, name: str) -> Any:
    """The engine on the current GPU. Raises ModelError where TensorRT does not take it: another GPU or version."""
    logger(trt).errors.clear()
    loaded = trt.Runtime(logger(trt)).deserialize_cuda_engine(engine)
    if loaded is None:
        raise ModelError(
            f"{title(trt)} does not run {name} on this GPU ({last_error(trt)}): use --provider cuda or cpu"
        )
    return loaded


def _context(trt: Any, engine: Any, name: str, kernels: bytes) -> tuple[Any, Any]:
    """A context with its memory, and where the module has one (TensorRT-RTX) its cache of finished kernels.

    `kernels` is that cache's content from an earlier run; the module itself refuses one of another GPU or driver.
    """
    config = engine.create_runtime_config()
    cache = None
    if hasattr(config, "create_runtime_cache"):
        cache = config.create_runtime_cache()
        if kernels:
            cache.deserialize(kernels)
        config.set_runtime_cache(cache)
    context = engine.create_execution_context(config)
    if context is None:
        raise ModelError(f"{name} does not fit on the GPU ({last_error(trt)}): close other programs that use it")
    return context, cache


def _specs(trt: Any, engine: Any, context: Any, name: str) -> dict[str, tuple[bool, TensorSpec]]:
    """By name whether it is an input, shape and dtype; inputs with an open batch size get the compiled one (1).

    Raises ModelError for tensors that a session can't hold in fixed memory: sizes only known after a run, shape
    inputs, and number formats that numpy lacks.
    """
    names = [str(engine.get_tensor_name(i)) for i in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    for tensor in inputs:
        if -1 in tuple(engine.get_tensor_shape(tensor)):
            context.set_input_shape(tensor, tuple(engine.get_tensor_profile_shape(tensor, 0)[0]))
    found = {}
    for tensor in names:
        shape = tuple(int(s) for s in context.get_tensor_shape(tensor))
        if any(s < 1 for s in shape) or engine.get_tensor_location(tensor) != trt.TensorLocation.DEVICE:
            raise ModelError(f"{name}: the size of {tensor} is only known while running: export it with fixed sizes")
        try:
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(tensor)))
        except TypeError as error:
            raise ModelError(f"{name}: {tensor} is in a format that numpy lacks: export it as float32") from error
        found[tensor] = (tensor in inputs, TensorSpec(shape, dtype))
    return found
