"""`cuda.core` without a GPU: queued work really waits until the stream is waited for.

Memory of the GPU is main memory here, so addresses can be followed.
"""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class CUDAError(Exception):
    """As `cuda.core` names what it raises."""


class FakeCuda:
    """The module. `fails` maps a call to the error it raises; `calls` keeps what was called."""

    def __init__(self) -> None:
        self.name, self.capability, self.driver = "NVIDIA Fake", (8, 9), (580, 95, 5)
        self.fails: dict[str, str] = {}
        self.calls: list[str] = []
        self.memory: dict[int, Any] = {}
        self.open: list[str] = []
        self.streams: dict[int, FakeStream] = {}
        self.system = SimpleNamespace(
            get_user_mode_driver_version=lambda: (13, 0), get_kernel_mode_driver_version=lambda: self.driver
        )

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise CUDAError(self.fails[name])

    def Device(self, number: int) -> Any:
        return SimpleNamespace(
            name=self.name,
            compute_capability=self.capability,
            properties=SimpleNamespace(multiprocessor_count=132),
            set_current=lambda: self.call("set_current"),
            create_stream=lambda: FakeStream(self),
            allocate=lambda length, stream: FakeBuffer(self, "device", length),
        )

    def LegacyPinnedMemoryResource(self) -> Any:
        return SimpleNamespace(allocate=lambda length: FakeBuffer(self, "pinned", length))


class Held:
    """Something taken that must be given back."""

    def __init__(self, cuda: FakeCuda, kind: str) -> None:
        self.cuda, self.kind = cuda, kind
        cuda.call(f"take {kind}")
        cuda.open.append(kind)

    def close(self) -> None:
        self.cuda.open.remove(self.kind)
        self.cuda.call(f"free {self.kind}")


class FakeBuffer(Held):
    def __init__(self, cuda: FakeCuda, kind: str, length: int) -> None:
        super().__init__(cuda, kind)
        self.content = ctypes.create_string_buffer(b"\xff" * length, length)  # never zeros by chance
        self.handle = ctypes.addressof(self.content)
        cuda.memory[self.handle] = self.content

    def copy_from(self, source: "FakeBuffer", stream: "FakeStream") -> None:
        assert len(self.content) == len(source.content)
        self.cuda.call(f"{source.kind} to {self.kind}")
        stream.queue(lambda: ctypes.memmove(self.content, source.content, len(self.content)))


class FakeStream(Held):
    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__(cuda, "stream")
        self.handle = 1000 + len(cuda.streams)
        cuda.streams[self.handle] = self
        self.pending: list[Callable[[], Any]] = []
        self.recording: list[Callable[[], Any]] | None = None

    def queue(self, work: Callable[[], Any]) -> None:
        (self.pending if self.recording is None else self.recording).append(work)

    def sync(self) -> None:
        assert self.recording is None, "a stream that records cannot be waited for"
        self.cuda.call("sync")
        queued, self.pending = self.pending, []
        for work in queued:
            work()

    def close(self) -> None:
        assert not self.pending, "a stream was closed with work on it"
        super().close()

    def create_graph_builder(self) -> "FakeBuilder":
        return FakeBuilder(self)


class FakeBuilder(Held):
    def __init__(self, stream: FakeStream) -> None:
        super().__init__(stream.cuda, "builder")
        self.stream = stream

    def begin_building(self, mode: str) -> None:
        assert mode == "thread_local"
        self.stream.recording = []

    def end_building(self) -> None:
        assert self.stream.recording is not None
        self.recorded, self.stream.recording = self.stream.recording, None
        self.cuda.call("end_building")

    def complete(self) -> "FakeGraph":
        return FakeGraph(self.cuda, self.recorded)


class FakeGraph(Held):
    def __init__(self, cuda: FakeCuda, recorded: list[Callable[[], Any]]) -> None:
        super().__init__(cuda, "graph")
        self.recorded = recorded

    def launch(self, stream: FakeStream) -> None:
        self.cuda.call("launch")
        stream.pending += self.recorded
