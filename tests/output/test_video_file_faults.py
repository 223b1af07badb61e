"""Recordings when things go wrong: what is there plays, and the user is told."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeClock
from recordings import SIZE, SUFFIXES, bars, frame, grey, pictures

from realtime.errors import ConfigError, DeviceError
from realtime.output.sink import Apart, Sink
from realtime.output.video_file import DiskFile, VideoFile


def fill(sink: Sink, shown: list[int]) -> None:
    """Show noise until the sink gives up."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for i in range(100_000):
        sink.show(frame(np.roll(noise, i * 7, axis=1), i, i / 30, i / 30))
        shown.append(i)


class SmallDisk(DiskFile):
    """Takes `room` bytes; the write that no longer fits is cut, as a disk does."""

    room = 20_000
    code = errno.ENOSPC

    def write(self, data: bytes, /) -> int:
        free = self.room - self.tell()
        if len(data) > free:
            super().write(bytes(data)[: max(0, free)])
            raise OSError(self.code, os.strerror(self.code))
        return super().write(data)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("room", [0, 500, 150_000, 160_000])
def test_a_full_disk_ends_the_recording_and_what_is_there_plays(tmp_path: Path, suffix: str, room: int) -> None:
    path = tmp_path / f"a{suffix}"

    def small(name: Path) -> SmallDisk:
        disk = SmallDisk(name)
        disk.room = room
        return disk

    sink = VideoFile(path, size=SIZE, rate_hz=30, pace="all", open_file=small)
    shown: list[int] = []
    with pytest.raises(DeviceError, match=r"the disk is full: free some space") as caught:
        fill(sink, shown)
    assert "\n" not in str(caught.value)
    with pytest.raises(DeviceError):
        sink.show(frame(bars(), 2001, 0, 70))
    sink.close()
    if room > 10_000:
        assert len(shown) - 20 <= len(pictures(path)[0]) <= len(shown) + 1


def test_other_disk_errors_are_told_too(tmp_path: Path) -> None:
    def broken(name: Path) -> SmallDisk:
        disk = SmallDisk(name)
        disk.code = errno.EIO
        return disk

    sink = VideoFile(tmp_path / "a.mp4", size=SIZE, rate_hz=30, pace="all", open_file=broken)
    with pytest.raises(DeviceError, match="Input/output error"):
        fill(sink, [])
    sink.close()


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from realtime.frame import Frame
from realtime.output.video_file import VideoFile
sink = VideoFile(Path(sys.argv[1]), size=(64, 48), rate_hz=30, pace="all")
for i in range(100):
    sink.show(Frame(np.full((48, 64, 3), i, np.uint8), i, 0, i / 30))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_recording_plays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).resolve().parents[2], check=False
    )
    assert ended.returncode == -signal.SIGKILL
    times, _ = pictures(path)
    assert len(times) >= 100 - 15  # half a second at most is missing
    assert times == pytest.approx([i / 30 for i in range(len(times))], abs=0.0011)


def test_refused_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for path, why in [
        (tmp_path / "a.avi", r"\.mp4, \.mkv, \.webm"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "none" / "a.mp4", "there is no folder"),
    ]:
        with pytest.raises(ConfigError, match=why):
            VideoFile(path, size=SIZE, rate_hz=30)


def test_refuses_what_may_not_be_written() -> None:
    if not Path("/proc/version").exists():
        pytest.skip("no read-only file system at hand")
    with pytest.raises(ConfigError, match="cannot be written"):
        VideoFile(Path("/proc/a.mp4"), size=SIZE, rate_hz=30)


def test_an_old_file_stays_until_the_first_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    VideoFile(path, size=SIZE, rate_hz=30).close()
    assert path.read_bytes() == b"old"
    new = tmp_path / "new.mp4"
    VideoFile(new, size=SIZE, rate_hz=30).close()
    assert not new.exists()


def test_apart_writes_in_its_own_thread_and_raises_later(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sink = Apart(VideoFile(path, size=SIZE, rate_hz=30), FakeClock())
    for i in range(10):
        sink.show(frame(grey(i * 20), i, i / 30))
    sink.close()
    sink.close()
    times, pixels = pictures(path)
    assert len(times) == 10 - sink.missed
    assert abs(float(pixels[-1].mean()) - 180) <= 3  # the newest is never lost
    full = Apart(VideoFile(tmp_path / "b.mp4", size=SIZE, rate_hz=30, open_file=_no_disk), FakeClock())
    with pytest.raises(DeviceError, match="the disk is full"):
        fill(full, [])
    full.close()


def _no_disk(path: Path) -> SmallDisk:
    disk = SmallDisk(path)
    disk.room = 0
    return disk
