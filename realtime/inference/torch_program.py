"""Networks on PyTorch: the reference among the runtimes, and what runs on a GPU machine that has only PyTorch.

It takes the same ONNX files as every other runtime and makes the PyTorch program from them in memory, in less than
a second. A `.pt2` file (`torch.export`) is never opened: PyTorch 2.13 reads its constants with `pickle.loads` and
`torch.load(weights_only=False)`, and looks operator names up as any attribute of `torch`, so that opening one can
run whatever its maker wrote into it. A bundle's files are data; this way they stay it.

On a GPU a run is one recorded CUDA graph: copies in and out through pinned memory on a stream of the session's own.
"""

import importlib.util
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from realtime.errors import ModelError
from realtime.inference.base_session import LoadedSession, model_bytes
from realtime.inference.check_inputs import blank_feed
from realtime.inference.onnx_graph import read_graph
from realtime.inference.processor import default_threads
from realtime.inference.session import Array, TensorSpec

if importlib.util.find_spec("torch") is None:
    raise ModelError('PyTorch is not installed: pip install "masquerade[export]"')

import torch

from realtime.inference.torch_graph import TorchGraph

log = logging.getLogger(__name__)

LOW = {"fp32": None, "auto": None, "fp16": "float16", "bf16": "bfloat16"}
RUNS_BEFORE_RECORDING = 3  # PyTorch's own advice: libraries choose their algorithms in the first ones


class TorchSession(LoadedSession):
    """One network on PyTorch: see `Session`. Use `open_torch_session` to make one.

    Any thread may call it, one at a time. The arrays it returns are the caller's own. `threads` counts on a CPU
    only; PyTorch has one such number for the whole process.
    """

    def __init__(self, data: bytes, name: str, *, device: str, precision: str, threads: int) -> None:
        super().__init__(name)
        self._device, self._threads = device, threads
        self._on_gpu = device.startswith("cuda")
        self._tf32 = self._on_gpu and precision == "auto"
        self._graph: TorchGraph | None = TorchGraph(read_graph(data, name), name, device, LOW[precision])
        self._precision = "tf32" if self._tf32 else "fp32" if precision == "auto" else precision
        self._inputs, self._outputs = _ports(self._graph)
        self._recorded: Any = None
        if self._on_gpu:
            self._record()
        self.run(blank_feed(self._inputs))
        self._spent_ns = 0

    @property
    def ran_on(self) -> str:
        """`PyTorch (CPU, fp32)`, or the GPU's name, with `CUDA graph` where a run is one."""
        where = torch.cuda.get_device_name(self._device) if self._on_gpu else "CPU"
        return f"PyTorch ({where}, {self._precision}{', CUDA graph' if self._on_gpu else ''})"

    @property
    def _running(self) -> bool:
        return self._graph is not None

    def _answer(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        assert self._graph is not None
        try:
            return self._run_on_gpu(feed) if self._on_gpu else self._run_on_cpu(feed, self._graph)
        except RuntimeError as error:  # PyTorch's errors share no class of their own
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise ModelError(f"{self._name} failed while running ({said}): try --provider cpu") from error

    def close(self) -> None:
        self._graph = self._recorded = None
        self._static: list[Any] = []
        self._results: list[Any] = []
        self._pinned: dict[str, Any] = {}

    def _run_on_cpu(self, feed: Mapping[str, Array], graph: TorchGraph) -> dict[str, Array]:
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            values = graph([_tensor(feed[name]) for name in self._inputs])
        # A network may hand its input through, and a constant is its own: the caller gets copies of both.
        return {name: np.array(value.numpy()) for name, value in zip(self._outputs, values, strict=True)}

    def _run_on_gpu(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        for name in self._inputs:
            self._pinned[name].numpy()[...] = feed[name]
        with torch.cuda.stream(self._stream):
            self._recorded.replay()
        self._stream.synchronize()
        return {name: self._pinned[name].numpy().copy() for name in self._outputs}

    def _record(self) -> None:
        """Runs a few times, then records copies in, network and copies out as one CUDA graph."""
        assert self._graph is not None
        graph = self._graph
        ports = {**self._inputs, **self._outputs}
        self._stream = torch.cuda.Stream(self._device)
        self._pinned = {n: torch.from_numpy(np.zeros(_sides(p), p.dtype)).pin_memory() for n, p in ports.items()}
        self._static = [torch.empty_like(self._pinned[n], device=self._device) for n in self._inputs]

        def once() -> None:
            for name, place in zip(self._inputs, self._static, strict=True):
                place.copy_(self._pinned[name], non_blocking=True)
            self._results = graph(self._static)
            for name, value in zip(self._outputs, self._results, strict=True):
                self._pinned[name].copy_(value, non_blocking=True)

        try:
            with torch.inference_mode(), self._arithmetic():
                with torch.cuda.stream(self._stream):
                    for _ in range(RUNS_BEFORE_RECORDING):
                        once()
                self._stream.synchronize()
                recorded = torch.cuda.CUDAGraph()
                with torch.cuda.graph(recorded, stream=self._stream):
                    once()
        except RuntimeError as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise ModelError(f"{self._name} does not run on the GPU ({said}): try --provider cpu") from error
        self._recorded = recorded

    def _arithmetic(self) -> AbstractContextManager[Any]:
        """cuDNN chooses its fastest algorithm; TF32 only where it was allowed (10 bits of a number are kept)."""
        if not self._on_gpu:
            return nullcontext()
        torch.backends.cuda.matmul.allow_tf32 = self._tf32
        flags = torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=self._tf32)
        return flags  # type: ignore[no-any-return]


def open_torch_session(
    model: Path | bytes, *, precision: str = "fp32", threads: int | None = None, device: str | None = None
) -> TorchSession:
    """The network in an ONNX file (or its bytes) on PyTorch, warmed up.

    `precision`: fp32; fp16 or bf16 for convolutions and matrix products; auto allows TF32 on a GPU. `device`:
    None takes the first GPU that PyTorch has, else the CPU. Raises ModelError for a file that is refused, damaged
    or holds what PyTorch does not run here, and for a `.pt2`.
    """
    if precision not in LOW:
        raise ModelError(f"PyTorch runs in {', '.join(LOW)}, not in {precision}: choose one of these")
    if isinstance(model, Path) and model.suffix.lower() in (".pt2", ".pt", ".pth"):
        raise ModelError(f"{model.name} can run code when it is opened: masquerade export makes an ONNX file of it")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu" and precision == "fp16":
        raise ModelError("fp16 needs a GPU (a CPU would run it slower than fp32): use precision fp32 or bf16")
    data, name = model_bytes(model)
    session = TorchSession(data, name, device=device, precision=precision, threads=threads or default_threads())
    log.info("%s runs on %s", name, session.ran_on)
    return session


def _ports(graph: TorchGraph) -> tuple[Mapping[str, TensorSpec], Mapping[str, TensorSpec]]:
    """Inputs and outputs with the sizes that were settled on."""
    shown = {name: _port(value) for name, value in graph.outputs.items()}
    return MappingProxyType(graph.inputs), MappingProxyType(shown)


def _port(value: Any) -> TensorSpec:
    dtype = torch.float32 if value.is_floating_point() else value.dtype
    return TensorSpec(tuple(value.shape), np.dtype(str(dtype).removeprefix("torch.")))


def _sides(port: TensorSpec) -> list[int]:
    return [side or 1 for side in port.shape]


def _tensor(value: Array) -> Any:
    tensor = torch.from_numpy(np.ascontiguousarray(value))
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
