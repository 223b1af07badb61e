"""Compiles ONNX networks to engines of NVIDIA's TensorRT or TensorRT-RTX, kept in this user's cache.

TensorRT 11 has no switch for the precision: a network computes in what its graph says, fp16 by `export.half`, int8 by
`export.int8` in its form `tensorrt`. An engine made here is the one that `--provider tensorrt` or `rtx` finds on this
machine. TensorRT-RTX compiles without a GPU too: that shows that a network compiles, and fits no session.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from realtime.errors import ModelError
from realtime.inference.engine_cache import NO_GPU, EngineCache, engine_facts, find_engine, open_cache
from realtime.inference.onnx_file import read_contents
from realtime.inference.providers import MODULES, engine_module_installed, why_no_gpu
from realtime.inference.tensorrt_build import (
    GpuFacts,
    check_card,
    compile_in_child,
    load_module,
    open_gpu,
    title,
)

ADVICE = "write one for it (masquerade export --precision int8 --engine tensorrt)"


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """An engine on this machine; `path` is None where the disk did not take it, `fresh` where it was not there."""

    engine: bytes
    path: Path | None
    fresh: bool
    runtime: str
    gpu: str

    @property
    def line(self) -> str:
        """What to tell the user."""
        done = "compiled" if self.fresh else "already compiled"
        size = f"{len(self.engine) / 1e6:.1f} MB"
        if self.gpu == NO_GPU:
            return f"{done} with {self.runtime} ({size}); no GPU is here, so the machine that runs it compiles its own"
        kept = "" if self.path else "; it could not be kept"
        return f"{done} with {self.runtime} for {self.gpu} ({size}){kept}"


def cached_engine(
    model: Path, *, runtime: str | None = None, batch: int = 1, cache: EngineCache | None = None
) -> Compiled:
    """The engine of an ONNX file for this machine: out of the cache, else compiled in a child process and kept.

    `runtime` is tensorrt or rtx; None takes the one that can compile here. `batch` sets an open batch size.
    Raises ModelError, in one line, for a graph that is refused.
    """
    try:
        data = model.read_bytes()
    except OSError as error:
        raise ModelError(f"{model} cannot be read ({error.strerror}): check the path") from error
    precision = read_contents(data, model.name).precision
    if precision == "int8":
        _check_pairs(onnx.load_from_string(data), model.name)
    runtime, trt, gpu = _here(runtime)
    facts = engine_facts(trt, data, precision, gpu, batch=batch)

    def make() -> bytes:
        here = gpu is not None
        return compile_in_child(runtime, data, model.name, on_this_gpu=here, tf32=False, batch=batch)

    found = find_engine(facts, model.name, cache or open_cache(), make)
    return Compiled(found.engine, found.path, found.compiled, title(trt), gpu.model if gpu else NO_GPU)


def _check_pairs(model: onnx.ModelProto, name: str) -> None:
    """Raises ModelError for Q/DQ that TensorRT rejects, in words that say where it comes from."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        whole = constants.get(node.input[0])
        if whole is not None and whole.data_type == onnx.TensorProto.INT32:
            raise ModelError(f"{name} has int32 biases, which TensorRT rejects: {ADVICE}")
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and np.any(numpy_helper.to_array(zero)):
            raise ModelError(f"{name} is not quantised symmetrically, as TensorRT wants it: {ADVICE}")


def _here(runtime: str | None) -> tuple[str, Any, GpuFacts | None]:
    """The runtime that compiles here, its module, and the GPU if there is one. Raises ModelError where neither can."""
    if runtime is not None and runtime not in MODULES:
        raise ModelError(f"there is no runtime {runtime}: choose one of {', '.join(MODULES)}")
    no_gpu = why_no_gpu()  # before a library that would crash without a driver
    if runtime is None:
        runtime = "tensorrt" if not no_gpu and engine_module_installed("tensorrt") else "rtx"
    if no_gpu:
        if runtime == "tensorrt":
            raise ModelError(f"TensorRT compiles only where a GPU is: {no_gpu}")
        return runtime, load_module(runtime), None
    facts = open_gpu().facts
    trt = load_module(runtime)
    check_card(trt, facts)
    return runtime, trt, facts
