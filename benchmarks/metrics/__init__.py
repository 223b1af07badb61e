"""What is measured over a clip: a metric sees every frame and gives one kind of figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels
from realtime.tracking.face import Face

Floats = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OUTER_EYES = (33, 263)
"""The outer corners of the eyes among the 478 landmarks: their distance is 300-W's unit of length."""

VIDEOS = ("output", "driver", "ceiling")
"""What is compared: what left, what came in, and the loop with the driver's own face given back."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFrame:
    """A frame that has an output.

    `pictures` holds one picture by name of `VIDEOS`, all of one size. `face` is the driver's as it was read, else as
    it was tracked; None where neither was. `mask` is what the blend took over, (H, W) float32 0..1, placed by the
    benchmark's own code; None where nothing was drawn. `network_masks`: as `masks.network_masks` gives them. `output`
    is the face as it was read in the output.
    """

    seq: int
    pictures: Mapping[str, Pixels]
    face: Face | None
    mask: Floats | None
    network_masks: Mapping[str, Floats] = field(default_factory=dict)
    output: Face | None = None


class Metric(Protocol):
    """Collects one kind of figure over a clip; `key` is its place in the clip's figures."""

    key: str

    def see(self, frame: MeasuredFrame) -> None: ...

    def figures(self) -> dict[str, Any]:
        """As JSON has them; `missing` says why there are none."""
        ...


@dataclass(slots=True)
class Missing:
    """Stands in for a metric that cannot work here, and says why."""

    key: str
    why: str

    def see(self, frame: MeasuredFrame) -> None:
        """Nothing."""

    def figures(self) -> dict[str, Any]:
        return {"missing": self.why}


def rounded(value: float | None, digits: int = 3) -> float | None:
    """The value rounded; None for None and for what is not a number."""
    return None if value is None or value != value else round(float(value), digits)


def mean(values: Iterable[float | None] | Sequence[float], digits: int = 4) -> float | None:
    """The mean of the values that are known; None of none."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), digits) if known else None


def share(part: int, whole: int) -> float | None:
    """Part over whole; None of nothing."""
    return round(part / whole, 4) if whole else None
