"""Recordings: what was shown, when it was shown, with its sound, whatever ends the run."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fakes import FakeClock

from realtime.errors import ConfigError, DeviceError
from realtime.frame import Frame, Pixels
from realtime.output import Sink
from realtime.output.apart import Apart
from realtime.output.sound_track import SoundTrack
from realtime.output.video_file import DiskFile, VideoFile

SIZE = (64, 48)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (40, 120, 200)]
SUFFIXES = [".mp4", ".mkv", ".webm"]


def bars(size: tuple[int, int] = SIZE) -> Pixels:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        picture[:, size[0] * i // 5 : size[0] * (i + 1) // 5] = colour
    return picture


def grey(level: int, size: tuple[int, int] = SIZE) -> Pixels:
    return np.full((size[1], size[0], 3), level, np.uint8)


def frame(pixels: Pixels, seq: int, at_s: float, media_s: float | None = None) -> Frame:
    return Frame(pixels, seq, round(at_s * 1e9), media_s)


def pictures(path: Path) -> tuple[list[float], list[Pixels]]:
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
        return [f.time for f in decoded], [
            np.asarray(f.to_ndarray(format="bgr24"), np.uint8) for f in decoded
        ]


def loudness(path: Path, step_s: float = 0.01) -> tuple[np.ndarray, float]:
    """The sound's level in steps, from time 0 on, and its end in seconds."""
    levels = np.zeros(10_000)
    end = 0.0
    with av.open(str(path)) as container:
        for f in container.decode(audio=0):
            samples = np.abs(f.to_ndarray().astype(np.float64))
            top = 1.0 if f.format.name.startswith("flt") else 32768.0
            channels = 1 if f.format.is_planar else len(f.layout.channels)
            samples = samples.reshape(samples.shape[0], -1, channels).max(axis=(0, 2)) / top
            for i, level in enumerate(samples):
                k = int((f.time + i / f.sample_rate) / step_s)
                levels[k] = max(levels[k], level) if k >= 0 else levels[k]
            end = f.time + f.samples / f.sample_rate
    return levels, end


def make_source(path: Path, codec: str, *, seconds: int = 3, rate: int = 48_000) -> Path:
    """A source whose whole seconds 1, 2, … begin with a click."""
    t = np.arange(seconds * rate)
    sound = np.where((t % rate < rate // 50) & (t >= rate), 0.8 * np.sin(t * 2 * np.pi * 1000 / rate), 0)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=10, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = out.add_stream(codec, rate=rate)
        form = {"aac": "fltp", "libopus": "flt", "pcm_s16le": "s16"}[codec]
        audio.codec_context.layout, audio.codec_context.format = "mono", form
        for i in range(seconds * 10):
            out.mux(video.encode(av.VideoFrame.from_ndarray(bars(), format="bgr24")))
            for start in range(i * rate // 10, (i + 1) * rate // 10, rate // 50):
                chunk = sound[None, start : start + rate // 50]
                chunk = (chunk * 32767).astype(np.int16) if form == "s16" else chunk.astype(np.float32)
                piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk), format=form, layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = rate, start, Fraction(1, rate)
                for whole in _of_size(piece, audio, rate):
                    out.mux(audio.encode(whole))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


_fifos: dict[int, av.AudioFifo] = {}


def _of_size(piece: av.AudioFrame, audio: av.AudioStream, rate: int) -> Sequence[av.AudioFrame]:
    if not audio.codec_context.is_open:
        audio.codec_context.open()
    size = audio.codec_context.frame_size
    if not size:
        return [piece]
    fifo = _fifos.setdefault(id(audio), av.AudioFifo())
    fifo.write(piece)
    return fifo.read_many(size)


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


@pytest.mark.parametrize(
    ("codec", "source", "target", "copied"),
    [
        ("aac", "s.mp4", "a.mp4", True),
        ("aac", "s.mp4", "a.mkv", True),
        ("aac", "s.mp4", "a.webm", False),
        ("libopus", "s.webm", "a.webm", True),
        ("libopus", "s.mkv", "a.mp4", False),
        ("pcm_s16le", "s.mkv", "a.mp4", False),
        ("pcm_s16le", "s.mkv", "a.mkv", True),
        ("aac", "s.ts", "a.mp4", False),
    ],
)
def test_sound_stays_in_step(tmp_path: Path, codec: str, source: str, target: str, copied: bool) -> None:
    track = SoundTrack.find(make_source(tmp_path / source.replace("webm", "mkv"), codec))
    assert track is not None
    path = tmp_path / target
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(25):  # from half a second into the source; its clicks are at 1 and 2 s
        media_s = 0.5 + i / 10
        sink.show(frame(grey(255 if media_s in (1.0, 2.0) else 0), i, 0, media_s))
    assert sink._sound is not None
    assert sink._sound.copied == copied
    sink.close()
    times, pixels = pictures(path)
    flashes = [t for t, p in zip(times, pixels, strict=True) if p.mean() > 128]
    levels, end = loudness(path)
    clicks = [k / 100 for k in range(1, 300) if levels[k] > 0.2 and levels[max(0, k - 9) : k].max() <= 0.2]
    assert flashes == pytest.approx([0.5, 1.5], abs=0.002)
    assert clicks == pytest.approx(flashes, abs=0.03)
    assert 2.4 <= end <= 2.56


def test_a_loop_takes_its_sound_along(tmp_path: Path) -> None:
    track = SoundTrack.find(make_source(tmp_path / "s.mp4", "aac"))
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track)
    for i in range(38):
        at_s = i / 10
        sink.show_at(frame(grey(0), i, at_s, at_s % 1.5), round((at_s + 0.05) * 1e9))
    sink.close()
    levels, end = loudness(path)
    clicks = [k / 100 for k in range(1, 500) if levels[k] > 0.2 and levels[max(0, k - 9) : k].max() <= 0.2]
    assert clicks == pytest.approx([1.0, 2.5], abs=0.03)
    assert 3.7 <= end <= 3.86


def test_sound_that_ends_early_does_not_hold_the_pictures_back(tmp_path: Path) -> None:
    track = SoundTrack.find(make_source(tmp_path / "s.mp4", "aac", seconds=1))
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(60):
        sink.show(frame(grey(i), i, 0, i / 10))
    so_far = len(pictures(path)[0])
    sink.close()
    assert so_far >= 45
    assert len(pictures(path)[0]) == 60


def test_a_damaged_sound_track_leaves_the_pictures_alone(tmp_path: Path) -> None:
    source = make_source(tmp_path / "s.mkv", "pcm_s16le")
    track = SoundTrack.find(source)
    source.write_bytes(source.read_bytes()[:4000])
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(20):
        sink.show(frame(grey(i), i, 0, i / 10))
    sink.close()
    assert len(pictures(path)[0]) == 20


def test_no_sound_track_where_there_is_none(tmp_path: Path) -> None:
    quiet = tmp_path / "q.mp4"
    sink = VideoFile(quiet, size=SIZE, rate_hz=30)
    sink.show(frame(bars(), 0, 0))
    sink.close()
    assert SoundTrack.find(quiet) is None
    assert SoundTrack.find(Path(__file__)) is None


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
def test_a_full_disk_ends_the_recording_and_what_is_there_plays(
    tmp_path: Path, suffix: str, room: int
) -> None:
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
        [sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parent.parent, check=False
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


def test_never_writes_over_its_own_source(tmp_path: Path) -> None:
    source = make_source(tmp_path / "s.mp4", "aac", seconds=1)
    with pytest.raises(ConfigError, match="the source itself"):
        VideoFile(source, size=SIZE, rate_hz=30, sound=SoundTrack(source))


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
