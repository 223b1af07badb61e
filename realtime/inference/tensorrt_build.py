"""Compiles an ONNX file into an engine with TensorRT 11 or TensorRT-RTX.

Since TensorRT 11 networks are strongly typed: float16 or int8 arithmetic is what the graph says (float16 tensors,
Q/DQ pairs), never a switch of the builder. `export/to_tensorrt.py` makes such graphs.
"""

from typing import Any, NamedTuple

from realtime.errors import ModelError
from realtime.inference.tensorrt_module import is_rtx, last_error, logger, title

BUILD = 1  # part of every cache key: raise it when this file changes what an engine is


class Built(NamedTuple):
    """A serialised engine, and what the builder learnt about this GPU's kernels, for the next build.

    The latter is TensorRT's timing cache; TensorRT-RTX, which finishes kernels where they run, has none: empty.
    """

    engine: bytes
    timings: bytes


def compile_network(
    trt: Any, data: bytes, name: str, *, on_this_gpu: bool, tf32: bool = False, batch: int = 1, timings: bytes = b""
) -> Built:
    """The engine of a checked ONNX file (`read_contents` has admitted it).

    `on_this_gpu` compiles for the GPU here; without one, TensorRT-RTX compiles for every kind it knows, and
    TensorRT cannot. `tf32` lets float32 products keep 10 bits of a number. An open batch size becomes `batch`.
    Raises ModelError for operators that TensorRT lacks, other open sizes and everything else the builder refuses.
    """
    if not on_this_gpu and not is_rtx(trt):
        raise ModelError(f"{title(trt)} compiles only where an NVIDIA GPU is: run this there, or use TensorRT RTX")
    log = logger(trt)
    log.errors.clear()
    try:
        builder = trt.Builder(log)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, log)
        if not parser.parse(data):
            raise ModelError(_refusal(parser, trt, name))
        config = builder.create_builder_config()
        _fix_batch(builder, network, config, name, batch)
        _set_flags(trt, config, tf32=tf32, on_this_gpu=on_this_gpu)
        cache = None if is_rtx(trt) else config.create_timing_cache(timings) or config.create_timing_cache(b"")
        if cache is not None:
            config.set_timing_cache(cache, False)
        made = builder.build_serialized_network(network, config)
        if made is None:
            raise ModelError(f"{title(trt)} does not compile {name} ({last_error(trt)}): use another provider")
        return Built(bytes(made), bytes(cache.serialize()) if cache is not None else b"")
    except (TypeError, RuntimeError, MemoryError) as error:  # how the bindings say that the library gave nothing
        raise ModelError(f"{title(trt)} does not compile {name} ({last_error(trt)}): use another provider") from error


def _set_flags(trt: Any, config: Any, *, tf32: bool, on_this_gpu: bool) -> None:
    (config.set_flag if tf32 else config.clear_flag)(trt.BuilderFlag.TF32)  # on unless cleared
    if not is_rtx(trt):
        return
    # Fixed memory, so that the whole run can be recorded as a CUDA graph.
    config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if on_this_gpu:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)


def _fix_batch(builder: Any, network: Any, config: Any, name: str, batch: int) -> None:
    """Sets open batch sizes; other open sizes are an error, since buffers and graphs are of one size."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    profile = None
    for value in inputs:
        shape = tuple(value.shape)
        if -1 not in shape:
            continue
        if -1 in shape[1:]:
            raise ModelError(f"{name} leaves more than the batch size of {value.name} open: export it with fixed sizes")
        profile = profile or builder.create_optimization_profile()
        fixed = (batch, *shape[1:])
        profile.set_shape(value.name, fixed, fixed, fixed)
    if profile is not None:
        config.add_optimization_profile(profile)


def _refusal(parser: Any, trt: Any, name: str) -> str:
    for i in range(parser.num_errors):
        error = parser.get_error(i)
        operator, reason = str(error.node_operator()), str(error.desc()).strip().split("\n")[0][:200]
        if operator and "lugin" in reason:
            return f"{name} uses the operator {operator}, which {title(trt)} does not have: use another provider"
        where = f"{operator}: " if operator else ""
        return f"{title(trt)} cannot read {name} ({where}{reason}): use another provider"
    return f"{title(trt)} cannot read {name} ({last_error(trt)}): is it a whole ONNX model?"
