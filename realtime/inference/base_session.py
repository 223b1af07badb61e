"""What every loaded network has in common, whichever runtime runs it."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from realtime.clock import now_ns
from realtime.errors import ModelError
from realtime.inference.check_inputs import check_feed
from realtime.inference.session import Array, Session, TensorSpec

NO_PORTS: Mapping[str, TensorSpec] = MappingProxyType({})


class LoadedSession(Session):
    """A `Session` that checks what it is fed and measures its time; a runtime adds `_answer` and `_running`.

    A runtime sets the fields before its first run. `run` raises ModelError for a feed that does not fit and
    after `close`.
    """

    _inputs: Mapping[str, TensorSpec] = NO_PORTS
    _outputs: Mapping[str, TensorSpec] = NO_PORTS
    _ran_on = ""
    _precision = "fp32"
    _spent_ns = 0

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        return self._outputs

    @property
    def ran_on(self) -> str:
        return self._ran_on

    @property
    def precision(self) -> str:
        return self._precision

    @property
    def spent_ns(self) -> int:
        return self._spent_ns

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        if not self._running:
            raise ModelError(f"{self._name} is closed: open it again")
        check_feed(self._inputs, feed, self._name)
        started = now_ns()
        result = self._answer(feed)
        self._spent_ns += now_ns() - started
        return result

    @property
    @abstractmethod
    def _running(self) -> bool:
        """Whether it was not closed yet."""

    @abstractmethod
    def _answer(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs for a feed that fits. Raises ModelError where the runtime fails."""


def model_bytes(model: Path | bytes) -> tuple[bytes, str]:
    """What is in a model's file, or the bytes given, and what to call it. Raises ModelError."""
    if isinstance(model, bytes):
        return model, "the model"
    try:
        return model.read_bytes(), model.name
    except OSError as error:
        raise ModelError(f"{model} cannot be read ({error.strerror}): check the path") from error
