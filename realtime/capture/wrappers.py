"""Sources around other sources: played in real time, ended by a condition, exchanged while they run."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.source import Source
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import MasqueradeError
from realtime.frame import Frame
from realtime.skeleton import Moment
from realtime.threads import Event, Latest

log = logging.getLogger(__name__)

MAX_LATE_S = 1.0
"""Behind by more than this, the schedule starts anew: a slept laptop must not replay the hours it missed, and a file
too heavy to decode in time must not fall ever further back."""

RECOVERED_S = 5.0  # a file that comes in time so long after it last fell behind is ok again

LIMIT_SLACK_S = 1e-6  # times of files are sums of rounded periods
LOOK_S = 0.2  # how often a new choice is looked for while there is no source


class SourceWrapper:
    """Everything as `inner` has it. Obeys `Source`; owns `inner`. What derives from it changes `read`."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def size(self) -> tuple[int, int]:
        return self.inner.size

    @property
    def rate_hz(self) -> float:
        """Frames a second, the source's own."""
        return self.inner.rate_hz

    @property
    def live(self) -> bool:
        return self.inner.live

    @property
    def state(self) -> str:
        return self.inner.state

    def read(self) -> Frame | None:
        """The source's next frame; None at its end."""
        return self.inner.read()

    def unblock(self) -> None:
        self.inner.unblock()

    def close(self) -> None:
        self.inner.close()


def innermost(source: Any) -> Any:
    """The source that `source` is wrapped around, itself where it is no wrapper."""
    while (inner := getattr(source, "inner", None)) is not None:
        source = inner
    return source


class Until(SourceWrapper):
    """The frames of `inner` before the first for which `over` says True: a still lasts as long as what is said."""

    def __init__(self, inner: Source, over: Callable[[Frame], bool]) -> None:
        super().__init__(inner)
        self._over = over

    def read(self) -> Frame | None:
        """The next frame; None from the end on."""
        frame = super().read()
        if frame is None or self._over(frame):
            self.unblock()  # no frame comes after the end
            return None
        return frame


class MediaLimit:
    """Says when `seconds` of frames have gone by, on the source's own clock, whose laps and jumps back are no time.

    One object may watch sources that replace each other.
    """

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds
        self._last: Frame | None = None
        self._step_s = 0.0

    def __call__(self, frame: Frame) -> bool:
        """True from the first frame that is too late."""
        last, self._last = self._last, frame
        if last is None:
            return False
        if frame.media_s is None or last.media_s is None:
            step_s = (frame.captured_ns - last.captured_ns) / NS_PER_S
        else:
            step_s = frame.media_s - last.media_s
        self._step_s = step_s if step_s > 0 else self._step_s
        self._left_s -= self._step_s
        return self._left_s < LIMIT_SLACK_S


class SeekableSource(Source, Protocol):
    """A source that never waits and can start again: what `Paced` plays."""

    @property
    def duration_s(self) -> float | None: ...

    def rewind(self) -> None: ...


KEPT_BYTES = 256 * 1024 * 1024
"""What a clip that goes back and forth may keep: a minute and more of 720p as JPEG. Of a longer one the end is kept."""


class Continued(SourceWrapper):
    """The frames of `inner`, and on after its end up to the first for which `over` says True.

    With `turns` they go back and forth, without a jump; else they begin again. `media_s` goes on rising with `rises`;
    else it begins again too, and with it the file's own sound. For files that are read as fast as they are processed.
    """

    inner: SeekableSource

    def __init__(
        self,
        inner: SeekableSource,
        over: Callable[[Frame], bool],
        *,
        turns: bool = False,
        rises: bool = True,
        clock: Clock = now_ns,
        most_bytes: int = KEPT_BYTES,
    ) -> None:
        super().__init__(inner)
        self._over, self._turns, self._rises, self._clock, self._room = over, turns, rises, clock, most_bytes
        self._kept: deque[tuple[float, npt.NDArray[np.uint8], Moment | None]] = deque()  # (time, JPEG, motion)
        self._again: Iterator[Frame] | None = None
        self._seq, self._lap_s, self._last_s, self._stopped = 0, 0.0, 0.0, False

    def read(self) -> Frame | None:
        """The next frame; None at the end."""
        frame = self.inner.read() if self._again is None else next(self._again, None)
        if frame is None and self._again is None and self._seq:
            self._again = self._back_and_forth() if self._turns else self._from_the_start()
            frame = next(self._again, None)
        elif frame is not None and self._turns and self._again is None:
            self._keep(frame)
        if frame is None:
            return None
        self._last_s = self._lap_s + (frame.media_s or 0.0)
        frame = replace(frame, seq=self._seq, media_s=self._last_s if self._rises else frame.media_s)
        if self._again is not None and self._over(frame):
            self.unblock()
            return None
        self._seq += 1
        return frame

    def _keep(self, frame: Frame) -> None:
        _, jpeg = cv2.imencode(".jpg", frame.pixels, (cv2.IMWRITE_JPEG_QUALITY, 95))
        self._kept.append((frame.media_s or 0.0, np.asarray(jpeg, np.uint8), frame.motion))
        self._room -= jpeg.nbytes
        while self._room < 0 and len(self._kept) > 2:
            self._room += self._kept.popleft()[1].nbytes

    def _back_and_forth(self) -> Iterator[Frame]:
        kept = list(self._kept)
        order = [*range(len(kept) - 2, 0, -1), *range(len(kept))] if len(kept) > 1 else [0]
        at = len(kept) - 1
        for now in cycle(order):
            # A frame lasts as long as on the way there.
            step_s = abs(kept[now][0] - kept[at][0]) or 1 / self.inner.rate_hz
            self._lap_s, at = self._last_s + step_s, now
            pixels = np.asarray(cv2.imdecode(kept[now][1], cv2.IMREAD_COLOR), np.uint8)
            yield Frame(pixels, 0, self._clock(), 0.0, motion=kept[now][2])

    def _from_the_start(self) -> Iterator[Frame]:
        before = -1
        while before < self._seq and not self._stopped:
            before, self._lap_s = self._seq, self._last_s + 1 / self.inner.rate_hz
            self.inner.rewind()
            yield from iter(self.inner.read, None)

    def unblock(self) -> None:
        self._stopped = True
        super().unblock()


class Paced(SourceWrapper):
    """Plays a file at its own speed, once or round and round: each frame comes when it is due, on the one clock.

    `captured_ns` is the moment a frame was due, not the moment it was read: so latency counts from the schedule, and a
    stall is charged to every frame it delayed (Gil Tene's "coordinated omission"). Nothing that is due is left out,
    except as MAX_LATE_S says. `fps` thins the frames to at most so many a second. `wait` waits so many seconds and says
    whether it was interrupted.
    """

    inner: SeekableSource

    def __init__(
        self,
        inner: SeekableSource,
        *,
        loop: bool = False,
        fps: float | None = None,
        clock: Clock = now_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(inner)
        self.lost_s = 0.0
        self._loop, self._fps, self._clock = loop, fps, clock
        self._stop = Event()
        self._wait = wait or self._stop.wait
        self._start_ns: int | None = None
        self._lost_ns = 0  # when the schedule last began anew
        self._played_s = 0.0  # the laps before this one
        self._lap_s = 0.0  # where this lap's last frame ends
        self._kept = 0
        self._next_kept_s = 0.0
        self._state = "ok"

    @property
    def rate_hz(self) -> float:
        """Frames a second: the file's, or `fps` where that is less."""
        return min(self.inner.rate_hz, self._fps or self.inner.rate_hz)

    @property
    def state(self) -> str:
        """`ok`, or that the file was not decoded as fast as it plays a moment ago."""
        return self._state if self.inner.state == "ok" else self.inner.state

    def read(self) -> Frame | None:
        """The next frame, when it is due; None at the end or when unblocked."""
        while not self._stop.is_set():
            frame = self.inner.read()
            if frame is None:
                if not self._loop or self._lap_s == 0.0 or self._stop.is_set():
                    return None
                # The file's own length, so that a loop keeps step with its sound.
                self._played_s += max(self._lap_s, self.inner.duration_s or 0.0)
                self._lap_s = 0.0
                self.inner.rewind()
                continue
            at_s = frame.media_s or 0.0
            self._lap_s = at_s + 1 / self.inner.rate_hz
            if self._thinned(self._played_s + at_s):
                continue
            due_ns = self._due(self._played_s + at_s)
            while (early_ns := due_ns - self._clock()) > 0:
                if self._wait(early_ns / NS_PER_S):
                    return None
            self._kept += 1
            return Frame(frame.pixels, self._kept - 1, due_ns, frame.media_s)
        return None

    def _thinned(self, at_s: float) -> bool:
        """True for a frame that `fps` leaves no room for."""
        if self._fps is None or self._fps >= self.inner.rate_hz:
            return False
        if at_s < self._next_kept_s - 0.5 / self.inner.rate_hz:
            return True
        self._next_kept_s = max(self._next_kept_s, at_s - 1 / self._fps) + 1 / self._fps
        return False

    def _due(self, at_s: float) -> int:
        now = self._clock()
        if self._start_ns is None:
            self._start_ns = now - int(at_s * NS_PER_S)
        due_ns = self._start_ns + int(at_s * NS_PER_S)
        late_s = (now - due_ns) / NS_PER_S
        if late_s > MAX_LATE_S:
            self._start_ns += now - due_ns
            self._lost_ns = now
            self.lost_s += late_s
            self._state = f"{self.name} plays slower than it should: {self.lost_s:.1f} s behind so far"
            return now
        if late_s <= 0 and now - self._lost_ns > RECOVERED_S * NS_PER_S:
            self._state = "ok"
        return due_ns

    def unblock(self) -> None:
        self._stop.set()
        super().unblock()

    def close(self) -> None:
        self._stop.set()
        super().close()


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What to read: as in `--source`, and the size to ask for, None for whatever comes."""

    address: str
    size: tuple[int, int] | None = None


class SwitchableSource:
    """The frames of `source`, and from the next `switch` on those of another. Obeys `Source`; owns `source`.

    `open_one` opens what was chosen and raises MasqueradeError. The thread that reads opens and closes: the old one
    goes first, because a camera is not opened twice; where the new one cannot be had the old one comes back, with a
    warning. Meanwhile there are no frames, which the fallback knows how to fill. Frames are numbered on, and may change
    their size.
    """

    def __init__(self, source: Source, spec: SourceSpec, open_one: Callable[[SourceSpec], Source]) -> None:
        self._open = open_one
        self.inner: Source | None = source
        self._reading: SourceSpec | None = spec
        self._wanted = Latest(spec)
        self._stop = Event()
        self._last = source  # what tells name and size while there is no source
        self._why = "ok"
        self._unblocked = False  # the source was unblocked for a change, and will give nothing any more
        self._seq = 0

    @property
    def spec(self) -> SourceSpec:
        """What is read, or will be in a moment."""
        return self._wanted.get()

    @property
    def name(self) -> str:
        """The source's name, or that of the one before while it changes."""
        return self._last.name

    @property
    def size(self) -> tuple[int, int]:
        return self._last.size

    @property
    def rate_hz(self) -> float:
        """Frames a second of the source now."""
        return self._last.rate_hz

    @property
    def live(self) -> bool:
        return self._last.live

    @property
    def state(self) -> str:
        """`ok`, or what is wrong in one line."""
        source = self.inner
        return source.state if source is not None else self._why

    def switch(self, spec: SourceSpec) -> None:
        """Read another source from now on. From any thread."""
        self._wanted.set(spec)
        source = self.inner
        if source is not None and spec != self._reading:
            self._unblocked = True
            source.unblock()  # it may wait for a camera that is gone

    def read(self) -> Frame | None:
        """The next frame; None at the end, or when unblocked."""
        while not self._stop.is_set():
            wanted = self._wanted.get()
            if wanted != self._reading or self._unblocked:
                self._change(wanted)
            if self.inner is None:
                self._stop.wait(LOOK_S)
                continue
            frame = self.inner.read()
            if frame is not None:
                self._seq += 1
                return replace(frame, seq=self._seq - 1)
            if not self._unblocked and self._wanted.get() == self._reading:
                return None
        return None

    def _change(self, wanted: SourceSpec) -> None:
        before, source = self._reading, self.inner
        if source is not None:
            self._why = "another source is being opened"
            self.inner = None
            source.close()
        self._unblocked = False
        refused: MasqueradeError | None = None
        for spec in dict.fromkeys(filter(None, (wanted, before))):
            if self._stop.is_set():
                return
            try:
                self.inner = self._last = self._open(spec)
            except MasqueradeError as error:
                refused = refused or error
                continue
            self._reading = spec
            break
        else:
            self._reading = wanted  # until something else is chosen
        if refused is not None:
            log.warning("%s; %s", refused, "the source before goes on" if self.inner else "there is no other source")
            self._why = str(refused)
            kept = self._reading
            if kept is not None:
                self._wanted.update(lambda now: kept if now == wanted else now)
        if self._stop.is_set() and self.inner is not None:
            self.inner.unblock()

    def unblock(self) -> None:
        self._stop.set()
        source = self.inner
        if source is not None:
            source.unblock()

    def close(self) -> None:
        self._stop.set()
        source, self.inner = self.inner, None
        if source is not None:
            source.close()
