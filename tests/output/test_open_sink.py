"""From `--output` words to sinks, and what is refused before anything opens."""

from pathlib import Path

import pytest
from fakes import FakeSink

from realtime.errors import ConfigError, DeviceError
from realtime.output.open_sink import OpenCamera, check_specs, open_sinks, wants_page
from realtime.output.sink import NullSink, Sink, ThreadedSink
from realtime.output.video_file import VideoFile


def opener(found: dict[str | None, FakeSink]) -> OpenCamera:
    def open_camera(device: str | None) -> Sink:
        if device not in found:
            raise DeviceError("no virtual camera: sudo modprobe v4l2loopback")
        return found[device]

    return open_camera


def sinks(specs: list[str], **more: object) -> list[Sink]:
    return open_sinks(specs, size=(64, 48), rate_hz=30, metadata={}, **more)  # type: ignore[arg-type]


def test_every_kind_opens_in_the_order_given(tmp_path: Path) -> None:
    page, camera = FakeSink("page"), FakeSink("camera")
    specs = ["null", "page", "camera:/dev/video9", str(tmp_path / "a.mp4"), str(tmp_path / "A.MKV")]
    found = sinks(specs, page=page, open_camera=opener({"/dev/video9": camera}))
    assert [type(sink) for sink in found] == [NullSink, FakeSink, FakeSink, ThreadedSink, ThreadedSink]
    assert [sink.name for sink in found] == ["null", "page", "camera", *specs[3:]]
    for sink in found:
        sink.close()


def test_nothing_is_lost_with_pace_all(tmp_path: Path) -> None:
    (found,) = sinks([str(tmp_path / "a.webm")], pace="all")
    assert isinstance(found, VideoFile)
    found.close()


def test_the_default_is_the_camera_else_the_page() -> None:
    camera = FakeSink("camera")
    assert sinks([], open_camera=opener({None: camera})) == [camera]
    page = FakeSink("page")
    assert sinks([], open_camera=opener({}), page=page) == [page]
    with pytest.raises(ConfigError, match="page"):
        sinks([], open_camera=opener({}))
    assert wants_page([])
    assert wants_page(["null", "page"])
    assert not wants_page(["camera"])


def test_a_camera_asked_for_is_not_replaced_by_the_page() -> None:
    with pytest.raises(DeviceError, match="modprobe"):
        sinks(["camera"], open_camera=opener({}))


def test_what_was_opened_is_closed_when_a_later_one_fails() -> None:
    camera = FakeSink("camera")
    with pytest.raises(DeviceError):
        sinks(["camera:/dev/video9", "camera:/dev/video8"], open_camera=opener({"/dev/video9": camera}))
    assert camera.closed == 1


@pytest.mark.parametrize(
    ("specs", "why"),
    [
        (["cam"], "use camera"),
        ([""], "use camera"),
        (["a.avi"], r"\.mp4, FILE\.mkv"),
        (["camera:"], "after the colon"),
        (["null", "page", "null"], "twice"),
        (["{tmp}/a.mp4", "{tmp}/./a.mp4"], "twice"),
        (["{tmp}/none/a.mp4"], "there is no folder"),
        (["{tmp}"], "is unknown"),
        (["{tmp}/" + "x" * 300 + ".mp4"], "cannot be written"),
        (["{tmp}/source.mp4"], "the source itself"),
        (["{tmp}/a\x00.mp4"], "cannot be written"),
    ],
)
def test_refused_in_one_line_before_anything_opens(tmp_path: Path, specs: list[str], why: str) -> None:
    source = tmp_path / "source.mp4"
    source.write_bytes(b"precious")
    given = [spec.replace("{tmp}", str(tmp_path)) for spec in specs]
    with pytest.raises(ConfigError, match=why) as caught:
        check_specs(given, str(source))
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        sinks(given, source=str(source))
    assert [p.name for p in tmp_path.iterdir()] == ["source.mp4"]
    assert source.read_bytes() == b"precious"
