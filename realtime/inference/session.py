"""Inference runtimes behind one protocol.

A session runs one network. Inputs and outputs go by name, never by position. `ran_on` is what
the runtime says it really used, asked after a warm-up run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: its shape (None where dynamic) and numpy dtype."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]


class Session(Protocol):
    """One loaded network. Constructed means loaded and warmed up; `close` may be called twice."""

    @property
    def inputs(self) -> Mapping[str, TensorSpec]: ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]: ...

    @property
    def ran_on(self) -> str:
        """The provider that really ran, e.g. `OpenVINO (CPU, fp32)` or `CPU`."""
        ...

    @property
    def precision(self) -> str:
        """`fp32`, `bf16`, `fp16` or `int8`: what the arithmetic really was."""
        ...

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside `run` since the session was loaded."""
        ...

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises ModelError when names, dtypes or shapes do not fit."""
        ...

    def close(self) -> None: ...
