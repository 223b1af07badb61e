"""A still picture under camera noise: what trembles in the output that did not tremble in the camera."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.moment import Floats
from realtime.clock import now_ns
from realtime.frame import Frame, Pixels
from realtime.pipeline.engine import Engine

FRAMES = 60
SETTLING = 10
"""Frames left out at the start: the tracker's filter needs them to come to rest."""

NOISE = 2.0
"""Standard deviation of the noise put in, in 8-bit levels, a pixel and a colour: an ordinary webcam indoors."""


def noisy(still: Pixels, rng: np.random.Generator, noise: float = NOISE) -> Pixels:
    """The picture with Gaussian noise, a new array."""
    own = still.astype(np.float32) + rng.normal(0.0, noise, still.shape).astype(np.float32)
    return np.clip(np.rint(own), 0, 255).astype(np.uint8)


class Trembling:
    """The temporal standard deviation of each pixel, gathered frame by frame in one pass."""

    def __init__(self) -> None:
        self._count = 0
        self._first: Floats | None = None
        self._sum: npt.NDArray[np.float64] | None = None
        self._squares: npt.NDArray[np.float64] | None = None

    def add(self, pixels: Pixels) -> None:
        """One more picture of the same size."""
        now = pixels.astype(np.float32)
        if self._first is None or self._sum is None or self._squares is None:
            self._first = now
            self._sum, self._squares = np.zeros(now.shape), np.zeros(now.shape)
        # About the first picture, so that nothing is lost in the difference of large squares.
        off = now - self._first
        self._count += 1
        self._sum += off
        self._squares += off * off

    def map(self) -> Floats:
        """(H, W): the root of the variance over time, averaged over the colours; two pictures at least."""
        assert self._sum is not None
        assert self._squares is not None
        assert self._count > 1
        mean = self._sum / self._count
        variance = np.maximum(self._squares / self._count - mean**2, 0.0) * (self._count / (self._count - 1))
        return np.asarray(np.sqrt(variance.mean(axis=2)), dtype=np.float32)


def frozen_jitter(
    engine: Engine,
    still: Pixels,
    taken_over: Callable[[Frame], Floats | None],
    *,
    frames: int = FRAMES,
    seed: int = 0,
) -> dict[str, Any]:
    """How much a still picture's output trembles, against the noise put in; for an engine that saw nothing before.

    `taken_over` gives the mask (H, W) of the frame the engine has just worked on, or None. What counts is the mean
    over the pixels that are the new face's by nine tenths in every frame: elsewhere the camera's own noise comes
    through, and would hide what the swap does. `ratio` is output over input; `p99_over_noise` the same of the worst
    hundredth of the pixels: an edge that swims.
    """
    rng = np.random.default_rng(seed)
    before, after = Trembling(), Trembling()
    always: npt.NDArray[np.bool_] | None = None
    for number in range(SETTLING + frames):
        frame = Frame(noisy(still, rng), number, now_ns(), number / 30.0)
        made = engine(frame).pixels
        mask = taken_over(frame)
        if number < SETTLING:
            continue
        if made is None or mask is None:
            return {"missing": f"the still picture gave no output at frame {number}"}
        before.add(frame.pixels)
        after.add(made)
        own = mask >= 0.9
        always = own if always is None else always & own
    if always is None or not always.any():
        return {"missing": "no pixel was taken over in every frame"}
    put_in, came_out = float(before.map()[always].mean()), after.map()[always]
    return {
        "input_std": round(put_in, 3),
        "output_std": round(float(came_out.mean()), 3),
        "ratio": round(float(came_out.mean()) / max(put_in, 1e-6), 3),
        "p99_over_noise": round(float(np.percentile(came_out, 99)) / max(put_in, 1e-6), 3),
        "frames": frames,
        "pixels": int(always.sum()),
    }
