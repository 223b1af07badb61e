"""Networks as TensorRT engines on an NVIDIA GPU, run as one recorded CUDA graph a picture.

Inputs are written into memory that the GPU copies from by itself; upload, network and download lie in one graph
on a stream of the session's own, so that a run costs the processor one launch and one wait.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from realtime.errors import ModelError
from realtime.inference.compile_apart import Compiler, compile_apart
from realtime.inference.cuda_driver import Gpu, GpuError, open_gpu
from realtime.inference.engine_cache import EngineFacts, engine_facts, find_engine, open_cache
from realtime.inference.onnx_file import read_contents
from realtime.inference.sealed_cache import SealedCache
from realtime.inference.session import Array, BaseSession, TensorSpec, blank_feed, model_bytes
from realtime.inference.tensorrt_build import Built
from realtime.inference.tensorrt_context import Tensor, open_context, open_engine, tensors_of
from realtime.inference.tensorrt_module import check_card, last_error, load_module, title

log = logging.getLogger(__name__)


class EngineSession(BaseSession):
    """One engine on one GPU: see `Session`. Use `open_engine_session` to make one.

    It owns `gpu` from here on, also when it raises. `kernels` are what an earlier session of this engine compiled
    (TensorRT-RTX finishes its kernels on the GPU that runs them); `self.kernels` gives those of this one.
    Any thread may call it, one at a time. The arrays it returns are the caller's own.
    """

    def __init__(self, trt: Any, gpu: Gpu, engine: bytes, name: str, precision: str, kernels: bytes = b"") -> None:
        super().__init__(name)
        self._trt, self._gpu, self.precision = trt, gpu, precision
        self._graph: int | None = None
        self._host: dict[str, Array] = {}
        self._owned = ExitStack()
        self._open = True
        with ExitStack() as on_error:
            on_error.callback(self.close)
            self._owned.callback(gpu.close)
            gpu.make_current()
            loaded = open_engine(trt, engine, name)
            self._context, self._kernels = open_context(trt, loaded, name, kernels)
            self._owned.callback(self._drop_context)
            self._stream = gpu.make_stream()
            self._owned.callback(gpu.destroy_stream, self._stream)
            self._tensors = tensors_of(trt, loaded, self._context, name)
            self.inputs = self._ports(True)
            self.outputs = self._ports(False)
            self._host = {t.name: self._allocate(t) for t in self._tensors}
            self._owned.callback(self._drop_graph)
            self._owned.callback(gpu.wait, self._stream)  # first of all: nothing is freed under a running copy
            self._warm_up()
            how = "CUDA graph" if self._graph is not None else "no CUDA graph"
            self.ran_on = f"{title(trt)} ({gpu.facts.name}, {precision}, {how})"
            on_error.pop_all()

    @property
    def kernels(self) -> bytes:
        """What this session compiled on the GPU, for the next one's `kernels`; empty for plain TensorRT."""
        return bytes(self._kernels.serialize() or b"") if self._kernels is not None else b""

    @property
    def _running(self) -> bool:
        return self._open

    def _run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        self._gpu.make_current()
        for name, value in feed.items():
            np.copyto(self._host[name], value)
        if self._graph is not None:
            self._gpu.launch(self._graph, self._stream)
        else:
            self._queue()
        self._gpu.wait(self._stream)
        return {name: self._host[name].copy() for name in self.outputs}

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._host = {}
        try:
            self._gpu.make_current()
            self._owned.close()
        except GpuError as error:  # a GPU that failed while running fails here too; what it held went with it
            log.warning("%s: closed after an error: %s", self._name, error)

    def _queue(self) -> None:
        """Puts one run on the stream: uploads, network, downloads."""
        for tensor in self._tensors:
            if tensor.is_input:
                self._gpu.upload(tensor.device, tensor.pinned, tensor.length, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise ModelError(f"{self._name} failed while running ({last_error(self._trt)}): try --provider cpu")
        for tensor in self._tensors:
            if not tensor.is_input:
                self._gpu.download(tensor.pinned, tensor.device, tensor.length, self._stream)

    def _warm_up(self) -> None:
        """Runs once as it is, since a first run allocates and may not be recorded; then records a run."""
        self.run(blank_feed(self.inputs))
        capturable = getattr(self._context, "is_stream_capturable", lambda stream: True)
        if capturable(self._stream):
            self._graph = self._record()
        if self._graph is not None:
            self.run(blank_feed(self.inputs))
        self.spent_ns = 0

    def _record(self) -> int | None:
        self._gpu.begin_capture(self._stream)
        refused: ModelError | None = None
        try:
            self._queue()
        except ModelError as error:
            refused = error
        try:
            graph = self._gpu.end_capture(self._stream)  # also after a refusal: it ends the recording
        except GpuError as error:
            refused, graph = refused or error, 0
        if refused is None:
            return graph
        if graph:
            self._gpu.destroy_graph(graph)
        log.info("%s runs without a CUDA graph: %s", self._name, refused)
        return None

    def _allocate(self, tensor: Tensor) -> Array:
        """Memory for one tensor on the GPU and pinned in main memory; the latter as an array."""
        tensor.device = self._gpu.allocate(tensor.length)
        self._owned.callback(self._gpu.free, tensor.device)
        tensor.pinned = self._gpu.allocate_pinned(tensor.length)
        self._owned.callback(self._gpu.free_pinned, tensor.pinned)
        if not self._context.set_tensor_address(tensor.name, tensor.device):
            raise ModelError(f"{self._name}: TensorRT takes no memory for {tensor.name} ({last_error(self._trt)})")
        return tensor.pinned_array()

    def _ports(self, inputs: bool) -> Mapping[str, TensorSpec]:
        ports = {t.name: TensorSpec(t.shape, t.dtype) for t in self._tensors if t.is_input == inputs}
        return MappingProxyType(ports)

    def _drop_graph(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            self._gpu.destroy_graph(graph)

    def _drop_context(self) -> None:
        self._context = self._kernels = None


def open_engine_session(
    model: Path | bytes,
    *,
    provider: str = "tensorrt",
    precision: str = "fp32",
    find_gpu: Callable[[], Gpu] = open_gpu,
    find_module: Callable[[str], Any] = load_module,
    compiler: Compiler = compile_apart,
    cache: SealedCache | None = None,
) -> EngineSession:
    """The network in an ONNX file (or its bytes) as an engine on this machine's first NVIDIA GPU, warmed up.

    `provider` is tensorrt or rtx. The arithmetic is what the graph says; `precision` fp32 keeps float32 whole,
    auto allows TF32 in it (then `precision` of the session says `tf32`), another must be the graph's own. The
    engine comes from this user's cache, or is compiled and kept there; one that the GPU refuses is compiled again.
    Raises ModelError where there is no driver, GPU or module, and for a file or graph that is refused.
    """
    data, name = model_bytes(model)
    own = read_contents(data, name).precision
    if precision not in ("fp32", "auto", own):
        raise ModelError(f"{name} computes in {own}, not {precision}: export it again (masquerade export --precision)")
    tf32 = precision == "auto" and own == "fp32"

    def start() -> EngineSession:
        gpu = find_gpu()  # before the module: without a driver its library may crash
        with ExitStack() as on_error:
            on_error.callback(gpu.close)
            gpu.make_current()
            trt = find_module(provider)
            check_card(trt, gpu.facts)
            facts = engine_facts(trt, data, own, gpu.facts, tf32=tf32)

            def make(timings: bytes) -> Built:
                return compiler(provider, data, name, on_this_gpu=True, tf32=tf32, batch=1, timings=timings)

            session = _start(trt, gpu, facts, "tf32" if tf32 else own, name, make, cache or open_cache())
            on_error.pop_all()
        return session

    try:
        session = start()
    except _StaleEngine as error:
        log.warning("%s: the cached engine does not run here (%s): it is compiled again", name, error)
        session = start()
    log.info("%s runs on %s", name, session.ran_on)
    return session


class _StaleEngine(ModelError):
    """An engine out of the cache that TensorRT does not take; it is no longer in the cache."""


def _start(
    trt: Any,
    gpu: Gpu,
    facts: EngineFacts,
    precision: str,
    name: str,
    make: Callable[[bytes], Built],
    cache: SealedCache,
) -> EngineSession:
    found = find_engine(facts, name, cache, make)
    kernels = cache.load(facts.of("kernels")) or b""
    try:
        session = EngineSession(trt, gpu, found.engine, name, precision, kernels)
    except GpuError:
        raise
    except ModelError as error:
        if found.compiled:
            raise
        for kind in ("engine", "kernels"):
            cache.forget(facts.of(kind))
        raise _StaleEngine(str(error)) from error
    compiled = session.kernels
    if compiled and compiled != kernels:
        cache.store(facts.of("kernels"), compiled)
    return session
