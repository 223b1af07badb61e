"""A recording that begins and ends while pictures go on."""

import logging
from datetime import datetime
from pathlib import Path

import av
import pytest
from bundles import one_line
from fakes import FakeSink, pixels

from realtime.errors import ConfigError, DeviceError
from realtime.frame import Frame
from realtime.output.recorder import Recorder
from realtime.output.video_file import VideoFile

WHEN = datetime(2026, 3, 4, 5, 6, 7)


def frame(number: int) -> Frame:
    return Frame(pixels(number), number, number * 33_000_000)


def test_only_what_is_shown_between_start_and_stop_is_kept(tmp_path: Path) -> None:
    clock = iter(range(0, 10**12, 33_000_000))
    recorder = Recorder(
        lambda path: VideoFile(path, size=(160, 120), rate_hz=30.0, clock=lambda: next(clock)), tmp_path / "kept"
    )
    recorder.show(frame(1))
    assert recorder.stop() is None
    assert recorder.start(WHEN) == "masquerade-2026-03-04-050607.mp4"
    assert recorder.recording == "masquerade-2026-03-04-050607.mp4"
    assert recorder.files() == []  # one that is being made is not listed
    for number in range(2, 12):
        recorder.show(frame(number))
    assert recorder.stop() == "masquerade-2026-03-04-050607.mp4"
    recorder.show(frame(99))
    assert recorder.recording is None
    (file,) = recorder.files()
    with av.open(str(file)) as opened:
        assert len(list(opened.decode(video=0))) == 10
    assert recorder.start(WHEN) == "masquerade-2026-03-04-050607-1.mp4"  # nothing is written over
    recorder.close()
    recorder.close()


def test_one_at_a_time(tmp_path: Path) -> None:
    recorder = Recorder(lambda path: FakeSink(), tmp_path)
    recorder.start(WHEN)
    assert "already" in one_line(lambda: recorder.start(WHEN), ConfigError)


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = FakeSink("file", 2, DeviceError("the disk is full: free some space"))
    recorder = Recorder(lambda path: sink, tmp_path)
    recorder.start(WHEN)
    for number in range(6):
        recorder.show(frame(number))
    assert len(sink.shown) == 2
    assert sink.closed == 1
    assert recorder.recording is None
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == ["the disk is full: free some space; the recording ends, everything else goes on"]


def test_a_picture_that_comes_while_it_is_stopped_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Closing(FakeSink):
        def show(self, frame: Frame) -> None:
            recorder.stop()  # as the page's thread may do at this moment
            raise DeviceError("recording is closed")

    recorder = Recorder(lambda path: Closing(), tmp_path)
    recorder.start(WHEN)
    recorder.show(frame(0))
    assert recorder.recording is None
    assert not caplog.records


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    recorder = Recorder(lambda path: FakeSink(), tmp_path / "file" / "recordings")
    assert "cannot be stored in" in one_line(lambda: recorder.start(WHEN), DeviceError)
    assert recorder.files() == []
