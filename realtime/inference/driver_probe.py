"""Whether an NVIDIA driver with a GPU is here, asked without loading any library that would crash on its absence.

TensorRT's libraries end the process when they find no driver, and ONNX Runtime's CUDA provider, asked for on such a
machine, only logs a line and runs on the CPU. The driver itself can always be asked: it is loaded by the system's
loader, and `cuInit` makes no context and takes no memory of the GPU.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def why_no_gpu(load: Callable[[str], Any] = ctypes.CDLL) -> str:
    """Why CUDA cannot run here, with what to do; an empty string where a GPU answers. `load` opens a library."""
    try:
        driver = load(LIBRARY)
    except OSError:
        return f"there is no NVIDIA driver here ({LIBRARY} does not load): install one, or use --provider cpu"
    count = ctypes.c_int(0)
    try:
        failed = int(driver.cuInit(ctypes.c_uint(0))) or int(driver.cuDeviceGetCount(ctypes.byref(count)))
    except AttributeError:
        return f"{LIBRARY} is not NVIDIA's driver: install one, or use --provider cpu"
    if failed or count.value < 1:
        told = f"error {failed}" if failed else "it counts none"
        return f"the NVIDIA driver finds no GPU ({told}): check nvidia-smi, or use --provider cpu"
    return ""
