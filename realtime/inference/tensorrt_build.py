"""Compiles an ONNX file into an engine with NVIDIA's TensorRT 11 or TensorRT-RTX: two packages with one API.

Both are proprietary and installed by the user. TensorRT-RTX serves GeForce RTX and RTX PRO cards (compute capability
7.5 to 8.9 and 12) and compiles without a GPU; TensorRT serves all others. Networks are strongly typed: float16 or int8
arithmetic is what the graph says (float16 tensors, Q/DQ pairs); `export/to_tensorrt.py` makes such graphs.

TensorRT's reader is written for files that are in order: of 100 damaged ones one crashed it (TensorRT-RTX 1.7, 2026).
ONNX Runtime's refuses such files with an error, so it is asked first, and the compiler runs in a child process, which
it can only end alone and which can be stopped at any moment.
"""

import importlib
import importlib.util
import json
import logging
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from realtime.errors import ModelError, pip_install
from realtime.inference.providers import MODULES, first_line, why_no_gpu
from realtime.inference.trial import child_exit, run_child

log = logging.getLogger(__name__)

BUILD = 1  # part of every cache key: raise it when this file changes what an engine is
MODEL, ENGINE = "model.onnx", "engine"


@dataclass(frozen=True, slots=True, eq=False)
class Gpu:
    """The first GPU that CUDA shows: the module `cuda.core` (or a stand-in), its device, and what engines depend on."""

    cuda: Any
    device: Any
    name: str
    capability: tuple[int, int]
    processors: int
    driver: str

    @property
    def model(self) -> str:
        """The GPU in words, e.g. `NVIDIA H200 (sm_90, 132 processors)`; a slice of one counts its own."""
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]}, {self.processors} processors)"


class GpuError(ModelError):
    """A call of CUDA that failed; its text is one line."""


@contextmanager
def gpu_errors() -> Iterator[None]:
    """Turns what `cuda.core` raises into GpuError."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "CUDAError":  # it has no public name
            raise
        do = "close other programs that use it" if "OUT_OF_MEMORY" in str(error) else "check nvidia-smi"
        raise GpuError(f"the GPU failed ({first_line(error)}): {do}, or use --provider cpu") from error


def open_gpu(cuda: Any = None) -> Gpu:
    """The first GPU, current in this thread (`CUDA_VISIBLE_DEVICES` chooses). Raises ModelError where there is none.

    It must be asked before a TensorRT library is loaded: without a driver some of those crash.
    """
    if cuda is None:
        if refused := why_no_gpu():
            raise ModelError(refused)
        try:
            cuda = importlib.import_module("cuda.core")
        except ImportError as error:
            raise ModelError(f"cuda-core is not installed: {pip_install('tensorrt')}") from error
    with gpu_errors():
        device = cuda.Device(0)
        device.set_current()
        driver = "CUDA " + ".".join(map(str, cuda.system.get_user_mode_driver_version()))
        with suppress(RuntimeError):  # NVML is not everywhere
            driver = ".".join(map(str, cuda.system.get_kernel_mode_driver_version())) + " " + driver
        major, minor = device.compute_capability
        processors = device.properties.multiprocessor_count
        return Gpu(cuda, device, device.name, (major, minor), processors, driver)


def load_module(provider: str) -> Any:
    """The TensorRT module of the provider `tensorrt` or `rtx`. Raises ModelError where it is missing or broken."""
    names, title, advice = MODULES[provider]
    for name in names:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            found = importlib.import_module(name)
        except Exception as error:  # a missing library of its own: ImportError, OSError or FileNotFoundError
            raise ModelError(f"{title} is installed but does not load ({first_line(error)}): {advice}") from error
        if not hasattr(found, "OnnxParser"):
            raise ModelError(f"the module {name} is not {title} 10 or later: {advice}")
        return found
    raise ModelError(f"{title} is not installed: {advice}, or use --provider auto")


def is_rtx(trt: Any) -> bool:
    """Whether a module is TensorRT-RTX: only that one compiles for GPUs that are not here."""
    return str(trt.__name__).startswith("tensorrt_rtx")


def title(trt: Any) -> str:
    """The module's name and version for the user, e.g. `TensorRT RTX 1.7.1.116`."""
    return f"{MODULES['rtx' if is_rtx(trt) else 'tensorrt'][1]} {trt.__version__}"


def check_card(trt: Any, gpu: Gpu) -> None:
    """Raises ModelError where TensorRT-RTX has no kernels for a GPU: those of data centres, and old ones.

    For later ones than those it names it compiles while loading.
    """
    if not is_rtx(trt):
        return
    names = trt.ComputeCapability.__members__
    known = {(int(n[2:-1]), int(n[-1])) for n in names if n.startswith("SM") and n[2:].isdigit()}
    if known and gpu.capability not in known and gpu.capability < max(known):
        raise ModelError(f"{title(trt)} has no kernels for {gpu.model}: use --provider tensorrt or cuda")


@lru_cache(maxsize=4)
def logger(trt: Any) -> Any:
    """The one logger of a TensorRT module: it takes the first it is given for the whole process.

    `errors` holds the last lines that said error; they go into our own messages, not to the screen.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]  # the module is only known while running
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=20)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            log.debug("%s", message)

    return Logger()


def last_error(trt: Any) -> str:
    """The last thing the module complained about, cut to one line; clears what was kept."""
    kept = logger(trt).errors
    text = str(kept[-1]).strip() if kept else ""
    kept.clear()
    return text.split("\n")[0][:240] or "it gave no reason"


def compile_in_child(
    provider: str, data: bytes, name: str, *, on_this_gpu: bool, tf32: bool, run: Callable[..., None] = run_child
) -> bytes:
    """As `compile_network`, in a child process. Raises ModelError also where that one crashed or the disk is full."""
    from realtime.inference.ort import open_session  # which may call this module's users

    open_session(data, provider="cpu").close()
    how = json.dumps({"name": name, "on_this_gpu": on_this_gpu, "tf32": tf32})
    crashed, do = f"{MODULES[provider][1]} crashed while compiling {name}", "use another provider"
    try:
        with tempfile.TemporaryDirectory(prefix="masquerade-") as folder:
            Path(folder, MODEL).write_bytes(data)
            run("realtime.inference.tensorrt_build", provider, folder, how, crashed=crashed, do=do)
            return Path(folder, ENGINE).read_bytes()
    except OSError as error:
        raise ModelError(
            f"{name} cannot be compiled ({error.strerror or error}): free some space in {tempfile.gettempdir()}"
        ) from error


def main(provider: str, folder: str, how: str) -> None:
    """The child: compiles what lies in the folder and leaves the engine there. Raises ModelError."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # else Ctrl-C waits for the compiler
    data = Path(folder, MODEL).read_bytes()
    Path(folder, ENGINE).write_bytes(compile_network(load_module(provider), data, **json.loads(how)))


def compile_network(trt: Any, data: bytes, name: str, *, on_this_gpu: bool, tf32: bool = False) -> bytes:
    """The engine of a checked ONNX file (`check_onnx` has admitted it).

    `on_this_gpu` compiles for the GPU here; without one, TensorRT-RTX compiles for every kind it knows, and
    TensorRT cannot. `tf32` lets float32 products keep 10 bits of a number. An open batch size becomes 1.
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
        _fix_batch(builder, network, config, name)
        _set_flags(trt, config, tf32=tf32, on_this_gpu=on_this_gpu)
        made = builder.build_serialized_network(network, config)
        if made is None:
            raise ModelError(f"{title(trt)} does not compile {name} ({last_error(trt)}): use another provider")
        return bytes(made)
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


def _fix_batch(builder: Any, network: Any, config: Any, name: str) -> None:
    """Sets open batch sizes to 1; other open sizes are an error, since buffers and graphs are of one size."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    profile = None
    for value in inputs:
        shape = tuple(value.shape)
        if -1 not in shape:
            continue
        if -1 in shape[1:]:
            raise ModelError(f"{name} leaves more than the batch size of {value.name} open: export it with fixed sizes")
        profile = profile or builder.create_optimization_profile()
        fixed = (1, *shape[1:])
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


if __name__ == "__main__":
    child_exit(lambda: main(*sys.argv[1:]))
