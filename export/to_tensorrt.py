"""Compiles ONNX networks to engines of NVIDIA's TensorRT or TensorRT-RTX, kept in this user's cache.

TensorRT 11 has no switch for the precision: a network computes in what its graph says, fp16 by `export.half`, int8 by
`export.int8` in its form `tensorrt`. An engine made here is the one that `--provider tensorrt` or `rtx` finds on this
machine. TensorRT-RTX compiles without a GPU too: that shows that a network compiles, and fits no session.
"""

from pathlib import Path

from realtime.inference.engine_cache import EngineCache, engine_facts, find_engine, open_cache
from realtime.inference.onnx_file import check_onnx
from realtime.inference.providers import engine_module_installed, why_no_gpu
from realtime.inference.tensorrt_build import check_card, compile_in_child, load_module, open_gpu, title


def compile_engine(model: Path, cache: EngineCache | None = None) -> str:
    """Compiles an ONNX file for this machine in a child process, unless the cache has it; what to tell the user.

    Raises ModelError, in one line, for a graph that is refused, or where nothing here can compile it.
    """
    no_gpu = why_no_gpu()  # before a library that would crash without a driver
    runtime = "tensorrt" if not no_gpu and engine_module_installed("tensorrt") else "rtx"
    gpu = None if no_gpu else open_gpu()
    trt = load_module(runtime)
    if gpu is not None:
        check_card(trt, gpu)
    data = model.read_bytes()
    facts = engine_facts(trt, data, check_onnx(data, model.name), gpu)

    def make() -> bytes:
        return compile_in_child(runtime, data, model.name, on_this_gpu=gpu is not None, tf32=False)

    found = find_engine(facts, model.name, cache or open_cache(), make)
    done = f"{'compiled' if found.compiled else 'already compiled'} with {title(trt)}"
    size = f"({len(found.engine) / 1e6:.1f} MB)"
    if gpu is None:
        return f"{done} {size}; no GPU is here, so the machine that runs it compiles its own"
    return f"{done} for {gpu.model} {size}{'' if found.path else '; it could not be kept'}"
