"""Which camera is meant, what drivers send, and OpenCV's cameras; all without a device."""

import errno
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from realtime.capture.devices import (
    OpenCvCamera,
    _fed_by_masquerade,
    _mac_names,
    delivered,
    find,
    numbered_cameras,
    offered,
)
from realtime.capture.webcam import CameraFound, CameraGone, CameraRequest, Mode, RawFrame, choose
from realtime.errors import DeviceError

CAMERAS = [
    CameraFound("0", "masquerade (AI)", "loop-0", own=True),
    CameraFound("2", "HD Webcam", "usb-1"),
    CameraFound("4", "HD Webcam Pro", "usb-2"),
    CameraFound("6", "Document Eye", "usb-3"),
]


@pytest.mark.parametrize(
    ("address", "number"),
    [("2", "2"), ("/dev/video4", "4"), ("document", "6"), ("hd webcam", "2"), (" HD Webcam Pro ", "4")],
)
def test_a_camera_is_found_by_number_path_or_name(address: str, number: str) -> None:
    assert find(CameraRequest(address), CAMERAS).address == number


def test_zero_is_the_first_camera_when_no_real_camera_has_the_number() -> None:
    assert find(CameraRequest("0"), CAMERAS).address == "2"
    assert find(CameraRequest("0"), CAMERAS[1:]).address == "2"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/dev/video0", "masquerade's own virtual camera"),
        ("masquerade", "there is no camera masquerade, only 2 (HD Webcam), 4 (HD Webcam Pro), 6"),
        ("7", "there is no camera 7, only 2 (HD Webcam)"),
        ("webcam", "several cameras are called webcam: 2 (HD Webcam), 4 (HD Webcam Pro): give the number"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_a_way_out(address: str, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find(CameraRequest(address), CAMERAS)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_camera_at_all() -> None:
    with pytest.raises(DeviceError, match=r"there is no camera 0, none at all: plug one in; .*--source FILE"):
        find(CameraRequest("0"), CAMERAS[:1])


def test_a_camera_that_comes_back_is_known_by_bus_and_name() -> None:
    known = find(CameraRequest("2"), CAMERAS)
    assert known.beside == ("loop-0", "usb-2", "usb-3")
    again = CameraRequest("2", known=known)
    moved = [CameraFound("9", "HD Webcam", "usb-1"), CAMERAS[2]]
    assert find(again, moved).address == "9"
    assert find(again, moved).beside == known.beside
    other_socket = [CameraFound("2", "Document Eye", "usb-8"), CameraFound("5", "HD Webcam", "usb-7")]
    assert find(again, other_socket).address == "5"


def test_another_camera_never_stands_in_for_the_lost_one() -> None:
    twins = [CameraFound("0", "HD Webcam", "usb-1"), CameraFound("1", "HD Webcam", "usb-2")]
    again = CameraRequest("0", known=find(CameraRequest("0"), twins))
    with pytest.raises(DeviceError, match="plug it in again"):
        find(again, [CameraFound("0", "HD Webcam", "usb-2")])  # the twin, now under our number
    with pytest.raises(DeviceError, match="plug it in again"):
        find(again, [CameraFound("0", "Document Eye", "usb-1")])


def test_our_own_virtual_camera_is_known_by_name_elsewhere() -> None:
    cameras = numbered_cameras(["FaceTime HD", "OBS Virtual Camera", "masquerade (AI)"])
    assert [(c.address, c.own) for c in cameras] == [("0", False), ("1", True), ("2", True)]
    assert not any(camera.own for camera in offered())


def test_mac_names_come_in_opencvs_order() -> None:
    report = (
        b'{"SPCameraDataType": [{"_name": "Studio", "spcamera_unique-id": "0xB"},'
        b' {"_name": "FaceTime HD", "spcamera_unique-id": "0xA"}]}'
    )
    assert _mac_names(lambda *args, **options: report) == ["FaceTime HD", "Studio"]


class Repeating:
    """A camera that gives one picture every 50 ms of its own clock, then is gone."""

    found, mode = CAMERAS[1], Mode("MJPG", (1280, 720), 30.0)

    def __init__(self, count: int) -> None:
        self.now, self.left = 0, count

    def read(self, seconds: float) -> RawFrame | None:
        if not self.left:
            raise CameraGone
        self.left -= 1
        self.now += 50_000_000
        return RawFrame(np.zeros((480, 640, 3), np.uint8))

    def close(self) -> None:
        self.left = 0


def test_what_is_really_delivered_is_measured() -> None:
    camera = Repeating(100)
    measured = delivered(camera, 1.0, lambda: camera.now)
    assert (measured.fourcc, measured.size) == ("MJPG", (640, 480))
    assert measured.rate_hz == pytest.approx(20)
    empty = Repeating(0)
    assert delivered(empty, 1.0, lambda: empty.now) is None


class FakeCapture:
    """Stands for cv2.VideoCapture."""

    def __init__(self, pictures: Sequence[npt.NDArray[np.uint8] | None], opens: bool = True) -> None:
        self.pictures, self.opens, self.released = list(pictures), opens, 0
        self.wishes: list[tuple[int, float]] = []

    def isOpened(self) -> bool:
        return self.opens

    def set(self, prop: int, value: float, /) -> bool:
        self.wishes.append((prop, value))
        return True

    def get(self, prop: int, /) -> float:
        return {
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"MJPG")),
            cv2.CAP_PROP_FRAME_WIDTH: 64.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 48.0,
        }.get(prop, 0.0)

    def read(self) -> tuple[bool, Any]:
        picture = self.pictures.pop(0) if self.pictures else None
        return picture is not None, picture

    def release(self) -> None:
        self.released += 1


def test_opencv_is_asked_for_mjpg_where_the_size_needs_it() -> None:
    for size, rate, expected in (
        (None, None, True),
        ((640, 480), None, False),
        ((640, 480), 60.0, True),
        ((1280, 720), 30.0, True),
    ):
        capture = FakeCapture([])
        camera = OpenCvCamera(CAMERAS[1], 2, 0, CameraRequest("2", size, rate), lambda *_, given=capture: given)
        asked = dict(capture.wishes)
        assert (cv2.CAP_PROP_FOURCC in asked) is expected
        assert asked[cv2.CAP_PROP_BUFFERSIZE] == 1
        assert asked[cv2.CAP_PROP_FRAME_WIDTH] == (size or (1280, 720))[0]
        camera.close()


def test_opencv_cameras_read_fail_and_close() -> None:
    colour = np.full((48, 64, 3), 7, np.uint8)
    capture = FakeCapture([colour, None, colour[..., 0]])
    camera = OpenCvCamera(CAMERAS[1], 2, 0, CameraRequest("2"), lambda *_: capture)
    assert camera.mode == Mode("MJPG", (64, 48), 30.0)
    first, hiccup, grey = camera.read(0.1), camera.read(0.1), camera.read(0.1)
    assert first.pixels is not None
    assert np.array_equal(first.pixels, colour)
    assert hiccup is None
    assert grey.pixels is not None
    assert np.array_equal(grey.pixels, colour)
    assert [camera.read(0.1) for _ in range(4)] == [None] * 4
    with pytest.raises(CameraGone):
        camera.read(0.1)
    camera.close()
    camera.close()
    assert capture.released == 1
    with pytest.raises(DeviceError, match="camera 2 does not open: close other programs"):
        OpenCvCamera(CAMERAS[1], 2, 0, CameraRequest("2"), lambda *_: FakeCapture([], opens=False))


def test_drivers_bytes_become_pictures() -> None:
    pytest.importorskip("fcntl")
    from realtime.capture.v4l2 import ends_well, picture_from

    rng = np.random.default_rng(2)
    smooth = cv2.resize(rng.integers(60, 200, (6, 8, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    image = np.asarray(smooth, np.uint8)
    i420 = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    yv12 = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YV12)
    nv12 = i420.copy()
    nv12[48:] = np.stack([i420[48:60].reshape(-1), i420[60:].reshape(-1)], 1).reshape(24, 64)
    yuyv = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUY2)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].ravel()
    padded = np.zeros((48, 160), np.uint8)
    padded[:, :128] = yuyv.reshape(48, 128)
    cases = {
        "YU12": (i420, 64), "YV12": (yv12, 64), "NV12": (nv12, 64), "YUYV": (padded, 160),
        "UYVY": (yuyv[..., ::-1], 128), "BGR3": (image, 192), "RGB3": (image[..., ::-1], 192),
        "MJPG": (jpeg, 0),
    }  # fmt: skip
    for fourcc, (data, stride) in cases.items():
        encoded = np.ascontiguousarray(data, np.uint8).reshape(-1)
        mode = Mode(fourcc, (64, 48), 30.0)
        got = picture_from(encoded, mode, stride)
        assert got is not None, fourcc
        assert np.abs(got.astype(int) - image).mean() < 4, fourcc
        assert picture_from(encoded[: encoded.size // 2], mode, stride) is None or fourcc == "MJPG"
    grey = picture_from(np.ascontiguousarray(image[..., 1]).reshape(-1), Mode("GREY", (64, 48), 30.0), 64)
    assert np.array_equal(grey[..., 2], image[..., 1])
    assert ends_well(jpeg)
    assert ends_well(np.append(jpeg, np.zeros(100, np.uint8)))
    assert not ends_well(jpeg[: jpeg.size // 2])
    assert picture_from(np.zeros(500, np.uint8), Mode("MJPG", (64, 48), 30.0), 0) is None


def test_a_refused_camera_says_how_to_mend_it() -> None:
    pytest.importorskip("fcntl")
    from realtime.capture.v4l2 import V4l2Camera, _refused

    for number, words in (
        (errno.EBUSY, "in use by another program: close that"),
        (errno.EACCES, "sudo usermod -aG video"),
        (errno.ENODEV, "not there any more: plug it in again"),
        (errno.EINVAL, "refuses to start"),
    ):
        assert words in str(_refused(CAMERAS[1], "/dev/video2", OSError(number, "why")))
    with pytest.raises(DeviceError, match="not there any more"):
        V4l2Camera(CAMERAS[1], "/dev/no-such-video", CameraRequest("2"))
    with pytest.raises(DeviceError, match="no picture format masquerade reads"):
        V4l2Camera(CAMERAS[1], "/dev/null", CameraRequest("2"))


def test_the_kernels_structures_have_the_kernels_sizes() -> None:
    pytest.importorskip("fcntl")
    import ctypes

    from realtime.capture import v4l2

    # As `linux/videodev2.h` gives them, on a 64-bit machine where they hold pointers or times.
    assert ctypes.sizeof(v4l2.Capability) == 104
    assert ctypes.sizeof(v4l2.FormatName) == 64
    assert ctypes.sizeof(v4l2.FrameSize) == 44
    assert ctypes.sizeof(v4l2.FrameInterval) == 52
    assert ctypes.sizeof(v4l2.StreamParameters) == 204
    if ctypes.sizeof(ctypes.c_void_p) == 8:
        assert (v4l2.QUERYCAP, v4l2.S_FMT, v4l2.DQBUF) == (0x80685600, 0xC0D05605, 0xC0585611)
    assert v4l2.fourcc_text(int.from_bytes(b"MJPG", "little")) == "MJPG"


MODES = [
    Mode("YUYV", (640, 480), 30.0),
    Mode("YUYV", (1280, 720), 10.0),
    Mode("MJPG", (640, 480), 30.0),
    Mode("MJPG", (1280, 720), 30.0),
    Mode("MJPG", (1280, 720), 60.0),
    Mode("MJPG", (1920, 1080), 30.0),
    Mode("H264", (1280, 720), 30.0),
]


@pytest.mark.parametrize(
    ("size", "rate", "chosen"),
    [
        (None, None, Mode("MJPG", (1280, 720), 30.0)),
        ((640, 480), None, Mode("YUYV", (640, 480), 30.0)),
        ((1280, 720), 60.0, Mode("MJPG", (1280, 720), 60.0)),
        ((1280, 720), 10.0, Mode("YUYV", (1280, 720), 10.0)),
        ((1920, 1080), None, Mode("MJPG", (1920, 1080), 30.0)),
        ((800, 600), None, Mode("YUYV", (640, 480), 30.0)),
        (None, 60.0, Mode("MJPG", (1280, 720), 60.0)),
    ],
)
def test_mjpg_is_taken_where_the_size_needs_it(size: tuple[int, int] | None, rate: float | None, chosen: Mode) -> None:
    assert choose(MODES, size, rate) == chosen
    assert choose(reversed(MODES), size, rate) == chosen


def test_smaller_is_better_than_slow_and_nothing_is_none() -> None:
    slow = [Mode("YUYV", (1280, 720), 12.5), Mode("YUYV", (640, 360), 30.0), Mode("YUYV", (320, 180), 60.0)]
    assert choose(slow, None, None) == slow[1]
    assert choose([Mode("H264", (1280, 720), 30.0)], None, None) is None
    assert choose([], (640, 480), None) is None
    assert str(MODES[3]) == "1280x720 MJPG 30.0 fps"


PROGRAM = "import sys\nheld = open(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells who has a device open")
def test_ours_when_another_masquerade_holds_it_not_when_we_look_at_it(tmp_path: Path) -> None:
    device, program = tmp_path / "video9", tmp_path / "masquerade"
    program.write_text(PROGRAM)
    with device.open("w"):
        assert not _fed_by_masquerade(str(device))
        command = [sys.executable, str(program), str(device)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout.readline() == b"open\n"
            assert _fed_by_masquerade(str(device))
    assert not _fed_by_masquerade(str(device))
