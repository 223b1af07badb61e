"""Recordings: what was shown, when it was shown."""

from pathlib import Path

import av
import numpy as np
import pytest
from recordings import COLOURS, SIZE, SUFFIXES, bars, frame, grey, pictures

from realtime.output.video_file import VideoFile


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
