"""An NVIDIA driver without a GPU: queued work really waits until the stream is waited for.

`FakeDriver` stands in for the loaded driver library, call by call with ctypes arguments. Memory of the GPU is main
memory here, so addresses can be followed.
"""

import ctypes
from collections.abc import Callable
from typing import Any


class FakeDriver:
    """The functions of libcuda that `Gpu` calls. `fails` maps a function to the error code it gives."""

    def __init__(self, name: str = "NVIDIA Fake", version: int = 13000, fails: dict[str, int] | None = None) -> None:
        self.name, self.version, self.fails = name, version, fails or {}
        self.capability = (8, 9)
        self.calls: list[str] = []
        self.memory: dict[int, Any] = {}
        self.pending: dict[int, list[Callable[[], None]]] = {}
        self.recording: dict[int, list[Callable[[], None]]] = {}
        self.recorded: dict[int, list[Callable[[], None]]] = {}
        self.ready: dict[int, list[Callable[[], None]]] = {}
        self.contexts = 0
        self._next = 1000

    def __getattr__(self, name: str) -> Callable[..., int]:
        if not name.startswith("cu"):
            raise AttributeError(name)
        act = getattr(type(self), "_" + name, None)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name in self.fails:
                return self.fails[name]
            if act is None:
                raise AssertionError(f"the fake driver has no {name}")
            act(self, *arguments)
            return 0

        return call

    def left(self) -> list[str]:
        """What was taken and not given back."""
        kinds = {"memory": self.memory, "stream": self.pending, "recording": self.recorded, "graph": self.ready}
        return [kind for kind, held in kinds.items() if held] + ["context"] * self.contexts

    def queue(self, stream: int, work: Callable[[], None]) -> None:
        (self.recording if stream in self.recording else self.pending)[stream].append(work)

    def _handle(self) -> int:
        self._next += 1
        return self._next

    def _cuInit(self, flags: ctypes.c_uint) -> None:
        assert flags.value == 0

    def _cuDeviceGet(self, device: Any, which: ctypes.c_int) -> None:
        device._obj.value = 0

    def _cuDeviceGetName(self, text: Any, length: ctypes.c_int, device: ctypes.c_int) -> None:
        text.value = self.name.encode()

    def _cuDeviceGetAttribute(self, value: Any, which: ctypes.c_int, device: ctypes.c_int) -> None:
        value._obj.value = {16: 132, 75: self.capability[0], 76: self.capability[1]}[which.value]

    def _cuDriverGetVersion(self, version: Any) -> None:
        version._obj.value = self.version

    def _cuGetErrorName(self, code: ctypes.c_int, text: Any) -> None:
        text._obj.value = f"CUDA_ERROR_{code.value}".encode()

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: ctypes.c_int) -> None:
        self.contexts += 1
        context._obj.value = 77

    def _cuDevicePrimaryCtxRelease_v2(self, device: ctypes.c_int) -> None:
        self.contexts -= 1

    def _cuCtxSetCurrent(self, context: ctypes.c_void_p) -> None:
        assert context.value == 77
        assert self.contexts > 0

    def _allocate(self, where: Any, length: ctypes.c_size_t) -> None:
        buffer = ctypes.create_string_buffer(b"\xff" * length.value, length.value)  # never zeros by chance
        where._obj.value = ctypes.addressof(buffer)
        self.memory[ctypes.addressof(buffer)] = buffer

    def _cuMemAlloc_v2(self, where: Any, length: ctypes.c_size_t) -> None:
        self._allocate(where, length)

    def _cuMemHostAlloc(self, where: Any, length: ctypes.c_size_t, flags: ctypes.c_uint) -> None:
        self._allocate(where, length)

    def _cuMemFree_v2(self, where: ctypes.c_uint64) -> None:
        del self.memory[where.value]

    def _cuMemFreeHost(self, where: ctypes.c_void_p) -> None:
        del self.memory[where.value or 0]

    def _cuStreamCreate(self, stream: Any, flags: ctypes.c_uint) -> None:
        assert flags.value == 1  # not tied to the default stream
        stream._obj.value = self._handle()
        self.pending[stream._obj.value] = []

    def _cuStreamDestroy_v2(self, stream: ctypes.c_void_p) -> None:
        assert not self.pending.pop(stream.value or 0), "a stream was destroyed with work on it"

    def _copy(self, to: int, source: int, length: int, stream: int) -> None:
        assert len(self.memory[to]) == len(self.memory[source]) == length

        def work() -> None:
            ctypes.memmove(to, source, length)

        self.queue(stream, work)

    def _cuMemcpyHtoDAsync_v2(self, to: Any, source: Any, length: Any, stream: Any) -> None:
        assert isinstance(to, ctypes.c_uint64)
        self._copy(to.value, source.value, length.value, stream.value)

    def _cuMemcpyDtoHAsync_v2(self, to: Any, source: Any, length: Any, stream: Any) -> None:
        assert isinstance(source, ctypes.c_uint64)
        self._copy(to.value, source.value, length.value, stream.value)

    def _cuStreamSynchronize(self, stream: ctypes.c_void_p) -> None:
        assert stream.value not in self.recording, "a stream that records cannot be waited for"
        queued = self.pending[stream.value or 0]
        self.pending[stream.value or 0] = []
        for work in queued:
            work()

    def _cuStreamBeginCapture_v2(self, stream: ctypes.c_void_p, mode: ctypes.c_int) -> None:
        assert mode.value == 1
        self.recording[stream.value or 0] = []

    def _cuStreamEndCapture(self, stream: ctypes.c_void_p, graph: Any) -> None:
        graph._obj.value = self._handle()
        self.recorded[graph._obj.value] = self.recording.pop(stream.value or 0)

    def _cuGraphInstantiateWithFlags(self, ready: Any, graph: ctypes.c_void_p, flags: ctypes.c_uint64) -> None:
        ready._obj.value = self._handle()
        self.ready[ready._obj.value] = list(self.recorded[graph.value or 0])

    def _cuGraphDestroy(self, graph: ctypes.c_void_p) -> None:
        del self.recorded[graph.value or 0]

    def _cuGraphExecDestroy(self, graph: ctypes.c_void_p) -> None:
        del self.ready[graph.value or 0]

    def _cuGraphLaunch(self, graph: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:
        self.pending[stream.value or 0] += self.ready[graph.value or 0]


class FakeManagement:
    """NVML, as far as it is asked for the driver's release."""

    def __init__(self, release: str = "580.95.05", fails: bool = False) -> None:
        self._release, self._fails = release, fails

    def nvmlInit_v2(self) -> int:
        return 9 if self._fails else 0

    def nvmlSystemGetDriverVersion(self, text: Any, length: ctypes.c_uint) -> int:
        text.value = self._release.encode()
        return 0

    def nvmlShutdown(self) -> int:
        return 0
