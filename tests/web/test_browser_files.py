"""Files and devices by clicking, in a real browser: a video is rendered, the camera changes, a call sees it."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from browsers import SIZE, Tab, shade, walk
from fakes import FakeSink, FakeSource
from pages import Opened, open_page, switches
from sounds import FakeInput

from realtime.audio.microphone import InputDevice, SelectableMicrophone, SoundDeviceGone
from realtime.capture.webcam import CameraFound, Mode
from realtime.capture.wrappers import SourceSpec, SwitchableSource
from realtime.clock import now_ns
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.output.video_file import VideoFile
from realtime.output.virtual_camera import CameraSwitch
from realtime.web.controls import LiveDevices
from realtime.web.render_jobs import results

GIVES_IT_BACK = """
import json, shutil, signal, sys
options = json.loads(sys.argv[1])
print(json.dumps({"done": 50, "of": 200, "fps": 10.0}), flush=True)
if b"LASTS" in open(options["source"], "rb").read():
    signal.pause()
shutil.copyfile(options["source"], options["output"][0])
"""
CAMERAS = [
    CameraFound("0", "Laptop", "usb-1", (Mode("MJPG", (1280, 720), 30.0), Mode("YUYV", (640, 480), 30.0))),
    CameraFound("2", "Desk", "usb-2", (Mode("MJPG", (1920, 1080), 30.0),)),
]


FIELD = "document.getElementById('{}')"


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page(now_ns, child=(sys.executable, "-c", GIVES_IT_BACK)) as page:
        yield page


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A short film."""
    path = tmp_path / "My Film.mp4"
    film = VideoFile(path, size=SIZE, rate_hz=25.0, pace="all")
    for number in range(25):
        film.show(Frame(shade(8 * number), number, number * 40_000_000, number / 25))
    film.close()
    return path


def gone(microphone: InputDevice) -> bool:
    try:
        microphone.read(0)
    except SoundDeviceGone:
        return True
    return False


@pytest.mark.slow
def test_a_video_becomes_a_file(opened: Opened, video: Path, tmp_path: Path) -> None:
    endless, broken = tmp_path / "endless.mp4", tmp_path / "list.mp4"
    endless.write_bytes(video.read_bytes() + b"LASTS")
    broken.write_text("#EXTM3U\nfile:///etc/passwd\n", encoding="utf-8")

    async def story(tab: Tab) -> None:
        # One that is on its way, and is given up.
        await tab.page.set_input_files("#video", endless)
        await tab.until("document.getElementById('ordering').open")
        assert await tab.text("#order-who option:checked") == "Ada"  # who is worn now
        await tab.click("#order-make")
        await tab.until("document.querySelector('#jobs .how').textContent === '25 %, 15 s left'")
        assert await tab.js("document.querySelector('#jobs progress').value") == 0.25
        await tab.until("!document.getElementById('ordering').open")
        await tab.page.set_input_files("#video", video)
        await tab.until("document.getElementById('ordering').open")
        await tab.page.select_option("#order-who", '["motion","mira"]')
        await tab.click("#order-make")
        await tab.until("document.querySelectorAll('#jobs .how')[1]?.textContent === 'waiting'")
        await tab.click("[aria-label='Cancel endless.mp4']")
        # Its place is taken by the next, which is finished, played, and fetched.
        await tab.until("document.getElementById('made').textContent === 'my-film-as-mira.mp4 is finished.'")
        assert await tab.text("#jobs .what") == "My Film.mp4 as Mira"
        await tab.click("[aria-label='Play my-film-as-mira.mp4']")
        player = FIELD.format("result-player")
        await tab.until(f"{player}.readyState > 0 || {player}.error")
        async with tab.page.expect_download() as download:
            await tab.click("#results a")
        kept = await download.value
        assert kept.suggested_filename == "my-film-as-mira.mp4"
        assert Path(await kept.path()).read_bytes() == video.read_bytes()
        await tab.click("[aria-label='Clear My Film.mp4']")
        await tab.until("document.querySelectorAll('#jobs li').length === 0")
        # What is no video is refused where it was given.
        await tab.page.set_input_files("#video", broken)
        await tab.until("document.getElementById('ordering').open")
        await tab.click("#order-make")
        await tab.until("document.getElementById('order-error').textContent.includes('no video known here')")
        await tab.click("#order-cancel")
        # A video and a picture, dropped together: first whose face that is.
        await tab.drop("driver.mov", "Face.png")
        await tab.until("document.getElementById('adding').open")
        assert await tab.js(FIELD.format("offer-title") + ".value") == "Face"
        await tab.click("#offer-cancel")
        # Enough of it.
        await tab.click("[aria-label='Remove my-film-as-mira.mp4']")
        await tab.until("document.querySelectorAll('#results li').length === 0")
        assert [fault for fault in tab.faults if "400" not in fault] == []

    walk(opened, story)
    assert results() == []
    assert list(opened.folder.glob(".incoming-*")) == []


@pytest.mark.slow
def test_the_camera_changes_and_a_call_gets_to_see_it(opened: Opened) -> None:
    """A virtual camera that cannot be had the first time, and two cameras to choose from."""
    cameras: list[FakeSink] = []
    refusals = [DeviceError("/dev/video9 is in use: close the program that writes to it")]

    def open_camera() -> FakeSink:
        if refusals:
            raise refusals.pop()
        cameras.append(FakeSink("camera /dev/video9"))
        return cameras[-1]

    microphone = SelectableMicrophone(lambda device: FakeInput([np.full(480, 0.5, np.float32)] * 9999))
    voice = microphone.open(None)
    voice.read(0)
    opened.report["sound"] = {"state": "ok", "delay_s": 0.1}
    switch = CameraSwitch(open_camera, None, lost=lambda error: None)
    source = SwitchableSource(FakeSource([]), SourceSpec("0"), lambda spec: FakeSource([np.zeros((8, 8, 3), np.uint8)]))
    opened.attach(
        devices=LiveDevices(
            switches(source, switch, microphone),
            list_cameras=lambda: CAMERAS,
            find_camera=lambda: "/dev/video9",
            list_microphones=lambda: ["Laptop", "Desk"],
        )
    )
    pressed = "document.getElementById('camera').getAttribute('aria-pressed') === '{}'"

    async def story(tab: Tab) -> None:
        await tab.until("document.getElementById('source').options.length === 2")
        assert await tab.js(FIELD.format("source") + ".value") == "0"
        await tab.page.select_option("#source-size", "640x480")
        await tab.until("document.getElementById('source-size').value === '640x480'")
        await tab.comes_true(lambda: source.spec == SourceSpec("0", (640, 480)))
        await tab.page.select_option("#source", "2")
        await tab.comes_true(lambda: source.spec == SourceSpec("2"))
        await tab.until("document.getElementById('source-size').options.length === 2")
        # How loud it is, another microphone, and a voice that comes later.
        await tab.until("document.getElementById('level').value === 0.5")
        await tab.page.select_option("#microphone", "Desk")
        await tab.comes_true(lambda: gone(voice))  # as the thread that listens asks
        await tab.js("document.querySelector('[data-key=voice_offset_ms]').value = 120")
        await tab.js("document.querySelector('[data-key=voice_offset_ms]').dispatchEvent(new Event('input'))")
        await tab.comes_true(lambda: opened.settings.get().voice_offset_ms == 120)
        await tab.click("#camera")
        await tab.until("document.getElementById('notices').textContent.includes('in use')")
        await tab.key("w")
        await tab.until(pressed.format("true"))
        opened.report["outputs"] = ["page", switch.name]
        await tab.says("the call sees Ada")
        await tab.key("w")
        await tab.until(pressed.format("false"))
        assert tab.faults == []

    with closing(source):  # also where there is no browser to walk with
        walk(opened, story, sinks=[switch])
    assert len(cameras) == 1
    assert cameras[0].closed == 1
    assert len(cameras[0].shown) > 0
