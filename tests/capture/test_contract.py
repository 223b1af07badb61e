"""What every source keeps, whatever it reads: `Source`, over all implementations."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FakeSource, TurnedClock, pixels
from sources import Bench, JpegServer, ScriptedFile, Silent
from written_video import numbered_pictures, written

from realtime.capture.picture import Picture
from realtime.capture.recording import Recording
from realtime.capture.source import Source
from realtime.capture.stream import Stream
from realtime.capture.synthetic import Synthetic
from realtime.capture.webcam import Webcam
from realtime.capture.wrappers import Paced, SourceSpec, SourceWrapper, SwitchableSource, Until
from realtime.errors import DeviceError
from realtime.threads import Crew, Event

PATIENCE_S = 60.0
"""A safety net: nothing here takes so long."""


class Opened:
    """What the sources of one test need: files, servers, scripted cameras."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.clock = TurnedClock()

    def video(self) -> Path:
        return written(self.folder / "a.mp4", numbered_pictures(5))

    def picture(self) -> Path:
        cv2.imwrite(str(self.folder / "a.png"), np.full((20, 30, 3), 77, np.uint8))
        return self.folder / "a.png"

    def served(self, count: int) -> str:
        """The address of a server that gives so many pictures, then falls silent."""
        server = JpegServer([(count, (320, 180))], silent_at_end=True)
        crew = self._stack.enter_context(Crew())
        crew.start("server", server.serve, server.stop)
        return server.address

    def webcam(self, script: list[object], **options: object) -> Webcam:
        bench = Bench()
        bench.plan = iter([bench.camera(script)])
        return Webcam("0", open_camera=bench.open, clock=lambda: bench.now, **options)  # type: ignore[arg-type]

    def paced(self, *times_s: float) -> Paced:
        return Paced(ScriptedFile(times_s, 30.0, None), clock=self.clock, wait=self.clock.wait)


SOURCES: dict[str, Callable[[Opened], Source]] = {
    "recording": lambda o: Recording(o.video()),
    "picture": lambda o: Picture(o.picture(), count=5),
    "synthetic": lambda o: Synthetic((80, 45), count=5),
    "webcam": lambda o: o.webcam([100] * 40),
    "stream": lambda o: Stream(o.served(40)),
    "wrapper": lambda o: SourceWrapper(Synthetic((80, 45), count=5)),
    "until": lambda o: Until(Synthetic((80, 45)), lambda frame: frame.seq == 5),
    "paced": lambda o: o.paced(0.0, 0.04, 0.08, 0.12, 0.16),
    "switchable": lambda o: SwitchableSource(Synthetic((80, 45), count=5), SourceSpec("a"), lambda spec: Synthetic()),
}
LIVE = {"webcam", "stream"}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    with ExitStack() as stack:
        yield Opened(tmp_path, stack)


@pytest.mark.parametrize("kind", SOURCES)
def test_frames_are_numbered_sized_and_read_only_and_the_end_stays(opened: Opened, kind: str) -> None:
    source = SOURCES[kind](opened)
    assert source.name
    assert "\n" not in source.name
    assert source.live == (kind in LIVE)
    size = source.size
    frames = [frame for _ in range(5) if (frame := source.read()) is not None]
    assert [frame.seq for frame in frames] == list(range(5))
    assert {frame.size for frame in frames} == {size} == {source.size}
    assert all(not frame.pixels.flags.writeable for frame in frames)
    stamps = [frame.captured_ns for frame in frames]
    assert stamps == sorted(stamps)
    assert source.state == "ok"
    assert 0 < source.rate_hz <= 240
    if kind in LIVE:
        source.unblock()
    assert source.read() is None
    assert source.read() is None
    source.close()
    source.close()
    assert source.read() is None


@pytest.mark.parametrize("kind", SOURCES)
def test_unblocked_it_gives_no_more(opened: Opened, kind: str) -> None:
    source = SOURCES[kind](opened)
    assert source.read() is not None
    source.unblock()
    source.unblock()
    assert source.read() is None
    source.close()


def _gone(spec: SourceSpec) -> Source:
    raise DeviceError("there is no camera b")


def _without_source() -> SwitchableSource:
    source = SwitchableSource(FakeSource([pixels()]), SourceSpec("a"), _gone)
    source.switch(SourceSpec("b"))
    return source


BLOCKED: dict[str, Callable[[Opened], Source]] = {
    "lost webcam": lambda o: o.webcam([100] * 14, warm_up_s=0.5),
    "silent webcam": lambda o: o.webcam([100] * 14 + [Silent] * 10**6, warm_up_s=0.5),
    "silent stream": lambda o: Stream(o.served(5), silent_s=1.0),
    "paced": lambda o: Paced(ScriptedFile([0.0, 3600.0], 30.0, None)),
    "until": lambda o: Until(Paced(ScriptedFile([0.0, 3600.0], 30.0, None)), lambda frame: False),
    "switchable": lambda o: SwitchableSource(
        Paced(ScriptedFile([0.0, 3600.0], 30.0, None)), SourceSpec("a"), lambda spec: Synthetic()
    ),
    "switchable without source": lambda o: _without_source(),
}


@pytest.mark.parametrize("kind", BLOCKED)
def test_unblock_from_another_thread_ends_a_read_that_waits(opened: Opened, kind: str) -> None:
    source = BLOCKED[kind](opened)
    begun, ended = Event(), Event()

    def read_on() -> None:
        while not ended.is_set():
            begun.set()
            if source.read() is None:
                ended.set()

    with Crew(PATIENCE_S) as crew:
        crew.start("reader", read_on)
        assert begun.wait(PATIENCE_S)
        source.unblock()
        assert ended.wait(PATIENCE_S)
    assert source.read() is None
    source.close()
