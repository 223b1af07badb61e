"""What changes in a video that its motion does not explain: the warping error, and the jitter under static input."""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.metrics import Bools, Floats, Reals
from realtime.clock import now_ns
from realtime.frame import Frame, Pixels
from realtime.pipeline.engine import Engine
from realtime.tracking.face import Face

FLOW_WIDTH = 256
"""Flow is found on the face's box at this width: finer, it follows the camera's noise."""

BOX_MARGIN = 0.15
"""How far around the face flicker is looked for, in sides of its box."""

STATIC_FRAMES, SETTLING = 60, 10
"""Frames of static input, and those left out before them: the tracker's filter needs them to come to rest."""

NOISE = 2.0
"""Standard deviation of the noise put in, in 8-bit levels, a pixel and a colour: an ordinary webcam indoors."""

Box = tuple[int, int, int, int]


class Flicker:
    """The warping error of several videos that share their motion (Lai and others, ECCV 2018).

    For each pair of frames the flow of the driver's video takes the later picture onto the earlier one; what then
    differs, where the flow can be trusted, did not come from motion. Squared over three channels of 0..1, averaged
    over pixels, then over pairs.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._before: tuple[Pixels, dict[str, Pixels]] | None = None
        self._errors: dict[str, list[float]] = {name: [] for name in names}

    def skip(self) -> None:
        """The next frame does not follow the last one."""
        self._before = None

    def see(self, driver: Pixels, pictures: Mapping[str, Pixels], face: Face | None) -> None:
        """One frame of all videos; errors count about the face, where the first video is not the driver."""
        box = None if face is None else face_box(face, (driver.shape[1], driver.shape[0]), BOX_MARGIN)
        before, self._before = self._before, None if box is None else (driver, dict(pictures))
        if before is None or box is None:
            return
        old, new = _small(before[0], box), _small(driver, box)
        grey_old, grey_new = _grey(old), _grey(new)
        forward, backward = self._motion(grey_old, grey_new), self._motion(grey_new, grey_old)
        grid = np.stack(np.meshgrid(*map(np.arange, forward.shape[1::-1])), axis=2).astype(np.float32)
        trusted = _consistent(forward, backward, grid)
        seen = {name: (_small(before[1][name], box), _small(pictures[name], box)) for name in self._errors}
        # Where the swap changed nothing there is nothing to blame it for.
        first = next(iter(seen.values()))
        trusted &= (first[0] != old).any(axis=2) | (first[1] != new).any(axis=2)
        if trusted.sum() < 100:
            return
        for name, (earlier, later) in seen.items():
            off = (_look_up(later.astype(np.float32), grid + forward) - earlier) / 255.0
            self._errors[name].append(float((off**2).sum(axis=2)[trusted].mean()))

    def _motion(self, old: Pixels, new: Pixels) -> Floats:
        """(H, W, 2): by how many pixels what is in `old` lies elsewhere in `new`."""
        return np.asarray(self._flow.calc(old, new, np.zeros((*old.shape, 2), np.float32)), dtype=np.float32)

    def errors(self) -> dict[str, float | None]:
        """The warping error by video; None before two frames came."""
        return {name: float(np.mean(found)) if found else None for name, found in self._errors.items()}


def face_box(face: Face, size: tuple[int, int], margin: float) -> Box | None:
    """(x0, y0, x1, y1) around a face with `margin` of its sides, in the picture; None where there is none."""
    x0, y0, x1, y1 = face.box
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    left, top = max(0, int(x0 - dx)), max(0, int(y0 - dy))
    right, bottom = min(size[0], int(x1 + dx) + 1), min(size[1], int(y1 + dy) + 1)
    return (left, top, right, bottom) if right - left >= 16 and bottom - top >= 16 else None


def _small(pixels: Pixels, box: Box) -> Pixels:
    x0, y0, x1, y1 = box
    height = max(8, round(FLOW_WIDTH * (y1 - y0) / (x1 - x0)))
    resized = cv2.resize(pixels[y0:y1, x0:x1], (FLOW_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def _look_up(picture: Floats, at: Floats) -> Floats:
    """The picture at the positions `at` (H, W, 2), x first."""
    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR), dtype=np.float32)


def _consistent(forward: Floats, backward: Floats, grid: Floats) -> Bools:
    """Where going there and back returns: the bound is Ruder and others' (2016), which Lai uses."""
    back = _look_up(backward, grid + forward)
    miss = ((forward + back) ** 2).sum(axis=2)
    size = (forward**2).sum(axis=2) + (back**2).sum(axis=2)
    inside = (grid + forward >= 0).all(axis=2) & (grid + forward < forward.shape[1::-1]).all(axis=2)
    return np.asarray((miss <= 0.01 * size + 0.5) & inside)


def noisy(still: Pixels, rng: np.random.Generator, noise: float = NOISE) -> Pixels:
    """The picture with Gaussian noise, a new array."""
    own = still.astype(np.float32) + rng.normal(0.0, noise, still.shape).astype(np.float32)
    return np.clip(np.rint(own), 0, 255).astype(np.uint8)


class TemporalDeviation:
    """The temporal standard deviation of each pixel, gathered frame by frame in one pass."""

    def __init__(self, first: Pixels) -> None:
        # About one picture, so that nothing is lost in the difference of large squares.
        self._about = first.astype(np.float32)
        self._count = 0
        self._sum: Reals = np.zeros(first.shape)
        self._squares: Reals = np.zeros(first.shape)

    def add(self, pixels: Pixels) -> None:
        """One more picture of the same size."""
        off = pixels.astype(np.float32) - self._about
        self._count += 1
        self._sum += off
        self._squares += off * off

    def map(self) -> Floats:
        """(H, W): the root of the variance over time, averaged over the colours; of two pictures at least."""
        mean = self._sum / self._count
        variance = np.maximum(self._squares / self._count - mean**2, 0.0) * (self._count / (self._count - 1))
        return np.asarray(np.sqrt(variance.mean(axis=2)), dtype=np.float32)


def static_jitter(
    engine: Engine, still: Pixels, mask_of: Callable[[Frame], Floats | None], *, frames: int = STATIC_FRAMES
) -> dict[str, Any]:
    """How much a still picture's output trembles, against the noise put in; for an engine that saw nothing before.

    `mask_of` gives the mask (H, W) of the frame the engine has just worked on, or None. What counts are the pixels that
    are the new face's by nine tenths in every frame: elsewhere the camera's own noise comes through.
    """
    rng = np.random.default_rng(0)
    before, after = TemporalDeviation(still), TemporalDeviation(still)
    always: npt.NDArray[np.bool_] = np.ones(still.shape[:2], np.bool_)
    for number in range(SETTLING + frames):
        frame = Frame(noisy(still, rng), number, now_ns(), number / 30.0)
        made = engine(frame).pixels
        mask = mask_of(frame)
        if number < SETTLING:
            continue
        if made is None or mask is None:
            return {"missing": f"the still picture gave no output at frame {number}"}
        before.add(frame.pixels)
        after.add(made)
        always &= mask >= 0.9
    if not always.any():
        return {"missing": "no pixel was taken over in every frame"}
    put_in, came_out = max(float(before.map()[always].mean()), 1e-6), after.map()[always]
    return {
        "input_std": round(put_in, 3),
        "output_std": round(float(came_out.mean()), 3),
        "ratio": round(float(came_out.mean()) / put_in, 3),
        "p99_over_noise": round(float(np.percentile(came_out, 99)) / put_in, 3),
        "frames": frames,
        "pixels": int(always.sum()),
    }
