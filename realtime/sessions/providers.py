"""Which execution providers of ONNX Runtime this machine can really use, and with which options.

A provider asked for by name that cannot run is a ModelError that says what to install. `auto` takes CUDA,
else OpenVINO (on Intel's processors: its plugin offers no others), else the CPU, and logs why.
"""

import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime as ort
import platformdirs

from realtime.errors import ModelError

NAMES = ("auto", "cpu", "openvino", "cuda", "tensorrt", "rtx")
PRECISIONS = ("fp32", "bf16", "auto")

TITLES = {
    "CPUExecutionProvider": "CPU",
    "OpenVINOExecutionProvider": "OpenVINO",
    "CUDAExecutionProvider": "CUDA",
    "TensorrtExecutionProvider": "TensorRT",
    "NvTensorRTRTXExecutionProvider": "TensorRT RTX",
}
PLUGINS = {  # our name: (Python package, what to install, what it needs)
    "openvino": ("onnxruntime_ep_openvino", 'pip install "masquerade[openvino]"', "an Intel CPU"),
    "rtx": ("onnxruntime_ep_nv_tensorrt_rtx", 'pip install "masquerade[rtx]"', "a GeForce RTX 30 or later"),
}
BUILT_IN = {  # our name: (ONNX Runtime's name, what to do where it is missing)
    "cuda": (
        "CUDAExecutionProvider",
        'in an environment of its own: pip install "masquerade[gpu]" (NVIDIA driver 580 or later)',
    ),
    "tensorrt": (
        "TensorrtExecutionProvider",
        'in an environment of its own: pip install "masquerade[gpu]" and TensorRT 10',
    ),
}

_refused: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Choice:
    """How to open a session: the provider, its options and devices, and the precision asked of it."""

    name: str
    provider: str
    precision: str
    options: dict[str, str] = field(default_factory=dict)
    devices: tuple[Any, ...] = ()


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads counted once."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pairs = set()
    physical = ""
    for line in _cpuinfo().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "physical id":
            physical = value.strip()
        elif key.strip() == "core id":
            pairs.add((physical, value.strip()))
    return max(1, min(usable, len(pairs) or usable))


def default_threads() -> int:
    """Threads for inference: one core is left to capture, blending and output."""
    return max(1, physical_cores() - 1)


def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags as Linux names them; empty elsewhere."""
    for line in _cpuinfo().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def choose(name: str, precision: str, threads: int) -> list[Choice]:
    """The ways to try, best first: one for a provider asked for by name, several for `auto`.

    Raises ModelError where a provider asked for by name cannot run here.
    """
    if name not in NAMES:
        raise ModelError(f"there is no provider {name}: choose one of {', '.join(NAMES)}")
    if precision not in PRECISIONS:
        raise ModelError(f"there is no precision {precision}: choose one of {', '.join(PRECISIONS)}")
    if name != "auto":
        return [_choice(name, precision, threads)]
    choices = []
    for candidate in ("cuda", "openvino", "cpu"):
        try:
            choices.append(_choice(candidate, precision, threads))
        except ModelError:
            continue  # `why_not` keeps the reason; `masquerade doctor` shows it
    if not choices:
        raise ModelError(f"precision {precision} cannot be had here: {why_not('openvino')}")
    return choices


def available_providers() -> dict[str, str]:
    """Every provider by name: `ready`, or why it cannot run here and what to do about it."""
    return {name: why_not(name) or "ready" for name in NAMES if name != "auto"}


def why_not(name: str) -> str:
    """Why a provider cannot run here, or an empty string where it seems that it can."""
    try:
        _choice(name, "fp32", 1)
    except ModelError as error:
        return str(error)
    return ""


def _choice(name: str, precision: str, threads: int) -> Choice:
    if precision == "bf16" and name != "openvino":
        raise ModelError(f"bf16 needs the OpenVINO provider, not {name}: use precision fp32")
    if name == "cpu":
        return Choice(name, "CPUExecutionProvider", "fp32")
    if name == "openvino":
        return _openvino(precision, threads)
    if name == "rtx":
        devices = _plugin_devices("rtx", "GPU")
        return Choice(name, devices[0].ep_name, "fp32", {"enable_cuda_graph": "1"}, devices[:1])
    provider, advice = BUILT_IN[name]
    if provider not in ort.get_available_providers():
        raise ModelError(f"this ONNX Runtime has no {TITLES[provider]}: {advice}")
    # TF32 keeps 10 bits of a number: not what "fp32" promises, and twice the jitter in landmarks.
    options = {"use_tf32": "1" if precision == "auto" else "0"}
    if name == "tensorrt":
        cache = platformdirs.user_cache_path("masquerade") / "tensorrt"
        cache.mkdir(parents=True, exist_ok=True)
        options = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache)}
    return Choice(name, provider, "fp32", options)


def _openvino(precision: str, threads: int) -> Choice:
    """OpenVINO on the CPU. Its own default on AMX machines is bf16, so the precision is always set."""
    flags = cpu_flags()
    if precision == "auto":
        precision = "bf16" if "amx_bf16" in flags else "fp32"
    elif precision == "bf16" and not flags & {"amx_bf16", "avx512_bf16"}:
        raise ModelError("this CPU has no bf16 arithmetic (it would run 4 times slower): use precision fp32")
    devices = _plugin_devices("openvino", "CPU")
    hint = "bf16" if precision == "bf16" else "f32"
    config = f'{{"CPU":{{"INFERENCE_PRECISION_HINT":"{hint}","INFERENCE_NUM_THREADS":"{threads}"}}}}'
    return Choice("openvino", devices[0].ep_name, precision, {"load_config": config}, devices[:1])


def _plugin_devices(name: str, kind: str) -> tuple[Any, ...]:
    """The devices of a plugin provider; registers its library on first use."""
    package, advice, hardware = PLUGINS[name]
    try:
        plugin = importlib.import_module(package)
    except ImportError as error:
        raise ModelError(f"the provider {name} is not installed: {advice}") from error
    ep_name = str(plugin.get_ep_name())
    if ep_name in _refused:
        raise ModelError(_refused[ep_name])
    devices = _devices(ep_name, kind)
    if not devices:
        try:
            ort.register_execution_provider_library(ep_name, str(plugin.get_library_path()))
        except Exception as error:  # ONNX Runtime's errors share no class of their own
            _refused[ep_name] = f"the provider {name} does not load here ({first_line(error)}): use --provider auto"
            raise ModelError(_refused[ep_name]) from error
        devices = _devices(ep_name, kind)
    if not devices:
        # OpenVINO runs on other makers' processors too, but its plugin (1.8) offers only Intel's.
        _refused[ep_name] = f"the provider {name} needs {hardware}, which is not here: use --provider auto"
        raise ModelError(_refused[ep_name])
    return devices


def _devices(ep_name: str, kind: str) -> tuple[Any, ...]:
    wanted = getattr(ort.OrtHardwareDeviceType, kind)
    return tuple(d for d in ort.get_ep_devices() if d.ep_name == ep_name and d.device.type == wanted)


def first_line(error: BaseException) -> str:
    """What an error of the runtime says, cut to one line."""
    lines = str(error).strip().splitlines()
    return lines[0].strip()[:200] if lines else type(error).__name__
