"""What every sink keeps, wherever its pictures go: `Sink`, over all implementations."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeClock, FakeDrivers, FakeSink
from recordings import SIZE, bars, frame

from realtime.output.recorder import Recorder
from realtime.output.sink import NullSink, Sink, ThreadedSink
from realtime.output.video_file import VideoFile
from realtime.output.virtual_camera import CameraSwitch, VirtualCamera


def _file(folder: Path, suffix: str) -> VideoFile:
    return VideoFile(folder / f"a{suffix}", size=SIZE, rate_hz=30)


def _camera() -> VirtualCamera:
    return VirtualCamera(
        size=SIZE, rate_hz=30, open_driver=FakeDrivers(), loopbacks=list, platform="win32", device="camera"
    )


def _recorder(folder: Path, *, running: bool) -> Recorder:
    recorder = Recorder(lambda path: VideoFile(path, size=SIZE, rate_hz=30), folder)
    if running:
        recorder.start(datetime(2026, 3, 4))
    return recorder


SINKS: dict[str, Callable[[Path], Sink]] = {
    "null": lambda folder: NullSink(),
    "mp4": lambda folder: _file(folder, ".mp4"),
    "mkv": lambda folder: _file(folder, ".mkv"),
    "webm": lambda folder: _file(folder, ".webm"),
    "threaded": lambda folder: ThreadedSink(_file(folder, ".mp4"), FakeClock()),
    "virtual camera": lambda folder: _camera(),
    "camera switched off": lambda folder: CameraSwitch(FakeSink, None, print),
    "camera switched on": lambda folder: CameraSwitch(FakeSink, _camera(), print),
    "recorder": lambda folder: _recorder(folder, running=False),
    "recording": lambda folder: _recorder(folder, running=True),
}


@pytest.mark.parametrize("kind", SINKS)
def test_pictures_are_taken_as_they_are_and_it_closes_twice(tmp_path: Path, kind: str) -> None:
    sink = SINKS[kind](tmp_path)
    name = sink.name
    assert name
    assert "\n" not in name
    for seq in range(5):
        shown = frame(bars(), seq, seq / 30)
        sink.show(shown)
        assert np.array_equal(shown.pixels, bars())
    assert sink.name == name
    sink.close()
    sink.close()


@pytest.mark.parametrize("kind", SINKS)
def test_one_that_was_shown_nothing_closes_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    sink = SINKS[kind](tmp_path)
    sink.close()
    sink.close()
    assert not list(tmp_path.iterdir())
