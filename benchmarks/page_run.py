"""The product's own live loop with its page, whose pictures are numbered."""

import time
from contextlib import ExitStack

from benchmarks.measured_loop import Retimed
from benchmarks.page_numbers import BITS, draw_number
from realtime.capture.paced import Paced
from realtime.capture.recording import Recording
from realtime.capture.switched import Switched
from realtime.clock import now_ns
from realtime.config import RunConfig
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.output import Sink
from realtime.panel import Panel
from realtime.pipeline import Loop
from realtime.run import Run


class Ended(Exception):
    """The measurement is over."""


class Numbering:
    """The page's sink, with a number in each picture; `shown_s` holds when it was handed over, by time.time()."""

    name = "page"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.shown_s: dict[int, float] = {}
        self._number = 0

    def show(self, frame: Frame) -> None:
        """Number it and pass it on. The copy costs what it costs before the moment is noted."""
        pixels = frame.pixels.copy()
        self._number = (self._number + 1) % (1 << BITS)
        draw_number(pixels, self._number)
        numbered = frame.with_pixels(pixels)
        self.shown_s[self._number] = time.time()
        self._sink.show(numbered)

    def close(self) -> None:
        """The sink's."""
        self._sink.close()


class PageRun(Run):
    """`masquerade run --output page` until `end`. `rate_hz`: how often a frame is due, whatever the file's own rate."""

    def __init__(self, config: RunConfig, rate_hz: float) -> None:
        super().__init__(config, say=self._watched, on_page=lambda address: None)
        self._rate_wanted = rate_hz
        self._page: Panel | None = None
        self.numbering: Numbering | None = None
        self.failed: BaseException | None = None
        self._over = False

    def _watched(self, _: str) -> None:
        if self._over:
            raise Ended

    def end(self) -> None:
        """Stop within a second. Any thread."""
        self._over = True

    def turn(self) -> None:
        """Run, in the caller's thread. What went wrong is in `failed`."""
        try:
            self()
        except Ended:
            pass
        except BaseException as error:
            self.failed = error

    @property
    def fresh(self) -> int:
        """New pictures that were handed over so far."""
        if self._loop is None:
            return 0
        return self._loop.tally.emitted - self._loop.tally.repeated

    def new_address(self) -> str:
        """Another address that opens the page once. Raises DeviceError where there is no page."""
        if self._page is None:
            raise DeviceError("the run has no page")
        return self._page.new_url()

    def _panel(self, stack: ExitStack) -> Panel | None:
        self._page = super()._panel(stack)
        return self._page

    def _open(self, stack: ExitStack) -> Loop:
        loop = super()._open(stack)
        reel = loop.source.reel if isinstance(loop.source, Switched) else None
        if isinstance(reel, Recording):
            loop.source = Paced(Retimed(reel, self._rate_wanted), loop=True, clock=now_ns)
            stack.callback(loop.source.close)
        at = next(number for number, sink in enumerate(loop.sinks) if sink.name == "page")
        loop.sinks[at] = self.numbering = Numbering(loop.sinks[at])
        return loop
