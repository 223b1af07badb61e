"""Networks on ONNX Runtime, with whichever of its providers this machine has; the door to the other runtimes.

One core is left to the other parts of the loop. Waiting threads sleep: on two cores that other programs used too,
landmarks, blendshapes and Ada in a row took 120 ms with two threads that spin and 56 ms with two that sleep (medians
of 150 rounds in turns).
"""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime as ort

from realtime.errors import ModelError
from realtime.inference.session import BaseSession, model_bytes
from realtime.inference.session import blank_feed
from realtime.inference.io_binding import Run, bind
from realtime.inference.memory_limit import limit_memory
from realtime.inference.onnx_file import Contents, read_contents
from realtime.inference.processor import default_threads
from realtime.inference.providers import TITLES, Choice, choose, first_line
from realtime.inference.quick_convolutions import with_quick_convolutions
from realtime.inference.session import Array, Session, TensorSpec

log = logging.getLogger(__name__)

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
QUIET = 4  # ONNX Runtime's log level "fatal": its errors come as exceptions too, and those are told in one line
ort.set_default_logger_severity(QUIET)


class OrtSession(LoadedSession):
    """One network on ONNX Runtime: see `Session`. Use `open_session` to make one.

    `runtime` is ONNX Runtime's module, or a stand-in for it. Any thread may call it, one at a time.
    """

    def __init__(
        self,
        data: bytes,
        name: str,
        contents: Contents,
        choice: Choice,
        threads: int,
        runtime: Any = ort,
    ) -> None:
        super().__init__(name)
        self._session: Any = _create(data, name, choice, threads, runtime)
        self._inputs = MappingProxyType({i.name: _port(i, name) for i in self._session.get_inputs()})
        self._outputs = MappingProxyType({o.name: _port(o, name) for o in self._session.get_outputs()})
        self._output_names = list(self._outputs)
        self._run: Run = self._plain_run
        if choice.on_nvidia and (bound := bind(self._session, self._inputs, self._outputs, runtime)):
            self._run = bound
        self._warm_up()
        self._spent_ns = 0
        self._ran_on, counted = _where(self._session)
        main = choice.provider in counted
        self._precision = choice.precision if main else "fp32"
        if contents.precision == "int8" or (
            contents.precision == "fp16" and main and choice.name not in ("cpu", "openvino")
        ):
            self._precision = contents.precision
        if choice.name == "openvino" and main:
            self._ran_on = self._ran_on.replace("OpenVINO", f"OpenVINO (CPU, {self._precision})")
        if not main:
            self.close()
            raise ModelError(
                f"{name} did not run on {TITLES[choice.provider]} but on {self._ran_on}: use --provider cpu"
            )

    def close(self) -> None:
        self._session = None
        self._run = self._plain_run  # a binding holds the GPU's memory

    @property
    def _running(self) -> bool:
        return self._session is not None

    def _answer(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return self._run(feed)
        except Exception as error:  # ONNX Runtime's errors share no class of their own
            raise ModelError(f"{self._name} failed while running ({first_line(error)}): try --provider cpu") from error

    def _plain_run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        values = self._session.run(self._output_names, dict(feed))
        return dict(zip(self._output_names, values, strict=True))

    def _warm_up(self) -> None:
        try:
            self.run(blank_feed(self._inputs))
        except ModelError:
            # A network whose picture size is dynamic may refuse 1×1; any other failure is real.
            if not any(s is None for p in self._inputs.values() for s in p.shape[1:]):
                raise


def open_session(
    model: Path | bytes,
    *,
    provider: str = "auto",
    precision: str = "fp32",
    threads: int | None = None,
    quick: bool = True,
) -> Session:
    """The network in an ONNX file (or its bytes), loaded, checked and warmed up.

    `provider`: one of `realtime.inference.providers.NAMES`. `precision`: fp32; bf16 (OpenVINO and torch); fp16
    (torch on a GPU; elsewhere the file decides); or auto: bf16 where OpenVINO has AMX for it, TF32 on NVIDIA GPUs,
    else fp32. `threads`: None leaves one physical core free. `quick`: on the CPU, large convolutions are done with
    fewer multiplications (`quick_convolutions`), which costs two bits of float32's 24.
    Raises ModelError, in one line, for a file that is missing, damaged or refused (see `onnx_file`) and for
    a provider asked for by name that cannot run here.
    """
    if threads is not None and threads < 1:
        raise ModelError(f"{threads} threads cannot run a network: pass 1 or more")
    threads = threads or default_threads()
    data, name = model_bytes(model)
    contents = read_contents(data, name)
    choices = choose(provider, precision, threads)
    for choice in choices:
        try:
            session = _start(model, data, name, contents, choice, threads, quick)
        except ModelError as error:
            if choice is choices[-1]:
                raise
            log.info("%s: not on %s: %s", name, choice.name, error)
            continue
        log.info("%s runs on %s", name, session.ran_on)
        return session
    raise AssertionError("choose() gives at least one choice")


def _start(
    model: Path | bytes, data: bytes, name: str, contents: Contents, choice: Choice, threads: int, quick: bool
) -> Session:
    if choice.name == "cpu" and quick and contents.precision != "int8":
        rewritten = with_quick_convolutions(data, name)
        if rewritten is not data:
            try:
                return OrtSession(rewritten, name, contents, choice, threads)
            except ModelError as error:  # a file that states other shapes than it has may still run as it is
                log.info("%s is run as it is: %s", name, error)
    if choice.provider:
        return OrtSession(data, name, contents, choice, threads)
    if choice.name == "torch":
        # PyTorch takes seconds to load: only where it is asked for.
        from realtime.inference.torch_program import open_torch_session

        return open_torch_session(model, precision=choice.precision, threads=threads)
    from realtime.inference.tensorrt_engine import open_engine_session

    return open_engine_session(model, provider=choice.name, precision=choice.precision)


def _create(data: bytes, name: str, choice: Choice, threads: int, runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
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
    first = titles[0][0]
    rest = "".join(f" + {title} ({count} of {total} nodes)" for title, count in titles[1:])
    return first + rest, counted


def _port(value: Any, model: str) -> TensorSpec:
    if value.type not in DTYPES:
        raise ModelError(f"{model}: {value.name} is a {value.type}, which is not supported: use another export")
    shape = tuple(s if isinstance(s, int) and s > 0 else None for s in value.shape)
    return TensorSpec(shape, np.dtype(DTYPES[value.type]))
