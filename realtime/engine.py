"""One frame in, one result out: detect, align, swap, blend."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from realtime.align import crop_from_frame, cut
from realtime.blend import Uncovered, blend
from realtime.clock import Clock
from realtime.errors import ModelError
from realtime.face import Face
from realtime.frame import Frame, Pixels
from realtime.masks import oval_mask
from realtime.settings import Settings
from realtime.swap import Swapper

LEAST_IN_SIGHT = 0.2
"""Of the face's box: with less of it in the picture there is no face to replace."""


class FaceFinder(Protocol):
    """Finds the followed faces of a frame: the Tracker, or another detector."""

    steadiness: float

    @property
    def ran_on(self) -> str: ...

    @property
    def spent_ns(self) -> int: ...

    def __call__(self, frame: Frame) -> list[Face]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What became of one frame.

    `frame` is the source's frame with the engine's stage times (`networks`: the part of them spent
    inside the networks). `title` names the identity worn. `pixels` is the synthetic picture,
    None when there is none: no face was found, or a stage failed (then `error` says how).
    """

    frame: Frame
    title: str
    pixels: Pixels | None
    faces: int = 0
    error: Exception | None = None


class Engine:
    """Turns frames into results, one at a time, in the caller's thread. Never raises for a bad frame.

    A failing stage is a result with an `error`, so that whatever goes wrong inside, the decision
    what leaves the program stays with the guard.
    """

    def __init__(self, finder: FaceFinder, swapper: Swapper, settings: Callable[[], Settings], clock: Clock) -> None:
        self._finder = finder
        self._swapper = swapper
        self._settings = settings
        self._clock = clock

    def wear(self, swapper: Swapper) -> None:
        """Change the identity; the old one is closed."""
        old, self._swapper = self._swapper, swapper
        old.close()

    @property
    def swapper(self) -> Swapper:
        """The identity worn now."""
        return self._swapper

    def __call__(self, frame: Frame) -> Result:
        clock = self._clock
        started = clock()
        title = self._swapper.title
        in_networks = self._finder.spent_ns + self._swapper.spent_ns
        spans = {"capture": started - frame.captured_ns}
        try:
            settings = self._settings()
            self._finder.steadiness = settings.steadiness
            faces = self._finder(frame)
            found = clock()
            spans["detect"] = found - started
            pixels: Pixels | None = None
            for face in faces:
                if _in_sight(face, frame.size):
                    pixels = self._put_on(frame.pixels if pixels is None else pixels, face, settings, spans)
            if pixels is not None and settings.mirror:
                pixels = np.ascontiguousarray(cv2.flip(pixels, 1), dtype=np.uint8)
            spans["networks"] = self._finder.spent_ns + self._swapper.spent_ns - in_networks
            return Result(frame.with_spans(**spans), title, pixels, len(faces))
        except Uncovered:
            # A hand before the face, say: no picture to show, and nothing is broken.
            return Result(frame.with_spans(**spans), title, None)
        except Exception as error:  # any stage, any reason: the guard must decide, not the exception
            return Result(frame.with_spans(**spans), title, None, 0, error)

    def _put_on(self, pixels: Pixels, face: Face, settings: Settings, spans: dict[str, int]) -> Pixels:
        clock, swapper = self._clock, self._swapper
        t0 = clock()
        matrix = crop_from_frame(face.landmarks, swapper.face_type, swapper.size, coverage=swapper.coverage)
        crop = cut(pixels, matrix, swapper.size)
        region = oval_mask(face.landmarks, matrix, swapper.size)
        t1 = clock()
        swapped = swapper(crop, face)
        t2 = clock()
        picture = blend(pixels, crop, swapped, matrix, settings, region)
        t3 = clock()
        for stage, ns in (("align", t1 - t0), ("swap", t2 - t1), ("blend", t3 - t2)):
            spans[stage] = spans.get(stage, 0) + ns
        return picture

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._swapper.close()
        self._finder.close()


def _in_sight(face: Face, size: tuple[int, int]) -> bool:
    """False where the tracked face lies beside the picture: then whatever is in it was not replaced.

    Landmarks that are not numbers are a fault of the tracker, and raise.
    """
    x0, y0, x1, y1 = face.box
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise ModelError("the face tracker gave landmarks that are not numbers")
    seen = max(0.0, min(x1, size[0]) - max(x0, 0.0)) * max(0.0, min(y1, size[1]) - max(y0, 0.0))
    return seen >= LEAST_IN_SIGHT * (x1 - x0) * (y1 - y0)
