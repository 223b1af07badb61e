"""One NVIDIA GPU through the driver's own library: memory, a stream, graphs.

Of the ways to reach CUDA from Python this takes the driver API by ctypes. The driver is the one part that must
be on the machine anyway; its calls used here keep their names and types from CUDA 11.4 on (`cuda.h`), whatever
CUDA version TensorRT was built for; probing whether a driver is there is the same step as using it; and nothing
is installed. `cuda-python` would add a package of a fixed CUDA major version for 20 functions, a `libcudart` is
only there when another package brings one, and torch weighs a gigabyte.
The context is the device's primary one, which TensorRT and every runtime-API library share.
"""

import contextlib
import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from realtime.errors import ModelError
from realtime.inference.providers import DRIVER, why_no_gpu

OUT_OF_MEMORY, NO_DEVICE = 2, 100  # CUresult
COUNT_OF_PROCESSORS, MAJOR, MINOR = 16, 75, 76  # CUdevice_attribute
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the legacy default stream
THREAD_LOCAL = 1  # CUstreamCaptureMode: other threads may allocate while this one captures

pointer = ctypes.c_void_p
address_on_device = ctypes.c_uint64  # CUdeviceptr
size = ctypes.c_size_t


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What a compiled engine depends on, apart from the network."""

    name: str
    capability: tuple[int, int]
    processors: int
    driver: str

    @property
    def model(self) -> str:
        """The GPU in words, e.g. `NVIDIA H200 (sm_90, 132 processors)`; a slice of one counts its own."""
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]}, {self.processors} processors)"


class GpuError(ModelError):
    """A call of the driver that failed; its text is one line."""


def open_gpu() -> "Gpu":
    """The first GPU that CUDA shows (`CUDA_VISIBLE_DEVICES` chooses). Raises ModelError where there is none.

    It must be asked before a TensorRT library is loaded: without a driver some of those crash.
    """
    refused = why_no_gpu()
    if refused:
        raise ModelError(refused)
    return Gpu(ctypes.CDLL(DRIVER), _load("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"))


def _load(name: str) -> Any | None:
    try:
        return ctypes.CDLL(name)  # on 64-bit Windows WinDLL is the same
    except OSError:
        return None


class Gpu:
    """A GPU, its primary context held until `close`. Addresses and handles are plain integers.

    `library` is the loaded driver and `management` NVML where it is there: both as ctypes gives them, or fakes.
    A thread calls `make_current` before anything else here. All raise GpuError.
    """

    def __init__(self, library: Any, management: Any | None = None) -> None:
        self._library = library
        try:
            self._call("cuInit", ctypes.c_uint(0))
            device, context = ctypes.c_int(), pointer()
            self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
            self._device = device
            self.facts = self._describe(management)
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        except AttributeError as error:  # a library without one of the functions
            raise ModelError(f"the NVIDIA driver is too old ({error}): install 580 or later") from error
        self._context: ctypes.c_void_p | None = context

    def make_current(self) -> None:
        """Ties the calling thread to this GPU; costs well under a microsecond when it already is."""
        if self._context is None:
            raise GpuError("the GPU is closed: open the session again")
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, length: int) -> int:
        """`length` bytes of the GPU's memory."""
        where = address_on_device()
        self._call("cuMemAlloc_v2", ctypes.byref(where), size(length))
        return where.value

    def free(self, address: int) -> None:
        self._call("cuMemFree_v2", address_on_device(address))

    def allocate_pinned(self, length: int) -> int:
        """`length` bytes of main memory that never move, so that the GPU copies them by itself."""
        where = pointer()
        self._call("cuMemHostAlloc", ctypes.byref(where), size(length), ctypes.c_uint(0))
        return where.value or 0

    def free_pinned(self, address: int) -> None:
        self._call("cuMemFreeHost", pointer(address))

    def make_stream(self) -> int:
        stream = pointer()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(NON_BLOCKING))
        return stream.value or 0

    def destroy_stream(self, stream: int) -> None:
        self._call("cuStreamDestroy_v2", pointer(stream))

    def upload(self, device: int, host: int, length: int, stream: int) -> None:
        """Queues a copy of pinned memory to the GPU."""
        self._call("cuMemcpyHtoDAsync_v2", address_on_device(device), pointer(host), size(length), pointer(stream))

    def download(self, host: int, device: int, length: int, stream: int) -> None:
        """Queues a copy from the GPU to pinned memory."""
        self._call("cuMemcpyDtoHAsync_v2", pointer(host), address_on_device(device), size(length), pointer(stream))

    def wait(self, stream: int) -> None:
        """Returns when everything queued on the stream is done. Other threads run meanwhile."""
        self._call("cuStreamSynchronize", pointer(stream))

    def begin_capture(self, stream: int) -> None:
        """From here on what is queued on the stream is recorded, not run."""
        self._call("cuStreamBeginCapture_v2", pointer(stream), ctypes.c_int(THREAD_LOCAL))

    def end_capture(self, stream: int) -> int:
        """What was recorded, ready to `launch`."""
        recorded, ready = pointer(), pointer()
        self._call("cuStreamEndCapture", pointer(stream), ctypes.byref(recorded))
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(ready), recorded, ctypes.c_uint64(0))
        finally:
            self._call("cuGraphDestroy", recorded)
        return ready.value or 0

    def launch(self, graph: int, stream: int) -> None:
        self._call("cuGraphLaunch", pointer(graph), pointer(stream))

    def destroy_graph(self, graph: int) -> None:
        self._call("cuGraphExecDestroy", pointer(graph))

    def close(self) -> None:
        """Lets go of the context; may be called twice."""
        context, self._context = self._context, None
        if context is not None:
            self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _describe(self, management: Any | None) -> GpuFacts:
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, ctypes.c_int(len(text)), self._device)
        version = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        cuda = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
        return GpuFacts(
            text.value.decode("utf-8", "replace"),
            (self._attribute(MAJOR), self._attribute(MINOR)),
            self._attribute(COUNT_OF_PROCESSORS),
            " ".join(filter(None, (_driver_version(management), cuda))),
        )

    def _attribute(self, which: int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(which), self._device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        code = int(getattr(self._library, name)(*arguments))
        if code == 0:
            return
        if code == OUT_OF_MEMORY:
            raise GpuError("the GPU's memory is full: close other programs that use it, or use --provider cpu")
        if code == NO_DEVICE:
            raise GpuError("the NVIDIA driver finds no GPU: check nvidia-smi, or use --provider cpu")
        raise GpuError(f"the NVIDIA driver refused {name} ({self._say(code)}): check nvidia-smi, or use --provider cpu")

    def _say(self, code: int) -> str:
        text = ctypes.c_char_p()
        with contextlib.suppress(AttributeError):
            if self._library.cuGetErrorName(ctypes.c_int(code), ctypes.byref(text)) == 0 and text.value:
                return text.value.decode("ascii", "replace")
        return f"error {code}"


def _driver_version(management: Any | None) -> str:
    """The driver's release as NVML tells, e.g. `580.95.05`, or nothing."""
    if management is None:
        return ""
    text = ctypes.create_string_buffer(96)
    try:
        if management.nvmlInit_v2() != 0:
            return ""
        known = management.nvmlSystemGetDriverVersion(text, ctypes.c_uint(len(text))) == 0
        management.nvmlShutdown()
    except AttributeError:
        return ""
    return text.value.decode("ascii", "replace") if known else ""
