"""From a serialised engine to something that can run: the engine, its context, its tensors."""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime.errors import ModelError
from realtime.inference.session import Array
from realtime.inference.tensorrt_module import last_error, logger, title


@dataclass(slots=True)
class Tensor:
    """One input or output of an engine; addresses are 0 until the session has given it memory."""

    name: str
    is_input: bool
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    device: int = 0
    pinned: int = 0

    @property
    def length(self) -> int:
        """Bytes; a scalar has one element."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def pinned_array(self) -> Array:
        """The pinned memory as an array of this shape. It must not outlive that memory."""
        raw = (ctypes.c_ubyte * self.length).from_address(self.pinned)
        return np.ndarray(self.shape, self.dtype, memoryview(raw))


def open_engine(trt: Any, engine: bytes, name: str) -> Any:
    """The engine on the current GPU. Raises ModelError where TensorRT does not take it: another GPU or version."""
    logger(trt).errors.clear()
    runtime = trt.Runtime(logger(trt))
    loaded = runtime.deserialize_cuda_engine(engine)
    if loaded is None:
        reason = _why_invalid(trt, runtime, engine) or last_error(trt)
        raise ModelError(f"{title(trt)} does not run {name} on this GPU ({reason}): use --provider cuda or cpu")
    return loaded


def open_context(trt: Any, engine: Any, name: str, kernels: bytes) -> tuple[Any, Any | None]:
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


def tensors_of(trt: Any, engine: Any, context: Any, name: str) -> list[Tensor]:
    """Every input and output, inputs with an open batch size set to the one the engine was compiled for.

    Raises ModelError for tensors that a session can't hold in fixed memory: sizes only known after a run, shape
    inputs, and number formats that numpy lacks.
    """
    names = [str(engine.get_tensor_name(i)) for i in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    for tensor in inputs:
        if -1 in tuple(engine.get_tensor_shape(tensor)):
            smallest = tuple(engine.get_tensor_profile_shape(tensor, 0)[0])
            context.set_input_shape(tensor, smallest)
    found = []
    for tensor in names:
        shape = tuple(int(s) for s in context.get_tensor_shape(tensor))
        if any(s < 1 for s in shape) or engine.get_tensor_location(tensor) != trt.TensorLocation.DEVICE:
            raise ModelError(f"{name}: the size of {tensor} is only known while running: export it with fixed sizes")
        try:
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(tensor)))
        except TypeError as error:
            raise ModelError(f"{name}: {tensor} is in a format that numpy lacks: export it as float32") from error
        found.append(Tensor(tensor, tensor in inputs, shape, dtype))
    return found


def _why_invalid(trt: Any, runtime: Any, engine: bytes) -> str:
    """What the module itself says of an engine that it did not take, where it can (TensorRT-RTX), in words."""
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    _, flags = runtime.get_engine_validity(engine)
    reasons = trt.EngineInvalidityDiagnostics.__members__.items()
    return ", ".join(name.lower().replace("_", " ") for name, reason in reasons if int(flags) & int(reason))
