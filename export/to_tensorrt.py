"""ONNX networks as engines of NVIDIA's TensorRT or TensorRT-RTX, kept in this user's sealed cache.

TensorRT 11 has no switch for the precision: a network computes in what its graph says. So fp16 is a cast of the
graph (`export.half.to_fp16`, which keeps float32 where it must), and int8 is the symmetric Q/DQ pairs that
`export.int8` writes in its form `tensorrt`; its form for CPUs has int32 biases and zero points, which TensorRT
rejects.
An engine made here is the one that `--provider tensorrt` or `rtx` finds on this machine. TensorRT-RTX compiles
without a GPU too, for every kind that it knows: that shows that a network compiles, and fits no session.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from realtime.errors import ModelError
from realtime.inference.compile_apart import compile_apart
from realtime.inference.cuda_driver import GpuFacts, open_gpu
from realtime.inference.engine_cache import NO_GPU, engine_facts, find_engine, open_cache
from realtime.inference.onnx_file import read_contents
from realtime.inference.providers import MODULES, engine_module_installed, why_no_gpu
from realtime.inference.sealed_cache import SealedCache
from realtime.inference.tensorrt_build import Built, compile_network
from realtime.inference.tensorrt_module import check_card, load_module, title

PRECISIONS = ("fp32", "fp16", "int8")
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


def build_engine(
    data: bytes, precision: str | None = None, *, name: str = "the model", runtime: str | None = None, batch: int = 1
) -> bytes:
    """The serialised engine of an ONNX file's bytes, compiled now, in this process, and not kept.

    `precision` is fp32, fp16 or int8; None takes the graph's own. `runtime` is tensorrt or rtx; None takes the
    one that can compile here. `batch` sets an open batch size.
    Raises ModelError, in one line, for a graph that is refused or cannot have that precision.
    """
    _, trt, gpu = _here(runtime)
    graph = graph_for(data, precision, name)
    return compile_network(trt, graph, name, on_this_gpu=gpu is not None, batch=batch).engine


def cached_engine(
    model: Path,
    precision: str | None = None,
    *,
    runtime: str | None = None,
    batch: int = 1,
    cache: SealedCache | None = None,
) -> Compiled:
    """The engine of an ONNX file for this machine: out of the cache, else compiled in a child process and kept.

    Takes what `build_engine` takes, and raises what it raises.
    """
    try:
        data = model.read_bytes()
    except OSError as error:
        raise ModelError(f"{model} cannot be read ({error.strerror}): check the path") from error
    own = _check(data, precision, model.name)
    runtime, trt, gpu = _here(runtime)
    facts = engine_facts(trt, data, precision or own, gpu, batch=batch)

    def make(timings: bytes) -> Built:
        graph = graph_for(data, precision, model.name)
        on_this_gpu = facts.on_this_gpu
        return compile_apart(
            runtime, graph, model.name, on_this_gpu=on_this_gpu, tf32=False, batch=batch, timings=timings
        )

    found = find_engine(facts, model.name, cache or open_cache(), make)
    return Compiled(found.engine, found.path, found.compiled, title(trt), facts.gpu)


def graph_for(data: bytes, precision: str | None, name: str) -> bytes:
    """The ONNX graph that computes in `precision`: the given one, or its cast to fp16. Raises ModelError."""
    own = _check(data, precision, name)
    if own == "int8":
        _check_pairs(onnx.load_from_string(data), name)
    if precision in (None, own):
        return data
    from export.half import to_fp16

    return bytes(to_fp16(onnx.load_from_string(data)).SerializeToString())


def _check(data: bytes, precision: str | None, name: str) -> str:
    """The graph's own precision. Raises ModelError where the file is refused or `precision` can't be made of it."""
    own = read_contents(data, name).precision
    if precision is not None and precision not in PRECISIONS:
        raise ModelError(f"there is no precision {precision} for engines: choose one of {', '.join(PRECISIONS)}")
    if precision in (None, own) or (own, precision) == ("fp32", "fp16"):
        return own
    if precision == "int8":
        raise ModelError(f"{name} computes in {own}, and int8 has to be calibrated: {ADVICE}")
    raise ModelError(f"{name} computes in {own}: an engine in {precision} needs the model in fp32")


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
    gpu = open_gpu()
    facts = gpu.facts
    gpu.close()  # TensorRT opens it by itself
    trt = load_module(runtime)
    check_card(trt, facts)
    return runtime, trt, facts
