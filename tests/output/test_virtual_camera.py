"""The virtual camera: which device, what goes into it, and what is said where there is none."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeDrivers, FakeSink, pixels

from realtime.errors import ConfigError, DeviceError
from realtime.frame import Frame
from realtime.output.disclosure import CAMERA_LABEL
from realtime.output.virtual_camera import (
    OFF,
    CameraSwitch,
    Loopback,
    VirtualCamera,
    abilities,
    find_loopbacks,
    how_to_get_one,
    revive,
    says_ai,
)

OURS = Loopback("/dev/video9", CAMERA_LABEL)
OTHER = Loopback("/dev/video3", "Dummy video device (0x0000)")


def camera(
    drivers: FakeDrivers,
    *,
    size: tuple[int, int] = (64, 48),
    device: str | None = None,
    known: Sequence[Loopback] = (OURS, OTHER),
    platform: str = "linux",
) -> VirtualCamera:
    return VirtualCamera(
        size=size, rate_hz=30, device=device, open_driver=drivers, loopbacks=lambda: known, platform=platform
    )


def frame(size: tuple[int, int]) -> Frame:
    return Frame(np.full((size[1], size[0], 3), 7, np.uint8), 0, 0)


def test_takes_our_device_and_sends_what_it_is_shown() -> None:
    drivers = FakeDrivers()
    sink = camera(drivers)
    assert (sink.name, sink.label, sink.state) == ("camera /dev/video9", CAMERA_LABEL, "ok")
    picture = frame((64, 48))
    sink.show(picture)
    assert drivers.opened[0].sent[0] is picture.pixels
    sink.close()
    sink.close()
    assert drivers.opened[0].closed == 1
    with pytest.raises(DeviceError, match="closed"):
        sink.show(picture)


def test_odd_sizes_are_made_even() -> None:
    drivers = FakeDrivers()
    sink = camera(drivers, size=(63, 47))
    sink.show(frame((63, 47)))
    assert drivers.opened[0].size == (64, 48)


def test_a_busy_device_is_passed_over() -> None:
    sink = camera(FakeDrivers({"/dev/video9": RuntimeError("Device /dev/video9 is already in use.")}))
    assert sink.device == "/dev/video3"


def test_a_device_that_does_not_say_ai_is_named(caplog: pytest.LogCaptureFixture) -> None:
    sink = camera(FakeDrivers(), known=[OTHER])
    assert "does not say AI" in sink.state
    assert f'card_label="{CAMERA_LABEL}"' in sink.state
    assert "\n" not in sink.state
    assert caplog.messages == [sink.state]
    sink = camera(FakeDrivers(), known=[], platform="win32")
    assert sink.device == "OBS Virtual Camera"
    assert "badge" in sink.state


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("'v4l2loopback' backend: Device /dev/video9 is already in use.", "close the program"),
        ("Virtual camera device /dev/video9 could not be configured: Device or resource busy", "close the"),
        ("Could not access /dev/video9 due to missing permissions. Did you", "usermod -aG video"),
        ("Device /dev/video9 does not exist.", "modprobe v4l2loopback"),
        ("Device /dev/video9 is not a video output device.", "masquerade devices"),
        ("Device capabilities of /dev/video9 could not be queried.", "masquerade devices"),
        ("something\nquite new", "something quite new"),
    ],
)
def test_what_the_driver_says_becomes_advice(said: str, why: str) -> None:
    with pytest.raises(DeviceError, match=why) as caught:
        camera(FakeDrivers({"/dev/video9": RuntimeError(said)}), device="/dev/video9")
    assert "\n" not in str(caught.value)
    assert "/dev/video9" in str(caught.value)


@pytest.mark.parametrize(("platform", "words"), [("linux", "modprobe"), ("darwin", "OBS 30"), ("win32", "OBS 26")])
def test_without_a_device_the_way_to_one_is_told(platform: str, words: str) -> None:
    assert words in how_to_get_one(platform)
    missing = FakeDrivers({None: RuntimeError("'obs' backend: virtual camera output could not be started")})
    with pytest.raises(DeviceError, match=words) as caught:
        camera(missing, known=[], platform=platform)
    assert "\n" not in str(caught.value)
    assert not missing.opened


def test_without_the_extra_the_install_command_is_told() -> None:
    missing = FakeDrivers({"/dev/video9": ConfigError('pip install "masquerade[camera]"')})
    with pytest.raises(ConfigError, match=r"masquerade\[camera\]"):
        camera(missing)


def test_a_device_that_goes_away_ends_the_sink() -> None:
    drivers = FakeDrivers()
    sink = camera(drivers)
    drivers.opened[0].error = RuntimeError("no such\ndevice")
    with pytest.raises(DeviceError, match=r"took no picture \(no such device\)"):
        sink.show(frame((64, 48)))
    sink.close()


def test_loopbacks_are_listed_ours_first(tmp_path: Path) -> None:
    for number, label in [(2, "Dummy"), (10, "masquerade (AI)"), (4, "Some AI camera"), (0, "Zero")]:
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(label + "\n")
    (tmp_path / "video7").mkdir()  # going away: no name any more
    (tmp_path / "videoX").mkdir()
    found = find_loopbacks(tmp_path)
    assert [loop.path for loop in found] == ["/dev/video10", "/dev/video4", "/dev/video0", "/dev/video2"]
    assert found[0].label == "masquerade (AI)"
    assert find_loopbacks(tmp_path / "none") == []


def test_only_the_word_ai_counts() -> None:
    assert says_ai("masquerade (AI)")
    assert says_ai("AI camera")
    assert not says_ai("Main camera")
    assert not says_ai("MAIN")


@pytest.mark.parametrize(("says", "needed"), [(0, True), (1, False), (2, False), (3, False)])
def test_only_a_device_that_is_neither_camera_nor_output_is_revived(tmp_path: Path, says: int, needed: bool) -> None:
    device = tmp_path / "video9"
    device.touch()
    assert revive(str(device), lambda descriptor: says) is needed


def test_what_is_no_loopback_is_left_alone(tmp_path: Path) -> None:
    assert not revive(str(tmp_path / "absent"))
    plain = tmp_path / "video9"
    plain.touch()
    assert not revive(str(plain))
    with plain.open() as file, pytest.raises(OSError, match="ioctl"):
        abilities(file.fileno())


PICTURE = Frame(pixels(), 0, 0)


def test_on_and_off_and_on_again() -> None:
    made: list[FakeSink] = []

    def open_camera() -> FakeSink:
        made.append(FakeSink(f"camera {len(made)}"))
        return made[-1]

    switch = CameraSwitch(open_camera, None, lost=lambda error: None)
    switch.show(PICTURE)
    assert (switch.name, switch.on, made) == (OFF, False, [])
    switch.switch(True)
    assert not made  # the thread that shows opens
    switch.show(PICTURE)
    switch.show(PICTURE)
    assert (switch.name, switch.on) == ("camera 0", True)
    switch.switch(False)
    switch.show(PICTURE)
    assert (switch.name, switch.on, made[0].closed, len(made[0].shown)) == (OFF, False, 1, 2)
    switch.switch(True)
    switch.show(PICTURE)
    switch.close()
    switch.close()
    assert [camera.closed for camera in made] == [1, 1]


def test_what_stands_in_the_way_is_said_and_can_be_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    broken = FakeSink("camera a", fail_at=1, error=DeviceError("camera a took no picture"))
    next_ones: list[FakeSink | DeviceError] = [DeviceError("it is in use"), broken, FakeSink("camera b")]
    lost: list[DeviceError] = []

    def open_camera() -> FakeSink:
        found = next_ones.pop(0)
        if isinstance(found, DeviceError):
            raise found
        return found

    switch = CameraSwitch(open_camera, None, lost=lost.append)
    with caplog.at_level(logging.WARNING):
        switch.switch(True)
        switch.show(PICTURE)
        assert (switch.on, switch.why) == (False, "it is in use")
        switch.show(PICTURE)  # not tried again by itself
        assert len(next_ones) == 2
        switch.switch(True)
        assert switch.why is None
        switch.show(PICTURE)
        switch.show(PICTURE)  # fails
        assert (switch.on, switch.why, broken.closed) == (False, "camera a took no picture", 1)
        switch.switch(True)
        switch.show(PICTURE)
    assert switch.name == "camera b"
    assert [str(error) for error in lost] == ["camera a took no picture"]
    assert "everything else goes on" in caplog.text
    switch.close()
