"""One loaded network behind one interface, whichever runtime runs it.

Inputs and outputs go by name, never by position. `ran_on` is what the runtime says it really used, asked after a
warm-up run.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime.clock import now_ns
from realtime.errors import ModelError
from realtime.text import printable

Array = npt.NDArray[np.generic]

MAX_INPUT_BYTES = 1 << 30
"""Far above any picture or sound; memory for it is taken before the network is asked anything."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: its shape (None where dynamic) and numpy dtype."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]

    def __str__(self) -> str:
        """The shape with `?` where it is dynamic, e.g. `(?, 128, 128, 3)`."""
        return "(" + ", ".join("?" if s is None else str(s) for s in self.shape) + ")"

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits: any size does where it is dynamic."""
        return len(shape) == len(self.shape) and all(s in (None, t) for s, t in zip(self.shape, shape, strict=True))


class Session(ABC):
    """One loaded network. Constructed means loaded and warmed up; it checks its inputs and measures its time.

    A runtime sets the fields and adds `_run`, `_running` and `close`, which may be called twice.
    """

    inputs: Mapping[str, TensorSpec] = MappingProxyType({})
    outputs: Mapping[str, TensorSpec] = MappingProxyType({})
    ran_on = ""
    """The provider that really ran, e.g. `OpenVINO (CPU, fp32)` or `CPU`."""
    precision = "fp32"
    """`fp32`, `tf32`, `bf16`, `fp16` or `int8`: what the arithmetic really was."""
    spent_ns = 0
    """Nanoseconds spent inside `run` since the session was loaded."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises ModelError when names, dtypes or shapes do not fit, and after `close`."""
        if not self._running:
            raise ModelError(f"{self._name} is closed: open it again")
        check_inputs(self.inputs, feed, self._name)
        started = now_ns()
        result = self._run(feed)
        self.spent_ns += now_ns() - started
        return result

    @abstractmethod
    def close(self) -> None:
        """Give the network's memory back."""

    @property
    @abstractmethod
    def _running(self) -> bool:
        """Whether it was not closed yet."""

    @abstractmethod
    def _run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs for inputs that fit. Raises ModelError where the runtime fails."""


class RanOn(NamedTuple):
    """Where several networks ran, how precisely, and the nanoseconds spent inside them."""

    provider: str
    precision: str
    spent_ns: int


def report(sessions: Sequence[Session]) -> RanOn:
    """What several sessions together tell of themselves: different providers and precisions are listed.

    Without any network the work is done by our own code: on the CPU, in fp32.
    """
    return RanOn(
        ", ".join(dict.fromkeys(s.ran_on for s in sessions)) or "CPU",
        ", ".join(dict.fromkeys(s.precision for s in sessions)) or "fp32",
        sum(s.spent_ns for s in sessions),
    )


@contextmanager
def opening_networks(
    *,
    provider: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    open_session: Callable[..., Session] | None = None,
) -> Iterator[Callable[[Path], Session]]:
    """A function that opens network files; what it opened is closed again where the block fails.

    `open_session` stands in for `realtime.inference.ort.open_session`. The function raises ModelError.
    """
    if open_session is None:
        from realtime.inference import ort  # heavy to import: only where a network is wanted

        open_session = ort.open_session
    open_one = open_session
    with ExitStack() as opened:

        def network(file: Path) -> Session:
            session = open_one(file, provider=provider, precision=precision, threads=threads)
            opened.callback(session.close)
            return session

        yield network
        opened.pop_all()


def check_inputs(inputs: Mapping[str, TensorSpec], feed: Mapping[str, Array], model: str) -> None:
    """Raises ModelError, in one line, where names, dtypes or shapes do not fit the network's inputs."""
    if feed.keys() != inputs.keys():
        raise ModelError(f"{model} takes {_names(inputs)}, was given {_names(feed)}: feed exactly its inputs")
    for name, spec in inputs.items():
        value = feed[name]
        if value.dtype != spec.dtype:
            raise ModelError(f"{model} takes {name} as {spec.dtype}, was given {value.dtype}: convert it first")
        if not spec.takes(value.shape):
            raise ModelError(f"{model} takes {name} of shape {spec}, was given {value.shape}: resize it")


def blank_feed(inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Zeros that fit the inputs; dynamic sizes become 1. Raises ModelError for inputs of absurd sizes."""
    for name, spec in inputs.items():
        if math.prod(s or 1 for s in spec.shape) * spec.dtype.itemsize > MAX_INPUT_BYTES:
            raise ModelError(
                f"a network takes {printable(name, 40)} of shape {spec}, which is more than 1 GiB: use another export"
            )
    return {name: np.zeros([s or 1 for s in spec.shape], spec.dtype) for name, spec in inputs.items()}


def model_bytes(model: Path | bytes) -> tuple[bytes, str]:
    """What is in a model's file, or the bytes given, and what to call it. Raises ModelError."""
    if isinstance(model, bytes):
        return model, "the model"
    try:
        return model.read_bytes(), model.name
    except OSError as error:
        raise ModelError(f"{model} cannot be read ({error.strerror}): check the path") from error


def _names(values: Mapping[str, object]) -> str:
    return ", ".join(sorted(values)) or "nothing"
