"""A picture on its way through the loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from realtime.clock import NS_PER_S
from realtime.skeleton import Moment

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 BGR, C-contiguous."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One picture with its number and time.

    `pixels` is (H, W, 3) uint8 BGR, C-contiguous and read-only: whoever changes pixels makes a new array. `seq` counts
    the source's frames from 0. `captured_ns` is the clock's reading when the source had the picture. `media_s` is the
    presentation time within a file, None for live sources. `spans` holds nanoseconds spent so far, by stage. `motion`:
    of the figure that is drawn here, or is to be drawn.
    """

    pixels: Pixels
    seq: int
    captured_ns: int
    media_s: float | None = None
    spans: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    motion: Moment | None = None

    def __post_init__(self) -> None:
        p = self.pixels
        if p.dtype != np.uint8 or p.ndim != 3 or p.shape[2] != 3 or not p.flags.c_contiguous:
            raise ValueError(f"a frame is (H, W, 3) uint8 C-contiguous, not {p.shape} {p.dtype}")
        p.flags.writeable = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def time_s(self) -> float:
        """The picture's time in seconds: within its file where it has one, else the clock's."""
        return self.captured_ns / NS_PER_S if self.media_s is None else self.media_s

    def with_pixels(self, pixels: Pixels) -> "Frame":
        """The same moment with another picture."""
        return replace(self, pixels=pixels)

    def with_spans(self, **spans: int) -> "Frame":
        """The same frame with more stage times (nanoseconds)."""
        return replace(self, spans=MappingProxyType({**self.spans, **spans}))

    def __repr__(self) -> str:
        w, h = self.size
        return f"Frame(seq={self.seq}, {w}x{h}, captured_ns={self.captured_ns})"
