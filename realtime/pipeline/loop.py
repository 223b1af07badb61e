"""The loop: live with threads and newest frame wins, or every frame of a file in order."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from realtime.capture.source import Source
from realtime.clock import Clock
from realtime.config import Settings
from realtime.errors import DeviceError, MasqueradeError, ModelError
from realtime.frame import Frame
from realtime.output.disclosure import badge
from realtime.output.sink import Sink
from realtime.pipeline.active_identity import IdentitySwitch
from realtime.pipeline.engine import Engine, Result
from realtime.pipeline.fallback import Fallback, Outgoing
from realtime.pipeline.metrics import Tally
from realtime.threads import Closed, Crew, Slot

log = logging.getLogger(__name__)

AHEAD_BYTES = 400 << 20  # 150 frames of 720p
MANY_ERRORS = 100
"""So many failed frames in a row are no accident: the run ends with the last error."""


@dataclass(slots=True, eq=False)
class Loop:
    """Frames from the source through the engine to the sinks. The parts belong to whoever opened them.

    `rate_hz` is the sinks' constant rate. `identities` gives the engine another identity once it is loaded; None where
    it never changes. `state` is one plain line for the page and the terminal. `lost` collects the errors of sinks that
    failed while others went on. `on_source_frame` is called with every captured frame (the user's own view).
    """

    source: Source
    engine: Engine
    fallback: Fallback
    sinks: list[Sink]
    settings: Callable[[], Settings]
    clock: Clock
    rate_hz: float
    identities: IdentitySwitch | None = None
    tally: Tally = field(default_factory=Tally)
    state: str = "starting"
    lost: list[DeviceError] = field(default_factory=list)
    on_source_frame: Callable[[Frame], None] | None = None
    _failed_in_a_row: int = 0

    def work(self, frame: Frame) -> Result:
        """The engine's turn: take an identity that became ready, then one frame. Raises after MANY_ERRORS."""
        if self.identities is not None and (ready := self.identities.take()) is not None:
            self.engine.switch(ready.effect, may_hide_badge=ready.selection.may_hide_badge)
        result = self.engine(frame)
        self.tally.processed += 1
        if result.error is None:
            self._failed_in_a_row = 0
            return result
        self.tally.errors += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row == 1:
            log.warning("frame %d failed, a stand-in goes out: %s", frame.seq, result.error)
        if self._failed_in_a_row >= MANY_ERRORS:
            if isinstance(result.error, MasqueradeError):
                raise result.error
            kind = type(result.error).__name__
            raise ModelError(
                f"{MANY_ERRORS} frames failed in a row ({kind}: {result.error}): run with --debug and report it"
            ) from result.error
        return result

    def show(self, result: Result | None, now_ns: int) -> Outgoing:
        """Choose what leaves for a result, hand it to every sink, with the badge, and count it; gives what left.

        The last stage: what is shown here has left the program. `now_ns` tells how old a held picture is.
        """
        started = self.clock()
        settings = self.settings()
        out = self.fallback.picture(result, now_ns, settings)
        # A fresh synthetic picture is ours alone, so the badge goes straight onto it: that saves copying it. If it
        # is held later, a second badge lands on the first one, which changes nothing to look at.
        pixels = out.pixels
        if settings.badge == "on" or not out.may_hide_badge:
            pixels = badge(pixels, in_place=out.kind in ("synthetic", "rest") and pixels.flags.writeable)
        fresh = result is not None
        captured_ns = result.frame.captured_ns if result is not None else started
        media_s = result.frame.media_s if result is not None else None
        motion = result.frame.motion if result is not None and result.pixels is not None else None
        frame = Frame(pixels, self.tally.emitted, captured_ns, media_s, motion=motion)
        for sink in list(self.sinks):
            self._hand_over(sink, frame)
        now = self.clock()
        self.tally.repeated += not fresh
        self.tally.guarded += out.guarded
        self.tally.covered += out.covered > 0
        self.tally.raw += out.kind == "raw"
        if result is not None and result.pixels is not None:
            spans = {**result.frame.spans}
            done = captured_ns + sum(ns for stage, ns in spans.items() if stage != "networks")
            self.tally.emit(now, captured_ns, {**spans, "output": now - done})
        else:
            self.tally.emit(now, None, {})
        if self.source.state != "ok":
            self.state = self.source.state
        elif fresh or out.kind != "hold":  # a machine that is slow repeats pictures, and no face is lost
            self.state = out.kind
        return out

    def _hand_over(self, sink: Sink, frame: Frame) -> None:
        """A full disk must not take the call's camera away: a failing sink leaves, the rest goes on."""
        try:
            sink.show(frame)
        except DeviceError as error:
            if len(self.sinks) == 1:
                raise
            log.warning("%s; the other outputs go on", error)
            self.lost.append(error)
            self.sinks.remove(sink)
            sink.close()


def look_ahead(loop: Loop) -> deque[Frame]:
    """The first frames of a file, read until the engine has a picture for one: it knows the driver's face then.

    At most `AHEAD_BYTES` of them; nothing of it is shown or counted.
    """
    read, held = deque[Frame](), 0
    while held < AHEAD_BYTES and (frame := loop.source.read()) is not None:
        read.append(frame)
        held += frame.pixels.nbytes
        if loop.engine(frame).pixels is not None:
            break
    return read


def run_offline(loop: Loop, tick: Callable[[], object], *, ahead: bool = False) -> None:
    """Every frame of the source, in order, losing none; in the caller's thread, which calls `tick` before each.

    `ahead`: with `look_ahead`, so that a film does not begin with a slate.
    """
    waiting = look_ahead(loop) if ahead else deque[Frame]()
    before_ns = laps_ns = 0
    while True:
        tick()
        frame = waiting.popleft() if waiting else loop.source.read()
        if frame is None:
            return
        loop.tally.captured += 1
        if loop.identities is not None:
            loop.identities.load_next()
        result = loop.work(frame)
        # Media time, not the wall clock: a slow machine must not turn a hold into a slate.
        now = frame.captured_ns if frame.media_s is None else int(frame.media_s * 1e9)
        laps_ns += max(before_ns - now, 0)  # a file that begins again
        before_ns = now
        loop.show(result, laps_ns + now)


def run_live(loop: Loop, crew: Crew) -> None:
    """Start the loop's threads in `crew`: `capture`, `engine`, `output`, and `identity`, which loads. Returns at once.

    The thread `output` ends last: when the source has ended and its last frame was shown, or when
    the crew is stopped.
    """
    frames: Slot[Frame] = Slot()
    results: Slot[Result] = Slot()
    tally = loop.tally

    def capture() -> None:
        try:
            while not crew.stopping:
                frame = loop.source.read()
                if frame is None:
                    break
                tally.captured += 1
                if loop.on_source_frame is not None:
                    loop.on_source_frame(frame)
                frames.put(frame)
                tally.dropped = frames.replaced + results.replaced
        finally:
            frames.close()

    def engine() -> None:
        try:
            while not crew.stopping:
                frame = frames.get()
                if frame is not None:
                    results.put(loop.work(frame))
        except Closed:
            pass
        finally:
            results.close()

    def output() -> None:
        period_ns = int(1e9 / loop.rate_hz)
        due = loop.clock() + period_ns
        try:
            while not crew.stopping:
                wait_ns = due - loop.clock()
                result = results.get(max(wait_ns, 0) / 1e9)
                now = loop.clock()
                loop.show(result, now)
                # A new picture goes out at once. Silence is filled at the constant rate, but only
                # half a period late, so that a picture that is just behind replaces its repeat.
                due = now + period_ns + period_ns // 2 if result is not None else now + period_ns
        except Closed:
            pass

    crew.start("output", output, results.close)
    crew.start("engine", engine, frames.close)
    crew.start("capture", capture, loop.source.unblock)
    if loop.identities is not None:
        crew.start("identity", loop.identities.work, loop.identities.unblock)
