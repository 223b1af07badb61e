"""Runs networks on ONNX Runtime; `open_session` chooses among its providers and the other runtimes.

One core is left to the other parts of the loop. Waiting threads sleep: on two cores that other programs used too,
landmarks, blendshapes and Ada in a row took 120 ms with two threads that spin and 56 ms with two that sleep (medians
of 150 rounds in turns).
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime as ort

from realtime.errors import ModelError
from realtime.inference.onnx_file import check_onnx
from realtime.inference.providers import TITLES, Choice, choose, cpu_flags, default_threads, first_line
from realtime.inference.session import Array, Session, TensorSpec, blank_feed, model_bytes

log = logging.getLogger(__name__)

QUIET = 4  # ONNX Runtime's log level "fatal": its errors come as exceptions too, and those are told in one line
MEMORY_UNKNOWN = 8 << 30
ort.set_default_logger_severity(QUIET)

_registered: list[int] = []


class OrtSession(Session):
    """One network on ONNX Runtime: see `Session`. Use `open_session` to make one.

    `own` is the precision that the file asks for, `runtime` ONNX Runtime's module or a stand-in. Any thread may call
    it, one at a time.
    """

    def __init__(self, data: bytes, name: str, own: str, choice: Choice, threads: int, runtime: Any = ort) -> None:
        super().__init__(name)
        self._session: Any = _create(data, name, choice, threads, runtime)
        self.inputs = MappingProxyType({i.name: _spec(i, name) for i in self._session.get_inputs()})
        self.outputs = MappingProxyType({o.name: _spec(o, name) for o in self._session.get_outputs()})
        self._output_names = list(self.outputs)
        self._call: Callable[[Mapping[str, Array]], dict[str, Array]] = self._plain_run
        if choice.on_nvidia and (bound := bind(self._session, self.inputs, self.outputs, runtime)):
            self._call = bound
        self._warm_up()
        self.spent_ns = 0
        self.ran_on, counted = _where(self._session)
        main = choice.provider in counted
        self.precision = choice.precision if main else "fp32"
        if own == "int8" or (own == "fp16" and main and choice.name not in ("cpu", "openvino")):
            self.precision = own
        if choice.name == "openvino" and main:
            self.ran_on = self.ran_on.replace("OpenVINO", f"OpenVINO (CPU, {self.precision})")
        if not main:
            self.close()
            raise ModelError(
                f"{name} did not run on {TITLES[choice.provider]} but on {self.ran_on}: use --provider cpu"
            )

    def close(self) -> None:
        self._session = None
        self._call = self._plain_run  # a binding holds the GPU's memory

    @property
    def _running(self) -> bool:
        return self._session is not None

    def _run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return self._call(feed)
        except Exception as error:  # ONNX Runtime's errors share no class of their own
            raise ModelError(f"{self._name} failed while running ({first_line(error)}): try --provider cpu") from error

    def _plain_run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        values = self._session.run(self._output_names, dict(feed))
        return dict(zip(self._output_names, values, strict=True))

    def _warm_up(self) -> None:
        try:
            self.run(blank_feed(self.inputs))
        except ModelError:
            # A network whose picture size is dynamic may refuse 1×1; any other failure is real.
            if not any(s is None for spec in self.inputs.values() for s in spec.shape[1:]):
                raise


def open_session(
    model: Path | bytes, *, provider: str = "auto", precision: str = "fp32", threads: int | None = None
) -> Session:
    """The network in an ONNX file (or its bytes), loaded, checked and warmed up.

    `provider`: one of `realtime.inference.providers.NAMES`. `precision`: fp32; bf16 (OpenVINO); fp16 (the file
    decides); or auto: bf16 where OpenVINO has AMX for it, TF32 on NVIDIA GPUs, else fp32. `threads`: None leaves one
    physical core free. Raises ModelError, in one line, for a file that is missing, damaged or refused (see
    `onnx_file`) and for a provider asked for by name that cannot run here.
    """
    if threads is not None and threads < 1:
        raise ModelError(f"{threads} threads cannot run a network: pass 1 or more")
    threads = threads or default_threads()
    data, name = model_bytes(model)
    own = check_onnx(data, name)
    choices = choose(provider, precision, threads)
    for choice in choices:
        try:
            session = _start(model, data, name, own, choice, threads)
        except ModelError as error:
            if choice is choices[-1]:
                raise
            log.info("%s: not on %s: %s", name, choice.name, error)
            continue
        log.info("%s runs on %s", name, session.ran_on)
        return session
    raise AssertionError("choose() gives at least one choice")


def bind(
    session: Any,
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
    runtime: Any,
    device: str = "cuda",
) -> Callable[[Mapping[str, Array]], dict[str, Array]] | None:
    """A function that runs `session` on arrays kept on `device`; None where a shape is dynamic.

    One copy in and one out at the same addresses every time: without a binding ONNX Runtime allocates and copies
    anew at each call. What the function gives are new arrays of the caller's own.
    """
    if any(None in spec.shape for spec in (*inputs.values(), *outputs.values())):
        return None

    def place(spec: TensorSpec) -> Any:
        zeros = np.zeros([side or 1 for side in spec.shape], spec.dtype)
        return runtime.OrtValue.ortvalue_from_numpy(zeros, device, 0)

    binding = session.io_binding()
    places = {name: place(spec) for name, spec in inputs.items()}
    results = {name: place(spec) for name, spec in outputs.items()}
    for name, value in places.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in results.items():
        binding.bind_ortvalue_output(name, value)

    def run(feed: Mapping[str, Array]) -> dict[str, Array]:
        for name, value in places.items():
            value.update_inplace(np.ascontiguousarray(feed[name]))
        binding.synchronize_inputs()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        # On the CPU `numpy()` shows the runtime's own memory, which the next run overwrites.
        return {name: np.array(value.numpy()) for name, value in results.items()}

    return run


def limit_memory(runtime: Any, options: Any) -> None:
    """Let a session with these options take its memory from one arena that all share, of half the machine's memory.

    A few bytes of a model file can ask for any amount; Linux promises memory that it does not have and then ends
    the program, or another one. Above the limit a run fails with an error instead. Sharing costs no time.
    """
    if not hasattr(runtime, "create_and_register_allocator"):
        return
    if not _registered:
        limit = memory_bytes() // 2
        where = runtime.OrtMemoryInfo(
            "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
        )
        try:
            runtime.create_and_register_allocator(where, runtime.OrtArenaCfg(limit, -1, -1, -1))
        except Exception as error:  # somebody else in this process has registered one
            log.debug("memory for networks is not limited: %s", error)
            limit = 0
        _registered.append(limit)
    if _registered[0]:
        options.add_session_config_entry("session.use_env_allocators", "1")


def memory_bytes() -> int:
    """The machine's memory; 8 GiB where it cannot be asked."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return MEMORY_UNKNOWN


def _start(model: Path | bytes, data: bytes, name: str, own: str, choice: Choice, threads: int) -> Session:
    if choice.name == "openvino" and own == "int8" and not cpu_flags() & {"avx_vnni", "avx512_vnni"}:
        raise ModelError(f"{name} is int8, which OpenVINO computes wrong on a CPU without VNNI: use --provider cpu")
    if choice.provider:
        return OrtSession(data, name, own, choice, threads)
    from realtime.inference.tensorrt_engine import open_engine_session

    return open_engine_session(model, provider=choice.name, precision=choice.precision)


def _create(data: bytes, name: str, choice: Choice, threads: int, runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # CPUs without VNNI add products of uint8 and int8 in 16 bits that overflow: weights beyond ±64 become uint8.
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        if choice.devices:
            options.add_provider_for_devices(list(choice.devices), choice.options)
            return runtime.InferenceSession(data, options)
        providers: list[Any] = [(choice.provider, choice.options)]
        if choice.on_nvidia:
            runtime.preload_dlls()
            if choice.name == "tensorrt":
                providers.append("CUDAExecutionProvider")
        if choice.name == "directml":
            options.enable_mem_pattern = False  # DirectML plans its memory itself and refuses the other plan
        if choice.name == "cpu":
            limit_memory(runtime, options)
        else:
            providers.append("CPUExecutionProvider")
        # Its own fallback would try again on the CPU alone, and print that it does.
        return runtime.InferenceSession(data, options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors share no class of their own
        raise ModelError(f"{name} cannot be loaded ({first_line(error)}): is it a whole ONNX model?") from error


def _where(session: Any) -> tuple[str, Counter[str]]:
    """Where the graph's nodes were placed, as the runtime tells: a line for the user, and the counts."""
    counted: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counted[part.ep_name] += len(part.get_nodes())
    if not counted:  # every node was folded into a constant
        counted[session.get_providers()[-1]] += 1
    total = counted.total()
    titles = [(TITLES.get(n, n), count) for n, count in counted.most_common()]
    rest = "".join(f" + {title} ({count} of {total} nodes)" for title, count in titles[1:])
    return titles[0][0] + rest, counted


def _spec(value: Any, model: str) -> TensorSpec:
    kind = str(value.type).removeprefix("tensor(").removesuffix(")")
    try:
        dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    except TypeError as error:
        what = f"{model}: {value.name} is a {value.type}"
        raise ModelError(f"{what}, which is not supported: use another export") from error
    return TensorSpec(tuple(s if isinstance(s, int) and s > 0 else None for s in value.shape), dtype)
