"""What `--source` may say."""

import http.server
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from sources import Bench, take
from written_video import number_of, numbered_pictures, written

from realtime.capture.open_source import open_source
from realtime.capture.picture import Animation, Picture
from realtime.capture.recording import Recording
from realtime.capture.source import Source
from realtime.capture.synthetic import Synthetic
from realtime.capture.webcam import Webcam
from realtime.capture.wrappers import Paced
from realtime.errors import ConfigError, MasqueradeError
from realtime.threads import Crew


def reel(source: Source) -> object:
    assert isinstance(source, Paced)
    return source.inner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path / "talk.mp4", numbered_pictures(6, (160, 90)))
    written(tmp_path / "odd name & co.mkv", numbered_pictures(3, (160, 90)))
    written(tmp_path / "loop.gif", numbered_pictures(3, (160, 90)), codec="gif", pix_fmt="rgb8", options={})
    cv2.imwrite(str(tmp_path / "face.png"), np.full((20, 30, 3), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "face.png.bin.jpg"), np.full((20, 30, 3), 77, np.uint8))
    (tmp_path / "face.png.bin.jpg").rename(tmp_path / "unnamed")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "page.png").write_text("<!DOCTYPE html><title>Quota</title>")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("talk.mp4", Recording),
        ("odd name & co.mkv", Recording),
        ("loop.gif", Animation),
        ("face.png", Picture),
        ("unnamed", Picture),
    ],
)
def test_files_play_live_or_all_at_once(folder: Path, name: str, kind: type) -> None:
    live = open_source(str(folder / name), pace="live")
    assert isinstance(reel(live), kind)
    live.close()
    offline = open_source(str(folder / name), pace="all")
    assert isinstance(offline, kind)
    count = len(list(iter(offline.read, None)))
    assert count == {"talk.mp4": 6, "face.png": 1, "unnamed": 1}.get(name, 3)
    offline.close()


def test_file_addresses_and_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    for spec in ((folder / "odd name & co.mkv").as_uri(), "~/talk.mp4", f" {folder / 'talk.mp4'} "):
        source = open_source(spec, pace="all")
        assert source.size == (160, 90)
        source.close()


def test_size_and_rate_are_respected(folder: Path) -> None:
    source = open_source(str(folder / "talk.mp4"), size=(200, 200), fps=10.0, pace="live")
    assert (source.size, source.rate_hz) == ((200, 200), 10.0)
    source.close()
    source = open_source(str(folder / "face.png"), fps=12.0, pace="live")
    assert source.rate_hz == 12.0
    source.close()
    source = open_source("synthetic", size=(320, 180), fps=50.0, pace="live")
    assert (source.size, source.rate_hz, source.name) == ((320, 180), 50.0, "synthetic")
    assert isinstance(reel(source), Synthetic)
    source.close()


def test_numbers_and_camera_paths_go_to_the_camera() -> None:
    for spec in ("0", "/dev/video3"):
        bench = Bench()
        bench.plan = iter([bench.camera([100] * 40, (64, 48))])
        source = open_source(
            spec,
            pace="live",
            size=(64, 48),
            fps=25.0,
            clock=lambda bench=bench: bench.now,
            open_camera=bench.open,
        )
        assert isinstance(source, Webcam)
        take(source, 2)
        source.close()
        wish = bench.wishes[0]
        assert (wish.address, wish.size, wish.rate_hz) == (spec, (64, 48), 25.0)


def test_a_video_behind_a_web_server_is_a_file(folder: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        server.daemon_threads = False
        with Crew() as crew:
            crew.start("server", server.serve_forever, server.shutdown)
            address = f"http://127.0.0.1:{server.server_address[1]}/talk.mp4"
            source = open_source(address, pace="all")
            assert isinstance(source, Recording)
            assert source.name == "talk.mp4"
            assert [number_of(frame.pixels) for frame in iter(source.read, None)] == list(range(6))
            source.close()
            live = open_source(address, pace="live")
            assert isinstance(reel(live), Recording)
            live.close()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "--source is empty"),
        ("nothing.mp4", "there is no file and no camera nothing.mp4"),
        ("no/such/file.mp4", "there is no file and no camera"),
        ("{folder}", "is a folder"),
        ("{folder}/notes.txt", "is not a video FFmpeg can read"),
        ("{folder}/page.png", "page.png is a web page, which cannot be played"),
        ("gopher://old.example/x", "gopher:// is no stream address"),
        ("synthetic:many", "synthetic:many is no number of frames"),
        ("synthetic:0", "no number of frames"),
    ],
)
def test_wrong_sources_are_one_line_with_a_way_out(folder: Path, spec: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(spec.format(folder=folder), pace="live")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_has_no_end_cannot_be_processed_whole(folder: Path) -> None:
    for spec, words in (("synthetic", "synthetic has none"), ("0", "is a camera")):
        with pytest.raises(ConfigError, match=words):
            open_source(spec, pace="all")
    with pytest.raises(ConfigError, match="--fps 10 would drop some"):
        open_source(str(folder / "talk.mp4"), pace="all", fps=10.0)


def test_a_missing_camera_is_an_error_of_the_library(folder: Path) -> None:
    with pytest.raises(MasqueradeError, match="camera"):
        open_source("/dev/video99", pace="live")
