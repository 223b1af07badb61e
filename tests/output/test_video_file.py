"""Recordings: what was shown, when it was shown."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from fakes import FakeClock
from recordings import COLOURS, SIZE, SUFFIXES, bars, frame, grey, pictures

from realtime.errors import ConfigError, DeviceError
from realtime.frame import Frame
from realtime.output.open_sink import check_specs
from realtime.output.sink import Sink, ThreadedSink
from realtime.output.timeline import STEP_S, Timeline
from realtime.output.video_file import RecordingFile, VideoFile


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_colours_and_times_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    shown = [0.5, 0.533, 0.6, 0.61, 1.0]  # a variable rate, not from 0
    sink = VideoFile(path, size=SIZE, rate_hz=30, pace="all")
    for i, at_s in enumerate(shown):
        sink.show(frame(bars(), i, 7 * at_s, at_s))
    sink.close()
    sink.close()
    times, pixels = pictures(path)
    assert times == pytest.approx([t - 0.5 for t in shown], abs=0.0011)
    for i, colour in enumerate(COLOURS):
        seen = pixels[-1][24, (2 * i + 1) * SIZE[0] // 10]
        assert np.abs(seen.astype(int) - colour).max() <= 12, (colour, seen)


def test_the_file_says_how_its_colours_are_coded(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=30)
    sink.show(frame(bars(), 0, 0))
    sink.close()
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range, context.pix_fmt) == (1, 1, "yuv420p")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_metadata_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    words = {"title": "Ada (AI-generated)", "comment": "AI-generated with masquerade 1; identity: synthetic"}
    sink = VideoFile(path, size=SIZE, rate_hz=30, metadata=words)
    sink.show(frame(bars(), 0, 0))
    sink.close()
    with av.open(str(path)) as container:
        read = {k.lower(): v for k, v in container.metadata.items()}
    assert {k: read[k] for k in words} == words


@pytest.mark.parametrize(("size", "kept"), [((63, 47), (64, 48)), ((1, 1), (2, 2)), ((64, 47), (64, 48))])
def test_odd_sizes_grow_by_a_pixel(tmp_path: Path, size: tuple[int, int], kept: tuple[int, int]) -> None:
    path = tmp_path / "a.mkv"
    sink = VideoFile(path, size=size, rate_hz=30)
    sink.show(frame(grey(90, size), 0, 0))
    sink.close()
    _, pixels = pictures(path)
    assert pixels[0].shape == (kept[1], kept[0], 3)
    assert abs(int(pixels[0][-1, -1, 0]) - 90) <= 3


def test_live_times_are_those_of_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    sink = VideoFile(path, size=SIZE, rate_hz=30)
    for i, (captured, handed) in enumerate([(0, 0.04), (0.033, 0.09), (0.066, 0.11), (0.1, 0.14)]):
        sink.show_at(frame(grey(40 * i), i, captured), round(handed * 1e9))
    # A repeat is stamped with the moment it is shown; the loop's usual lag is taken off.
    sink.show_at(frame(grey(160), 4, 0.18), round(0.18 * 1e9))
    sink.show_at(frame(grey(200), 5, 0.2), round(0.24 * 1e9))
    sink.close()
    times, pixels = pictures(path)
    assert times == pytest.approx([0, 0.033, 0.066, 0.1, 0.14, 0.2], abs=0.0011)
    assert [round(float(p.mean()) / 40) for p in pixels] == [0, 1, 2, 3, 4, 5]


def fill(sink: Sink, shown: list[int]) -> None:
    """Show noise until the sink gives up."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for i in range(100_000):
        sink.show(frame(np.roll(noise, i * 7, axis=1), i, i / 30, i / 30))
        shown.append(i)


class SmallDisk(RecordingFile):
    """Takes `room` bytes; the write that no longer fits is cut, as a disk does."""

    room = 20_000
    code = errno.ENOSPC

    def _put(self, data: bytes) -> None:
        free = self.room - self.tell()
        if len(data) > free:
            super()._put(bytes(data)[: max(0, free)])
            raise OSError(self.code, os.strerror(self.code))
        super()._put(data)


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


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("room", [0, 500])
def test_a_recording_that_cannot_begin_leaves_the_old_file(tmp_path: Path, suffix: str, room: int) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    full = type("Full", (SmallDisk,), {"room": room})
    sink = VideoFile(path, size=SIZE, rate_hz=30, pace="all", open_file=full)
    with pytest.raises(DeviceError, match=r"could not begin, the disk is full.*the old file is as it was") as caught:
        fill(sink, [])
    assert "plays" not in str(caught.value)
    sink.close()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_old_file_is_replaced_once_the_new_one_plays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    sink = VideoFile(path, size=SIZE, rate_hz=30, pace="all")
    replaced = []
    for i in range(90):
        sink.show(frame(bars(), i, i / 30, i / 30))
        replaced.append(path.read_bytes() != b"old")
    assert not replaced[5]
    assert replaced[60]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0  # as it is now
    sink.close()
    assert len(pictures(path)[0]) == 90


def test_no_picture_is_told_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    VideoFile(tmp_path / "a.mp4", size=SIZE, rate_hz=30).close()
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'a.mp4'}: no picture came, so nothing is recorded"
    ]
    assert list(tmp_path.iterdir()) == []


class NoTrack:
    """A sound track whose writer gives up at once."""

    def writer(self, out: object, suffix: str, begins_s: float | None) -> "NoTrack":
        return self

    def show(self, out_s: float, media_s: float | None, zero_ns: int, duration_s: float) -> None:
        raise av.error.InvalidDataError(1, "no such sound")

    def finish(self) -> None:
        raise AssertionError("it is closed")

    def close(self) -> None:
        """Nothing is held open."""


def test_sound_that_cannot_be_written_leaves_the_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=30, pace="all", sound=NoTrack())
    for i in range(5):
        sink.show(frame(bars(), i, i / 30, i / 30))
    sink.close()
    assert len(pictures(path)[0]) == 5
    assert "the pictures go on" in caplog.text


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
    refused = {tmp_path / "a.avi": r"\.mp4, \.mkv, \.webm", tmp_path / "folder.mp4": "is a folder"}
    if Path("/proc/version").exists():  # a read-only file system
        refused[Path("/proc/a.mp4")] = "cannot be written"
    for path, why in refused.items():
        with pytest.raises(ConfigError, match=why):
            VideoFile(path, size=SIZE, rate_hz=30)


def test_an_old_file_stays_until_the_first_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    VideoFile(path, size=SIZE, rate_hz=30).close()
    assert path.read_bytes() == b"old"
    new = tmp_path / "new.mp4"
    VideoFile(new, size=SIZE, rate_hz=30).close()
    assert not new.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("shown", [0, 1, 40])
def test_a_file_is_written_by_one_recording_at_a_time(tmp_path: Path, old: bytes | None, shown: int) -> None:
    path = tmp_path / "a.mp4"
    if old is not None:
        path.write_bytes(old)
    first = VideoFile(path, size=SIZE, rate_hz=30, pace="all")
    for i in range(shown):
        first.show(frame(bars(), i, i / 30, i / 30))
    for again in (lambda: VideoFile(path, size=SIZE, rate_hz=30), lambda: check_specs([str(path)], None)):
        with pytest.raises(ConfigError, match="being written by another run"):
            again()
    first.show(frame(bars(), shown, shown / 30, shown / 30))
    first.close()
    assert len(pictures(path)[0]) == shown + 1
    VideoFile(path, size=SIZE, rate_hz=30).close()
    assert len(pictures(path)[0]) == shown + 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_file_that_comes_there_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "a.mp4", tmp_path / "other"
    sink = VideoFile(path, size=SIZE, rate_hz=30, pace="all")
    other.write_bytes(b"somebody's")
    other.replace(path)
    with pytest.raises(DeviceError, match="another program"):
        fill(sink, [])
    sink.close()
    assert path.read_bytes() == b"somebody's"
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_planted_links_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = tmp_path / "precious.mp4"
    precious.write_bytes(b"precious")
    for target in (precious, tmp_path / "none.mp4"):
        link = tmp_path / f"link-{target.name}"
        link.symlink_to(target)
        with pytest.raises(ConfigError, match="is a link"):
            VideoFile(link, size=SIZE, rate_hz=30)
    monkeypatch.setattr("realtime.output.video_file.token_hex", lambda count: "guessed")
    (tmp_path / ".masquerade-guessed.mp4").symlink_to(precious)
    sink = VideoFile(tmp_path / "a.mp4", size=SIZE, rate_hz=30)
    with pytest.raises(DeviceError, match="could not begin"):
        sink.show(frame(bars(), 0, 0))
    sink.close()
    assert precious.read_bytes() == b"precious"
    assert not (tmp_path / "none.mp4").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a user's folders are their own there")
@pytest.mark.parametrize(("folder", "kept"), [("home/recordings", 0o600), ("elsewhere", 0o666)])
def test_a_recording_in_the_users_own_folder_is_theirs_alone(tmp_path: Path, folder: str, kept: int) -> None:
    path = tmp_path / folder / "a.mp4"
    path.parent.mkdir(parents=True)
    before = os.umask(0)
    try:
        sink = VideoFile(path, size=SIZE, rate_hz=30)
        sink.show(frame(bars(), 0, 0))
        sink.close()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == kept


def test_apart_writes_in_its_own_thread_and_raises_later(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sink = ThreadedSink(VideoFile(path, size=SIZE, rate_hz=30), FakeClock())
    for i in range(10):
        sink.show(frame(grey(i * 20), i, i / 30))
    sink.close()
    sink.close()
    times, pixels = pictures(path)
    assert len(times) == 10 - sink.missed
    assert abs(float(pixels[-1].mean()) - 180) <= 3  # the newest is never lost
    full = ThreadedSink(VideoFile(tmp_path / "b.mp4", size=SIZE, rate_hz=30, open_file=_no_disk), FakeClock())
    with pytest.raises(DeviceError, match="the disk is full"):
        fill(full, [])
    full.close()


def _no_disk(path: Path) -> SmallDisk:
    disk = SmallDisk(path)
    disk.room = 0
    return disk


PIXELS = np.zeros((2, 2, 3), np.uint8)


def taken(seq: int, captured_s: float, media_s: float | None = None) -> Frame:
    return frame(PIXELS, seq, captured_s, media_s)


def test_all_follows_the_source_and_starts_at_zero() -> None:
    line = Timeline("all", 30)
    assert [line.place(taken(i, 9, m), 0).out_s for i, m in enumerate([2.0, 2.04, 2.5])] == pytest.approx(
        [0, 0.04, 0.5]
    )


def test_all_without_times_follows_the_rate() -> None:
    line = Timeline("all", 25)
    assert [line.place(taken(i, 9), 0) for i in range(3)] == [(0, None), (0.04, None), (0.08, None)]


def test_all_goes_on_where_the_source_begins_again() -> None:
    line = Timeline("all", 10)
    places = [line.place(taken(i, 0, m), 0) for i, m in enumerate([0.0, 0.1, 0.2, 0.0, 0.1])]
    assert [p.out_s for p in places] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [p.media_s for p in places] == [0.0, 0.1, 0.2, 0.0, 0.1]


def test_times_always_rise() -> None:
    rng = np.random.default_rng(0)
    for pace in ("live", "all"):
        line = Timeline(pace, 30)  # type: ignore[arg-type]
        last = -1.0
        for i in range(500):
            captured = float(rng.uniform(0, 5))
            media = float(rng.uniform(0, 5)) if rng.random() < 0.8 else None
            out_s = line.place(taken(i, captured, media), round((captured + rng.uniform(0, 1)) * 1e9)).out_s
            assert out_s >= last + STEP_S - 1e-9
            last = out_s


def test_live_takes_the_usual_lag_off_repeats_and_slates() -> None:
    line = Timeline("live", 30)
    assert line.place(taken(0, 1.0, 0.0), round(1.05e9)) == (0, 0.0)
    assert line.place(taken(1, 1.2), round(1.2e9)).out_s == pytest.approx(0.15)  # shown at 1.2
    after = line.place(taken(2, 1.2, 0.2), round(1.25e9))
    assert after == pytest.approx((0.2, 0.2))


def test_live_does_not_trust_a_bent_time_for_the_sound() -> None:
    line = Timeline("live", 30)
    line.place(taken(0, 1.0), round(1.0e9))  # a slate while the model loads: no lag known yet
    bent = line.place(taken(1, 0.97, 5.0), round(1.03e9))
    assert bent == (pytest.approx(STEP_S), None)
    assert line.place(taken(2, 1.1, 5.13), round(1.15e9)) == pytest.approx((0.1, 5.13))
