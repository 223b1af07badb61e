"""One frame in, one result out: the faces are found, the character makes its picture of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from realtime.clock import Clock, StageTimer
from realtime.errors import ModelError
from realtime.families.effect import Effect
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.tracking.face import Face

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
    None when there is none: no face was found, or a stage failed (then `error` says how). `resting`:
    the picture is synthetic, but nobody was there to drive it.
    """

    frame: Frame
    title: str
    pixels: Pixels | None
    faces: int = 0
    error: Exception | None = None
    resting: bool = False


class Engine:
    """Turns frames into results, one at a time, in the caller's thread. Never raises for a bad frame.

    A failing stage is a result with an `error`, so that whatever goes wrong inside, the decision
    what leaves the program stays with the guard.
    """

    def __init__(self, finder: FaceFinder, character: Effect, settings: Callable[[], Settings], clock: Clock) -> None:
        self._finder = finder
        self._character = character
        self._settings = settings
        self._clock = clock

    def wear(self, character: Effect) -> None:
        """Change the identity; the old one is closed."""
        old, self._character = self._character, character
        old.close()

    @property
    def character(self) -> Effect:
        """The identity worn now."""
        return self._character

    def __call__(self, frame: Frame) -> Result:
        timer = StageTimer(self._clock)
        character = self._character
        in_networks = self._finder.spent_ns + character.spent_ns
        timer.spans["capture"] = timer.started - frame.captured_ns
        try:
            settings = self._settings()
            self._finder.steadiness = settings.steadiness
            faces = self._finder(frame)
            timer.lap("detect")
            seen = [face for face in faces if _in_sight(face, frame.size)]
            pixels = character(frame, seen, settings, timer)
            if pixels is not None and settings.mirror:
                pixels = np.ascontiguousarray(cv2.flip(pixels, 1), dtype=np.uint8)
            timer.spans["networks"] = self._finder.spent_ns + character.spent_ns - in_networks
            timed = frame.with_spans(**timer.spans)
            return Result(timed, character.title, pixels, len(faces), resting=character.resting)
        except Exception as error:  # any stage, any reason: the guard must decide, not the exception
            return Result(frame.with_spans(**timer.spans), character.title, None, 0, error)

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._character.close()
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
