"""The numbered test picture."""

import cv2
import numpy as np
import pytest
from written_video import number_of

from realtime.capture.synthetic import Synthetic
from realtime.errors import ConfigError


def test_numbers_run_in_order_and_end() -> None:
    source = Synthetic((320, 180), 25.0, count=5, clock=lambda: 7)
    frames = [source.read() for _ in range(6)]
    assert frames[5] is None
    kept = [f for f in frames if f is not None]
    assert [number_of(f.pixels) for f in kept] == [f.seq for f in kept] == [0, 1, 2, 3, 4]
    assert [f.media_s for f in kept] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert kept[0].size == (320, 180)
    assert kept[0].captured_ns == 7
    assert not np.array_equal(kept[0].pixels, kept[1].pixels)
    source.close()
    source.close()


def test_rewound_numbers_go_on_while_times_start_anew() -> None:
    source = Synthetic((320, 180), 30.0, count=2)
    for _ in range(3):
        source.read()
    source.rewind()
    frame = source.read()
    assert (frame.seq, frame.media_s, number_of(frame.pixels)) == (2, 0.0, 2)
    source.close()


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (853, 479), (80, 16)])
def test_every_size_reads_back(size: tuple[int, int]) -> None:
    source = Synthetic(size)
    for expected in range(3):
        frame = source.read()
        assert number_of(frame.pixels) == expected
    source.close()


def test_the_number_survives_jpeg_scaling_and_video_colour() -> None:
    source = Synthetic((1280, 720))
    for _ in range(200):
        frame = source.read()
    _, jpeg = cv2.imencode(".jpg", frame.pixels, [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert number_of(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)) == 199
    assert number_of(np.asarray(cv2.resize(frame.pixels, (427, 240)), np.uint8)) == 199
    yuv = cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2YUV_I420)
    assert number_of(np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_I420), np.uint8)) == 199
    source.close()


def test_foreign_and_damaged_pictures_read_as_none() -> None:
    rng = np.random.default_rng(1)
    assert number_of(rng.integers(0, 256, (360, 640, 3), np.uint8)) is None
    for level in (0, 128, 255):
        assert number_of(np.full((360, 640, 3), level, np.uint8)) is None
    assert number_of(np.zeros((1, 1, 3), np.uint8)) is None
    source = Synthetic((640, 360))
    frame = source.read()
    damaged = frame.pixels.copy()
    damaged[-16:, :16] = 255 - damaged[-16:, :16]  # one square flipped: the CRC must notice
    assert number_of(damaged) is None
    source.close()


def test_too_small_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 80x16, not 64x64"):
        Synthetic((64, 64))
