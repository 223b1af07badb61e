"""One frame in, one result out: the tracker finds the faces, the effect makes its picture of them."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from realtime.clock import Clock, StageTimer
from realtime.config import Settings
from realtime.errors import ModelError
from realtime.families.effect import Effect
from realtime.frame import Frame, Pixels
from realtime.inference.session import Session, report
from realtime.pipeline.leak_guard import Checked, Doubtful, LeakGuard, OthersSeen
from realtime.tracking.face import Face

log = logging.getLogger(__name__)

LEAST_IN_SIGHT = 0.2
"""Of the face's box: with less of it in the picture there is no face to replace."""


class FaceFinder(Protocol):
    """Finds the followed faces of a frame: the Tracker, or another detector."""

    steadiness: float
    sessions: Sequence[Session]

    def __call__(self, frame: Frame) -> list[Face]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What became of one frame.

    `frame` is the source's frame with the engine's stage times (`networks`: the part of them spent
    inside the networks). `title` names the identity shown. `pixels` is the synthetic picture,
    None when there is none: no face was found, the guard stopped it, or a stage failed (then `error` says how).
    `resting`: the picture is synthetic, but nobody drives it. `may_hide_badge`: its identity leaves the badge to the
    user. `covered`: faces that were covered in it. `raw`: a face may be in it as it came in. `others`: there is no
    picture because somebody else is in it.
    """

    frame: Frame
    title: str
    pixels: Pixels | None
    faces: int = 0
    error: Exception | None = None
    resting: bool = False
    may_hide_badge: bool = False
    covered: int = 0
    raw: bool = False
    others: bool = False


class Engine:
    """Turns frames into results, one at a time, in the caller's thread. Never raises for a bad frame.

    A failing stage is a result with an `error`: the fallback decides what leaves. `effect` is that of the active
    identity. One value of the settings holds for a whole frame. `guard` looks at every picture in which the source is
    seen; None only where nothing leaves, as in benchmarks.
    """

    def __init__(
        self,
        tracker: FaceFinder,
        effect: Effect,
        settings: Callable[[], Settings],
        clock: Clock,
        *,
        guard: LeakGuard | None = None,
        may_hide_badge: bool = False,
    ) -> None:
        self._tracker, self.effect, self._guard = tracker, effect, guard
        self._settings, self._clock = settings, clock
        self._may_hide_badge = may_hide_badge
        self._said: set[str] = set()

    def switch(self, effect: Effect, *, may_hide_badge: bool = False) -> None:
        """Change the identity; the old effect is closed."""
        old, self.effect, self._may_hide_badge = self.effect, effect, may_hide_badge
        self._said.clear()
        old.close()

    def __call__(self, frame: Frame) -> Result:
        timer = StageTimer(self._clock)
        effect, hide = self.effect, self._may_hide_badge
        guards = self._guard.sessions if self._guard is not None else ()
        sessions = (*self._tracker.sessions, *effect.sessions, *guards)
        in_networks = report(sessions).spent_ns
        timer.spans["capture"] = timer.started - frame.captured_ns
        try:
            settings = self._settings()
            self._tracker.steadiness = settings.steadiness
            faces = self._tracker(frame)
            timer.lap("detect")
            shares = [_share_in_sight(face, frame.size) for face in faces]
            seen = [face for face, share in zip(faces, shares, strict=True) if share >= LEAST_IN_SIGHT]
            missed = [face for face, share in zip(faces, shares, strict=True) if 0 < share < LEAST_IN_SIGHT]
            pixels = effect(frame, seen, settings, timer)
            checked = None if pixels is None else self._check(frame, pixels, settings, seen, missed)
            timer.lap("detect")
            pixels = None if checked is None else checked.pixels
            if pixels is not None and settings.mirror:
                pixels = np.ascontiguousarray(cv2.flip(pixels, 1), dtype=np.uint8)
            timer.spans["networks"] = report(sessions).spent_ns - in_networks
            timed = replace(frame.with_spans(**timer.spans), motion=effect.motion)
            result = Result(timed, effect.title, pixels, len(faces), resting=effect.resting, may_hide_badge=hide)
            return result if checked is None else replace(result, covered=checked.covered, raw=checked.raw)
        except Doubtful as doubt:
            others = isinstance(doubt, OthersSeen)
            if not others and str(doubt) not in self._said:
                self._said.add(str(doubt))
                log.warning("frame %d does not leave: %s", frame.seq, doubt)
            timed = frame.with_spans(**timer.spans)
            return Result(timed, effect.title, None, len(faces), may_hide_badge=hide, others=others)
        except Exception as error:  # any stage, any reason: the fallback must decide, not the exception
            return Result(frame.with_spans(**timer.spans), effect.title, None, 0, error, may_hide_badge=hide)

    def _check(
        self, frame: Frame, made: Pixels, settings: Settings, seen: Sequence[Face], missed: Sequence[Face]
    ) -> Checked:
        """What may leave of a picture that the effect made. Raises Doubtful."""
        if self._guard is None or self.effect.keeps == "nothing":
            return Checked(made)
        where = {"replaced": seen} if self.effect.keeps == "surroundings" else {"kept": seen}
        return self._guard(frame.pixels, made, settings, missed=missed, **where)

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self.effect.close()
        if self._guard is not None:
            self._guard.close()
        self._tracker.close()


def _share_in_sight(face: Face, size: tuple[int, int]) -> float:
    """How much of the tracked face's box lies in the picture, 0..1.

    Landmarks that are not numbers are a fault of the tracker, and raise.
    """
    x0, y0, x1, y1 = face.box
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise ModelError("the face tracker gave landmarks that are not numbers")
    seen = max(0.0, min(x1, size[0]) - max(x0, 0.0)) * max(0.0, min(y1, size[1]) - max(y0, 0.0))
    return seen / max((x1 - x0) * (y1 - y0), 1e-6)
