"""Which providers can run a network on this machine, and with which options.

A provider asked for by name that cannot run is a ModelError that says what to install. `auto` takes CUDA, else
OpenVINO (on Intel's processors: its plugin offers no others), else the CPU. CoreML, DirectML and the compiled
engines are taken only by name. `runtime` is ONNX Runtime's module, or a stand-in for it.
"""

import ctypes
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime as ort

from realtime.errors import ModelError, pip_install

NAMES = ("auto", "cpu", "openvino", "cuda", "tensorrt", "rtx", "coreml", "directml")
PRECISIONS = ("fp32", "fp16", "bf16", "auto")

TITLES = {
    "CPUExecutionProvider": "CPU",
    "OpenVINOExecutionProvider": "OpenVINO",
    "CUDAExecutionProvider": "CUDA",
    "TensorrtExecutionProvider": "TensorRT",
    "NvTensorRTRTXExecutionProvider": "TensorRT RTX",
    "CoreMLExecutionProvider": "CoreML",
    "DmlExecutionProvider": "DirectML",
}
PLUGINS = {  # our name: (Python package, what to install, what it needs)
    "openvino": ("onnxruntime_ep_openvino", pip_install("openvino"), "an Intel CPU"),
    "rtx": ("onnxruntime_ep_nv_tensorrt_rtx", pip_install("rtx"), "a GeForce RTX 30 or later"),
}
ALONE = "in an environment of its own"
BUILT_IN = {  # our name: (ONNX Runtime's name, what to do where it is missing)
    "cuda": ("CUDAExecutionProvider", f"{ALONE}: {pip_install('gpu')} (NVIDIA driver 580 or later)"),
    "tensorrt": (
        "TensorrtExecutionProvider",
        f'{pip_install("tensorrt")}; or, {ALONE}, "masquerade[gpu]" and TensorRT 10',
    ),
    "coreml": ("CoreMLExecutionProvider", "it comes with macOS: pip install onnxruntime there"),
    "directml": ("DmlExecutionProvider", f"on Windows, {ALONE}: pip install onnxruntime-directml, not onnxruntime"),
}
MODULES = {  # provider: the modules that may bring it, its title, what installs it
    "tensorrt": (("tensorrt",), "TensorRT", pip_install("tensorrt")),
    "rtx": (("tensorrt_rtx", "tensorrt_rtx_bindings"), "TensorRT RTX", pip_install("rtx")),
}
ON_NVIDIA = frozenset({"cuda", "tensorrt", "rtx"})
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

_refused: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Choice:
    """How to open a session: the provider, its options and devices, and the precision asked of it.

    `provider` is ONNX Runtime's name, or empty where a compiled engine does the work (`tensorrt`, `rtx`).
    """

    name: str
    provider: str
    precision: str
    options: dict[str, str] = field(default_factory=dict)
    devices: tuple[Any, ...] = ()

    @property
    def on_nvidia(self) -> bool:
        """Whether ONNX Runtime runs it on an NVIDIA GPU, with arrays that can lie there beforehand."""
        return bool(self.provider) and self.name in ("cuda", "tensorrt")


def choose(name: str, precision: str, threads: int, runtime: Any = ort) -> list[Choice]:
    """The ways to try, best first: one for a provider asked for by name, several for `auto`.

    Raises ModelError where a provider asked for by name cannot run here.
    """
    if name not in NAMES:
        raise ModelError(f"there is no provider {name}: choose one of {', '.join(NAMES)}")
    if precision not in PRECISIONS:
        raise ModelError(f"there is no precision {precision}: choose one of {', '.join(PRECISIONS)}")
    if name != "auto":
        return [_choice(name, precision, threads, runtime)]
    choices, reasons = [], {}
    for candidate in ("cuda", "openvino", "cpu"):
        try:
            choices.append(_choice(candidate, precision, threads, runtime))
        except ModelError as error:
            reasons[candidate] = error  # `masquerade doctor` shows them all
    if not choices:
        raise ModelError(f"precision {precision} cannot be had here: {reasons['openvino']}")
    return choices


def available_providers() -> dict[str, str]:
    """Every provider by name: `ready`, or why it cannot run here and what to do about it."""
    return {name: why_not(name) or "ready" for name in NAMES if name != "auto"}


def why_not(name: str) -> str:
    """Why a provider cannot run here, or an empty string where it seems that it can."""
    try:
        _choice(name, "fp32", 1, ort)
    except ModelError as error:
        return str(error)
    return ""


def why_no_gpu(load: Callable[[str], Any] = ctypes.CDLL) -> str:
    """Why CUDA cannot run here, with what to do; an empty string where a GPU answers. `load` opens a library.

    Asked before any other NVIDIA library is loaded: without a driver TensorRT's end the process, and ONNX Runtime's
    CUDA provider silently runs on the CPU. `cuInit` makes no context and takes no memory of the GPU.
    """
    try:
        driver = load(DRIVER)
    except OSError:
        return f"there is no NVIDIA driver here ({DRIVER} does not load): install one, or use --provider cpu"
    count = ctypes.c_int(0)
    try:
        failed = int(driver.cuInit(ctypes.c_uint(0))) or int(driver.cuDeviceGetCount(ctypes.byref(count)))
    except AttributeError:
        return f"{DRIVER} is not NVIDIA's driver: install one, or use --provider cpu"
    if failed or count.value < 1:
        reason = f"error {failed}" if failed else "it counts none"
        return f"the NVIDIA driver finds no GPU ({reason}): check nvidia-smi, or use --provider cpu"
    return ""


def engine_module_installed(provider: str) -> bool:
    """Whether the provider's TensorRT module is there; looks without loading it. False for other providers."""
    return any(importlib.util.find_spec(name) for name in MODULES.get(provider, ((), "", ""))[0])


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads counted once."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    places = re.findall(r"^(?:physical|core) id\s*: (\d+)", _cpuinfo(), re.MULTILINE)
    cores = set(zip(places[::2], places[1::2], strict=False))  # each processor tells its package, then its core
    return max(1, min(usable, len(cores) or usable))


def default_threads() -> int:
    """Threads for inference: one core is left to capture, blending and output.

    On two cores with other load a second thread costs work and gains next to nothing (docs/studies/thread-counts).
    """
    return max(1, physical_cores() - 1)


def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags as Linux names them; empty elsewhere."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)", _cpuinfo(), re.MULTILINE)
    return frozenset(found[1].split() if found else ())


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def first_line(error: BaseException) -> str:
    """What an error of the runtime says, cut to one line."""
    lines = str(error).strip().splitlines()
    return lines[0].strip()[:200] if lines else type(error).__name__


def _choice(name: str, precision: str, threads: int, runtime: Any) -> Choice:
    if precision == "bf16" and name != "openvino":
        raise ModelError(f"bf16 needs the OpenVINO provider, not {name}: use precision fp32")
    if precision == "fp16":
        raise ModelError(f"{name} runs fp16 only where the file itself is fp16: masquerade export --precision fp16")
    if name == "cpu":
        return Choice(name, "CPUExecutionProvider", "fp32")
    if name == "openvino":
        return _openvino(precision, threads, runtime)
    if engine_module_installed(name):
        _require_gpu(name)
        return Choice(name, "", precision)
    if name == "rtx":
        devices = _plugin_devices("rtx", "GPU", runtime)
        return Choice(name, devices[0].ep_name, "fp32", {"enable_cuda_graph": "1"}, devices[:1])
    provider, advice = BUILT_IN[name]
    if provider not in runtime.get_available_providers():
        raise ModelError(f"this ONNX Runtime has no {TITLES[provider]}: {advice}")
    _require_gpu(name)
    options = {
        # Its own cache would load any engine file that lies there; ours (`engine_cache`) is for our own sessions.
        "tensorrt": {"trt_engine_cache_enable": "0"},
        # The newer format keeps fp32 as fp32; static shapes are all that Apple's compilers do well.
        "coreml": {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL", "RequireStaticInputShapes": "1"},
        "directml": {"device_id": "0"},
        # TF32 keeps 10 bits of a number: not what "fp32" promises, and twice the jitter in landmarks.
        "cuda": {"use_tf32": "1" if precision == "auto" else "0"},
    }[name]
    return Choice(name, provider, "fp32", options)


def _require_gpu(name: str) -> None:
    if name in ON_NVIDIA and (reason := why_no_gpu()):
        raise ModelError(reason)


def _openvino(precision: str, threads: int, runtime: Any) -> Choice:
    """OpenVINO on the CPU. Its own default on AMX machines is bf16, so the precision is always set."""
    flags = cpu_flags()
    if precision == "auto":
        precision = "bf16" if "amx_bf16" in flags else "fp32"
    elif precision == "bf16" and not flags & {"amx_bf16", "avx512_bf16"}:
        raise ModelError("this CPU has no bf16 arithmetic (it would run 4 times slower): use precision fp32")
    devices = _plugin_devices("openvino", "CPU", runtime)
    hint = "bf16" if precision == "bf16" else "f32"
    config = f'{{"CPU":{{"INFERENCE_PRECISION_HINT":"{hint}","INFERENCE_NUM_THREADS":"{threads}"}}}}'
    return Choice("openvino", devices[0].ep_name, precision, {"load_config": config}, devices[:1])


def _plugin_devices(name: str, kind: str, runtime: Any) -> tuple[Any, ...]:
    """The devices of a plugin provider; registers its library on first use."""
    package, advice, hardware = PLUGINS[name]
    try:
        plugin = importlib.import_module(package)
    except ImportError as error:
        raise ModelError(f"the provider {name} is not installed: {advice}") from error
    _require_gpu(name)  # its library needs the driver's to load
    ep_name = str(plugin.get_ep_name())

    def devices() -> tuple[Any, ...]:
        wanted = getattr(runtime.OrtHardwareDeviceType, kind)
        return tuple(d for d in runtime.get_ep_devices() if d.ep_name == ep_name and d.device.type == wanted)

    if ep_name not in _refused and not devices():
        try:
            runtime.register_execution_provider_library(ep_name, str(plugin.get_library_path()))
        except Exception as error:  # ONNX Runtime's errors share no class of their own
            _refused[ep_name] = f"the provider {name} does not load here ({first_line(error)}): use --provider auto"
        else:
            if not devices():  # OpenVINO runs on other makers' processors too, but its plugin offers only Intel's
                _refused[ep_name] = f"the provider {name} needs {hardware}, which is not here: use --provider auto"
    if ep_name in _refused:
        raise ModelError(_refused[ep_name])
    return devices()
