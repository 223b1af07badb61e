"""What the page may change of a run's devices."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeSource
from pages import switches
from sounds import FakeInput

from realtime.audio.microphone import SelectableMicrophone
from realtime.capture.webcam import CameraFound, Mode
from realtime.capture.wrappers import SourceSpec, SwitchableSource
from realtime.config import RunConfig
from realtime.errors import ConfigError, DeviceError
from realtime.pipeline.av_sync import AvPlan
from realtime.pipeline.parts import switchable
from realtime.web.controls import LiveDevices

MODES = (Mode("MJPG", (1280, 720), 30.0), Mode("YUYV", (640, 480), 30.0), Mode("H264", (800, 600), 30.0))
CAMERAS = [CameraFound("0", "Laptop", "usb-1", MODES), CameraFound("2", "Desk", "usb-2")]


@pytest.fixture
def source() -> Iterator[SwitchableSource]:
    switched = SwitchableSource(
        FakeSource([]), SourceSpec("/home/me/film.mp4", (500, 400)), lambda spec: FakeSource([])
    )
    yield switched
    switched.close()


def devices(source: SwitchableSource | None, busy: str | None = None, found: str | None = "/dev/video9") -> LiveDevices:
    return LiveDevices(switches(source, busy=busy), list_cameras=lambda: CAMERAS, find_camera=lambda: found)


def test_what_can_be_chosen_is_told_without_the_path_of_the_start(source: SwitchableSource) -> None:
    told = devices(source).listed()
    assert [(at["id"], at["name"]) for at in told["sources"]] == [
        ("start", "as it was started"), ("0", "Laptop"), ("2", "Desk"),
    ]  # fmt: skip
    assert told["sources"][0]["sizes"] == ["160x120", "120x90", "80x60"]  # of its own shape
    assert told["sources"][1]["sizes"] == ["1280x720", "640x480"]  # not what cannot be decoded
    assert "1280x720" in told["sources"][2]["sizes"]  # it does not say what it has
    assert (told["source"], told["size"], told["fixed"]) == ("start", "500x400", None)
    assert (told["camera"], told["camera_help"]) == ("/dev/video9", None)
    assert "film" not in str(told)
    assert "v4l2loopback" in devices(source, found=None).listed()["camera_help"] or os.name == "nt"


def test_a_choice_is_one_of_the_list(source: SwitchableSource) -> None:
    live = devices(source)
    live.choose("0", "640x480")
    assert source.spec == SourceSpec("0", (640, 480))
    assert live.listed()["source"] == "0"
    live.choose("2", "")
    assert source.spec == SourceSpec("2")
    live.choose("start", "500x400")
    assert source.spec == SourceSpec("/home/me/film.mp4", (500, 400))
    for address, size in (("/etc/passwd", ""), ("1", ""), ("", ""), ("0", "800x600"), ("0", "x"), ("start", "1x1")):
        with pytest.raises(ConfigError, match="choose one of the list"):
            live.choose(address, size)
    assert source.spec == SourceSpec("/home/me/film.mp4", (500, 400))


def test_a_source_that_is_needed_as_it_is_stays(source: SwitchableSource) -> None:
    live = devices(source, busy="a.mp4 is being recorded")
    assert live.listed()["fixed"] == "a.mp4 is being recorded"
    with pytest.raises(ConfigError, match=r"a\.mp4 is being recorded"):
        live.choose("0", "")
    with pytest.raises(ConfigError, match="fixed"):
        devices(None).choose("0", "")
    assert devices(None).listed()["source"] is None


def test_a_microphone_is_one_of_the_list() -> None:
    selectable = SelectableMicrophone(lambda device: FakeInput([]))
    live = LiveDevices(switches(microphone=selectable), list_microphones=lambda: ["desk"])
    live.choose_microphone("desk")
    selectable.open(None)
    assert live.report()["level"] == 0.0
    with pytest.raises(ConfigError, match="no such microphone"):
        live.choose_microphone("mic; rm")
    with pytest.raises(ConfigError, match="--sound mic"):
        LiveDevices(switches()).choose_microphone("desk")

    def silent() -> list[str]:
        raise DeviceError("no sound here")

    live = LiveDevices(
        switches(microphone=selectable),
        list_cameras=lambda: [],
        find_camera=lambda: "x",
        list_microphones=silent,
    )
    assert live.listed()["microphones"] == []


def test_the_camera_has_a_switch_where_there_is_one(source: SwitchableSource) -> None:
    live = devices(source)
    assert live.report() == {"camera_on": False, "camera_why": None, "level": None}
    live.switch_camera(True)


@pytest.mark.parametrize(
    ("more", "plan", "can"),
    [
        ({}, {}, True),
        ({}, {"pace": "all"}, False),
        ({}, {"still": True}, False),
        ({"sound": "mic"}, {}, True),
        ({"sound": "voice.wav"}, {}, False),
    ],
)
def test_a_source_can_change_where_nothing_else_keeps_its_time(
    more: dict[str, str], plan: dict[str, object], can: bool, tmp_path: Path
) -> None:
    config = RunConfig(source="synthetic", **more)
    voicing = AvPlan(**{"source": "synthetic", "pace": "live", **plan})  # type: ignore[arg-type]
    switched = switchable(FakeSource([]), config, voicing, lambda: 0, lambda other: other)
    assert (switched is not None) == can
    if switched is not None:
        switched.switch(SourceSpec("synthetic", (96, 48)))
        frame = switched.read()
        assert frame is not None
        assert frame.size == (96, 48)
        switched.close()
