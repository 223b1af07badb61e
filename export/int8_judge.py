"""How far a rounded network's answers are from the exact one's, on the same samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from export.int8_ranges import Feed, open_graph
from realtime.errors import ModelError
from realtime.inference.session import Array


@dataclass(frozen=True, slots=True)
class Limit:
    """How much worse than fp32 an int8 network may be, and how much of it must be int8 to be worth having.

    `psnr_db`: of each output over all samples. Its peak is 1 for pictures and masks (values 0..1), else the
    span of the output's values. `outputs` has limits of their own for outputs by name. `seen` names for a
    picture the mask output that covers it: differences count as much as they are seen. `least_work`: share
    of the layers' work, 0..1.
    """

    psnr_db: float = 38.0
    outputs: Mapping[str, float] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    least_work: float = 0.5

    def of(self, output: str) -> float:
        """The limit of one output in dB."""
        return self.outputs.get(output, self.psnr_db)


class Judge:
    """Remembers what the exact network answers to some samples, and compares other networks with it.

    Raises ModelError where the exact network gives values that are no numbers.
    """

    def __init__(self, exact: onnx.ModelProto, samples: Sequence[Feed], seen: Mapping[str, str]) -> None:
        self._samples = samples
        self._names = [port.name for port in exact.graph.output]
        self._seen = seen
        run = runner(exact)
        self._answers = [run(feed) for feed in samples]
        self._peaks = {name: _peak(name, [answer[name] for answer in self._answers]) for name in self._names}

    @property
    def samples(self) -> int:
        """How many it compares on."""
        return len(self._samples)

    def errors(self, run: Callable[[Feed], Mapping[str, Array]], *, first: int | None = None) -> dict[str, float]:
        """By output: the mean squared difference in units of its peak, over the `first` samples, None: all.

        Infinite where a value is no number.
        """
        sums = dict.fromkeys(self._names, 0.0)
        compared = list(zip(self._samples, self._answers, strict=True))[:first]
        for feed, answer in compared:
            given = run(feed)
            for name in self._names:
                sums[name] += self._error(name, answer, given[name])
        return {name: total / len(compared) for name, total in sums.items()}

    def _error(self, name: str, answer: Mapping[str, Array], given: Array) -> float:
        if not np.isfinite(given).all():
            return float("inf")
        away = np.asarray(answer[name], np.float64) - np.asarray(given, np.float64)
        squares = (away / self._peaks[name]) ** 2
        mask = answer[self._seen[name]] if name in self._seen else None
        if mask is None or not mask.sum() > 0:
            return float(squares.mean())
        weight = np.broadcast_to(np.asarray(mask, np.float64), squares.shape)
        return float((squares * weight).sum() / weight.sum())


def psnr_db(error: float) -> float:
    """A mean squared error in units of the peak as dB; 120 stands for no difference at all."""
    return round(float(-10 * np.log10(max(error, 1e-12))), 1)


def _peak(name: str, values: Sequence[Array]) -> float:
    if not all(np.isfinite(value).all() for value in values):
        raise ModelError(f"the output {name!r} has values that are no numbers: this model can't be quantised")
    low, high = min(float(value.min()) for value in values), max(float(value.max()) for value in values)
    picture = low >= -0.01 and high <= 1.01
    return 1.0 if picture else max(high - low, 1e-6)


def runner(network: onnx.ModelProto) -> Callable[[Feed], dict[str, Array]]:
    """A network as a function from a feed to its outputs by name."""
    session = open_graph(network)
    names = [port.name for port in network.graph.output]
    return lambda feed: dict(zip(names, session.run(names, dict(feed)), strict=True))
