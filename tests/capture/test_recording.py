"""Video files of every kind, written here with FFmpeg."""

import gc
import logging
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from written_video import BLUE, GREEN, RED, WHITE, corners, number_of, numbered_pictures, quadrants, written

from realtime.capture.recording import Recording
from realtime.errors import ConfigError
from realtime.frame import Frame


def read_all(source: Recording) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def opened_and_read(path: Path, size: tuple[int, int] | None = None) -> list[Frame]:
    source = Recording(path, size=size)
    try:
        return read_all(source)
    finally:
        source.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mov", "a.ts"])
def test_every_frame_in_order_with_its_time(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, numbered_pictures(12))
    source = Recording(path, clock=lambda: 3)
    assert (source.name, source.size, source.rate, source.sound) == (name, (320, 180), 30, False)
    assert source.duration_s == pytest.approx(0.4, abs=0.04)
    frames = read_all(source)
    assert [number_of(f.pixels) for f in frames] == list(range(12))
    assert [f.media_s for f in frames] == pytest.approx([i / 30 for i in range(12)], abs=2e-3)
    assert (frames[3].seq, frames[3].captured_ns, source.broken) == (3, 3, 0)
    assert source.read() is None
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name", "options"),
    [
        ("libx264", "yuv444p", "a.mp4", {"crf": "4"}),
        ("libx264", "yuv422p10le", "a.mkv", {"crf": "4"}),
        ("libx265", "yuv420p10le", "a.mp4", {"crf": "4", "x265-params": "log-level=none"}),
        ("libvpx-vp9", "yuv420p", "a.webm", {"crf": "10", "b": "0"}),
        ("ffv1", "gray", "a.mkv", {}),
        ("ffv1", "yuv420p12le", "a.mkv", {}),
        ("mjpeg", "yuvj420p", "a.avi", {"q": "2"}),
        ("png", "rgba", "a.mov", {}),
        ("gif", "rgb8", "a.gif", {}),
        ("rawvideo", "nv12", "a.nut", {}),
    ],
)
def test_depths_and_formats(tmp_path: Path, codec: str, pix_fmt: str, name: str, options: dict[str, str]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot write {codec}")
    path = written(tmp_path / name, numbered_pictures(4), codec=codec, pix_fmt=pix_fmt, options=options)
    frames = opened_and_read(path)
    assert [number_of(f.pixels) for f in frames] == [0, 1, 2, 3]


@pytest.mark.parametrize("space", [("ITU709", 1, 1), ("ITU709", 1, 2), ("ITU601", 5, 1), ("ITU601", 5, 2)])
def test_colours_are_right_in_either_matrix_and_range(tmp_path: Path, space: tuple[str, int, int]) -> None:
    path = written(tmp_path / "a.mp4", [quadrants()] * 2, pix_fmt="yuv444p", space=space)
    got = opened_and_read(path)[0].pixels
    assert np.abs(got.astype(int) - quadrants())[4:28, 4:44].max() <= 4  # the blue quarter
    assert np.abs(got.astype(int) - quadrants())[36:60, 4:44].max() <= 4  # the red quarter


@pytest.mark.parametrize("size", [(97, 65), (33, 20), (20, 33)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = written(tmp_path / "a.mkv", [quadrants(*size)] * 2, codec="ffv1", pix_fmt="yuv444p", options={})
    frame = opened_and_read(path)[1]
    assert frame.size == size
    assert corners(frame.pixels) == [BLUE, GREEN, RED, WHITE]


ROTATIONS = {
    # a, b, c, d, tx, ty of the MP4 header's matrix -> quarters as they must be seen
    "90 clockwise": ((0, 1, -1, 0, 64, 0), [RED, BLUE, WHITE, GREEN]),
    "180": ((-1, 0, 0, -1, 96, 64), [WHITE, RED, GREEN, BLUE]),
    "90 counter-clockwise": ((0, -1, 1, 0, 0, 96), [GREEN, WHITE, BLUE, RED]),
    "mirrored": ((-1, 0, 0, 1, 96, 0), [GREEN, BLUE, WHITE, RED]),
    "upside down": ((1, 0, 0, -1, 0, 64), [RED, WHITE, BLUE, GREEN]),
    "transposed": ((0, 1, 1, 0, 0, 0), [BLUE, RED, GREEN, WHITE]),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_the_telephones_rotation_is_applied(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.mp4", [quadrants()] * 2)
    matrix, expected = ROTATIONS[name]
    a, b, c, d, x, y = matrix
    data = bytearray(path.read_bytes())
    # ISO 14496-12, tkhd version 0: the matrix stands 40 bytes after the box's type.
    place = data.index(b"tkhd") + 4 + 40
    fixed = (a << 16, b << 16, 0, c << 16, d << 16, 0, x << 16, y << 16, 1 << 30)
    struct.pack_into(">9i", data, place, *fixed)
    path.write_bytes(data)
    frame = opened_and_read(path)[0]
    assert frame.size == ((96, 64) if a else (64, 96))
    assert corners(frame.pixels) == expected


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", [quadrants(72, 64)] * 2, ratio=Fraction(4, 3))
    frame = opened_and_read(path)[0]
    assert frame.size == (96, 64)
    assert corners(frame.pixels) == [BLUE, GREEN, RED, WHITE]


def test_variable_frame_rate_keeps_the_files_times(tmp_path: Path) -> None:
    times = [0, 10, 50, 400, 410, 1000]
    path = written(tmp_path / "a.mkv", numbered_pictures(6), times_ms=times)
    frames = opened_and_read(path)
    assert [f.media_s for f in frames] == pytest.approx([t / 1000 for t in times], abs=2e-3)
    assert [number_of(f.pixels) for f in frames] == list(range(6))


def test_a_file_with_sound_says_so(tmp_path: Path) -> None:
    source = Recording(written(tmp_path / "a.mp4", numbered_pictures(6), sound=True))
    assert source.sound
    assert len(read_all(source)) == 6
    source.close()


def test_a_truncated_file_gives_what_decodes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = written(tmp_path / "a.mkv", numbered_pictures(40), options={"crf": "4", "g": "5"})
    data = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) * 6 // 10])
    frames = opened_and_read(cut)
    numbers = [number_of(f.pixels) for f in frames]
    assert 10 < len(frames) < 40
    assert numbers[:10] == list(range(10))

    fast = tmp_path / "fast.mp4"
    written(fast, numbered_pictures(40), options={"crf": "4", "g": "5"}, muxing={"movflags": "faststart"})
    data = fast.read_bytes()
    fast.write_bytes(data[: len(data) * 6 // 10])
    with caplog.at_level(logging.WARNING):
        frames = opened_and_read(fast)
    assert 10 < len(frames) < 40
    assert [r.message for r in caplog.records if "damaged" in r.message]


def test_damage_in_the_middle_is_stepped_over(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", numbered_pictures(60), options={"crf": "4", "g": "5", "bf": "0"})
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    middle = len(data) // 2
    data[middle : middle + 3000] = rng.integers(0, 256, 3000, np.uint8).tobytes()
    path.write_bytes(data)
    numbers = [number_of(f.pixels) for f in opened_and_read(path)]
    assert 59 in numbers
    assert len([n for n in numbers if n is not None]) >= 40


def test_every_cut_of_a_file_ends_in_frames_or_in_one_line(tmp_path: Path) -> None:
    data = written(tmp_path / "a.mp4", numbered_pictures(4, (160, 90))).read_bytes()
    path = tmp_path / "cut.mp4"
    for kept in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:kept])
        try:
            refused = None
            opened_and_read(path)
        except ConfigError as error:
            refused = str(error)
        assert refused is None or ("cut.mp4" in refused and "\n" not in refused)


def test_what_is_no_video_is_refused_with_advice(tmp_path: Path) -> None:
    empty, prose, song = tmp_path / "empty.mp4", tmp_path / "prose.mp4", tmp_path / "song.wav"
    empty.touch()
    prose.write_text("This is no video at all. " * 40)
    with av.open(str(song), "w") as container:
        track = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        tone.sample_rate = 8000
        container.mux(track.encode(tone))
    for path, words in (
        (empty, "is empty"),
        (prose, "is not a video FFmpeg can read"),
        (song, "only sound"),
        (tmp_path / "nothing.mp4", "there is no file"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            Recording(path)
        assert "give a" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.gif", "a.h264"])
def test_rewound_it_starts_again(tmp_path: Path, name: str) -> None:
    codec = {"codec": "gif", "pix_fmt": "rgb8", "options": {}} if name == "a.gif" else {}
    source = Recording(written(tmp_path / name, numbered_pictures(9), **codec))  # type: ignore[arg-type]
    before = read_all(source)
    assert [number_of(f.pixels) for f in before] == list(range(9))
    for lap in (1, 2):
        source.rewind()
        frames = read_all(source)
        assert [number_of(f.pixels) for f in frames] == list(range(9))
        assert [f.seq for f in frames] == list(range(9 * lap, 9 * lap + 9))
        assert [f.media_s for f in frames] == pytest.approx([f.media_s for f in before])
    source.rewind()
    source.read()
    source.rewind()  # in the middle too
    assert [number_of(f.pixels) for f in read_all(source)] == list(range(9))
    source.close()


def test_frames_leave_no_garbage_behind(tmp_path: Path) -> None:
    # Cycles keep whole pictures until the collector comes by: hundreds of megabytes in a live loop.
    source = Recording(written(tmp_path / "a.mp4", numbered_pictures(8)))
    read_all(source)
    gc.collect()
    gc.disable()
    try:
        source.rewind()
        read_all(source)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kept = [thing for thing in gc.garbage if isinstance(thing, av.VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        source.close()
    assert kept == []


def test_letterboxed_to_a_wished_size(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", [quadrants()] * 2)
    frame = opened_and_read(path, (128, 128))[0]
    assert frame.size == (128, 128)
    assert frame.pixels[:20].max() == 0
    assert corners(frame.pixels[22:106]) == [BLUE, GREEN, RED, WHITE]


def test_a_stream_that_changes_its_size_keeps_the_first(tmp_path: Path) -> None:
    # Two MPEG streams of different sizes, one after the other: what a joined broadcast looks like.
    first = written(tmp_path / "a.ts", [quadrants()] * 10, codec="mpeg2video", options={"b": "4M"})
    second = written(tmp_path / "b.ts", [quadrants(160, 160)] * 10, codec="mpeg2video", options={"b": "4M"})
    joined = tmp_path / "c.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    frames = opened_and_read(joined)
    assert {f.size for f in frames} == {(96, 64)}
    assert len(frames) >= 18
    assert corners(frames[0].pixels) == [BLUE, GREEN, RED, WHITE]
    last = frames[-1].pixels
    assert last[:, :10].max() == 0  # the square picture stands between bars
    assert corners(last[:, 18:78]) == [BLUE, GREEN, RED, WHITE]
    times = [f.media_s for f in frames if f.media_s is not None]
    assert min(np.diff(times)) > 0


def test_real_clips() -> None:
    clips = Path(__file__).resolve().parents[3] / "shared" / "clips" / "man_720p.mp4"
    if not clips.exists():
        pytest.skip("the shared clips are not here")
    source = Recording(clips)
    frame = source.read()
    assert (source.size, source.rate, source.sound) == ((1280, 720), Fraction(30000, 1001), True)
    assert 20 < frame.pixels.mean() < 235
    source.close()
