"""A virtual camera that is switched while pictures go out."""

import logging

import pytest
from fakes import FakeSink, pixels

from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.output.virtual_camera import OFF, CameraSwitch

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


def test_a_camera_that_was_asked_for_is_on_from_the_start() -> None:
    camera = FakeSink("camera /dev/video9")
    switch = CameraSwitch(lambda: camera, camera, lost=lambda error: None)
    assert switch.name == "camera /dev/video9"
    switch.show(PICTURE)
    assert len(camera.shown) == 1
    switch.close()


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
