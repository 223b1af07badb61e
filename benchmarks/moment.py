"""One frame as everybody saw it, and who looks at it: each further figure is an examiner of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels
from realtime.tracking.face import Face

Floats = npt.NDArray[np.float32]

VIDEOS = ("output", "driver", "ceiling")
"""What is compared: what left, what came in, and the loop with the driver's own face given back."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A frame that has an output.

    `pictures` holds one picture by name of `VIDEOS`, all of one size. `face` is the driver's as it was read, else as
    it was followed; None where neither was. `mask` is what the blend took over, (H, W) float32 0..1, placed by the
    benchmark's own code; None where nothing was drawn. `network_masks`: as `pictures.network_masks` gives them.
    """

    seq: int
    pictures: Mapping[str, Pixels]
    face: Face | None
    mask: Floats | None
    network_masks: Mapping[str, Floats] = field(default_factory=dict)


class Examiner(Protocol):
    """Collects one kind of figure over a clip; `key` is its place in the clip's figures."""

    key: str

    def see(self, moment: Moment) -> None: ...

    def figures(self) -> dict[str, Any]:
        """As JSON has them; `missing` says why there are none."""
        ...


class Missing:
    """Stands in for an examiner that can't work here, and says why."""

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        self._why = why

    def see(self, moment: Moment) -> None:
        """Nothing."""

    def figures(self) -> dict[str, Any]:
        """The reason alone."""
        return {"missing": self._why}
