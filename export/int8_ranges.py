"""What values a network's tensors take on calibration samples, and which range of them 8 bits should span.

A range too wide spends its 256 steps on values that hardly occur, one too narrow cuts values off: `RULES` are
the ways to choose between the two. The histogram has its first bins' width fixed by a first pass over the
samples, so a sample is held only while it is counted, however large the network is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from realtime.errors import ModelError
from realtime.inference.providers import physical_cores
from realtime.inference.session import Array

Feed = Mapping[str, Array]
Reals = npt.NDArray[np.float64]
Rule = Literal["least error", "largest", "99.99%", "99.9%", "99%"]

RULES: tuple[Rule, ...] = ("least error", "largest", "99.99%", "99.9%", "99%")
"""Ways to a range: the least squared error of rounding and cutting off together; all values seen; a share of
them, what is left out taken half from either end. The narrow ones are for networks with a few huge values in
places that nobody sees, like the corner of a crop that the mask hides."""

BINS = 2048
MOST_VALUES = 1 << 18
"""Of one tensor in one sample, counted in equal strides: enough for a range, and quick for a full-size picture."""

SHRINKS = tuple(np.linspace(1.0, 0.1, 19).tolist())
"""The shares of the largest value that `least error` tries as a range's end."""


@dataclass(slots=True, eq=False)
class Spread:
    """One tensor's values: the lowest and highest (0 included), and how many lie in each of equal bins between."""

    low: float = 0.0
    high: float = 0.0
    counts: Reals = field(default_factory=lambda: np.zeros(BINS))

    def reach(self, values: Array) -> None:
        """Widen the ends to take `values` in."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def count(self, values: Array) -> None:
        """Count `values`, which lie within the ends."""
        width = (self.high - self.low) / BINS
        if width > 0:
            bins = ((np.asarray(values, np.float64) - self.low) / width).astype(np.int64)
            self.counts += np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)

    def range(self, rule: Rule, *, symmetric: bool) -> tuple[float, float]:
        """The ends that 8 bits should span by `rule`; `symmetric` ones are as far from 0 as each other."""
        low, high = self.low, self.high
        if rule != "largest" and self.counts.any():
            if rule == "least error":
                low, high = self._least_error(symmetric)
            else:
                low, high = self._percentile(float(rule[:-1]) / 100)
        if symmetric:
            high = max(-low, high)
            low = -high
        return low, high

    def _percentile(self, kept: float) -> tuple[float, float]:
        share = np.cumsum(self.counts) / self.counts.sum()
        edges = np.linspace(self.low, self.high, BINS + 1)
        first = int(np.searchsorted(share, (1 - kept) / 2))
        last = int(np.searchsorted(share, (1 + kept) / 2))
        return min(float(edges[first]), 0.0), max(float(edges[min(last + 1, BINS)]), 0.0)

    def _least_error(self, symmetric: bool) -> tuple[float, float]:
        edges = np.linspace(self.low, self.high, BINS + 1)
        centres = (edges[:-1] + edges[1:]) / 2
        lows = [self.low * shrink for shrink in SHRINKS] if self.low < 0 else [0.0]
        highs = [self.high * shrink for shrink in SHRINKS] if self.high > 0 else [0.0]
        if symmetric:
            reach = max(-self.low, self.high)
            pairs = [(-reach * shrink, reach * shrink) for shrink in SHRINKS]
        else:
            pairs = [(low, high) for low in lows for high in highs]
        below = np.array([[low, high] for low, high in pairs])
        cut = np.maximum(below[:, :1] - centres, 0) + np.maximum(centres - below[:, 1:], 0)
        step = (below[:, 1] - below[:, 0]) / (254 if symmetric else 255)
        # Rounding errs by step² / 12 on average, but values that are 0 (after a ReLU, most are) not at all.
        inside = (cut == 0) & (np.abs(centres) > (edges[1] - edges[0]))
        errors = (self.counts * (cut**2 + inside * (step[:, None] ** 2 / 12))).sum(axis=1)
        low, high = pairs[int(np.argmin(errors))]
        return float(low), float(high)


def spreads(model: onnx.ModelProto, tensors: Sequence[str], samples: Iterable[Feed]) -> dict[str, Spread]:
    """The spread of each of `tensors` (names of float32 tensors) over `samples`, which is gone through twice.

    Raises ModelError where a value is no number: such a network is not to be quantised.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    inputs = {port.name for port in model.graph.input}
    outputs = {port.name for port in model.graph.output}
    asked = [name for name in dict.fromkeys(tensors) if name not in inputs]
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in asked if name not in outputs
    )
    session = open_graph(probe)
    found = {name: Spread() for name in tensors}
    for counting in (False, True):
        for feed in samples:
            values = dict(zip(asked, session.run(asked, dict(feed)), strict=True)) if asked else {}
            for name, spread in found.items():
                value = values[name] if name in values else feed[name]
                if not np.isfinite(value).all():
                    raise ModelError(f"{name!r} takes values that are no numbers on a sample: keep this model in fp32")
                if not counting:
                    spread.reach(value)
                    continue
                flat = value.ravel()
                spread.count(flat[:: flat.size // MOST_VALUES | 1])  # odd, so as not to pick one column of a picture
    return found


def open_graph(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session for calibrating and judging, on all cores of the CPU, which are its own meanwhile."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = physical_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
