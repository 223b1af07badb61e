"""The webcam source, on cameras that follow a script and a clock that the script turns."""

from collections.abc import Iterator

import numpy as np
import pytest
from sources import MS, Bench, Gone, Silent, take

from realtime.capture.source import RETRY_S
from realtime.capture.webcam import FIRST_S, MANY, POLL_S, SILENT_S, CameraFound
from realtime.clock import NS_PER_S
from realtime.errors import DeviceError
from realtime.frame import Frame


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for source in made.sources:
        source.close()


def test_frames_come_numbered_and_stamped(bench: Bench) -> None:
    source = bench.source(bench.camera([100] * 50))
    frames = take(source, 20)
    assert [f.seq for f in frames] == list(range(20))
    assert np.diff([f.captured_ns for f in frames[1:]]).tolist() == [40 * MS] * 18
    assert all(f.media_s is None and f.size == (64, 48) for f in frames)
    assert (source.name, source.state, source.live) == ("HD Webcam (camera 0)", "ok", True)
    source.close()
    source.close()
    assert bench.cameras[0].closed == 1


def test_the_rate_is_what_came_not_what_was_claimed(bench: Bench) -> None:
    bench.period_ns = 80 * MS
    source = bench.source(bench.camera([100] * 200))
    assert source.rate_hz == pytest.approx(12.5)  # known before the first frame: measured in the warm-up
    bench.period_ns = 50 * MS
    take(source, 100)
    assert source.rate_hz == pytest.approx(20.0)
    source.close()


def test_the_drivers_own_time_counts_where_it_is_plausible(bench: Bench) -> None:
    bench.age_ns = 25 * MS
    source = bench.source(bench.camera([100] * 50))
    assert [take(source, 1)[0].captured_ns - bench.now for _ in range(5)] == [-25 * MS] * 5
    for wrong in (-5 * MS, 3600 * NS_PER_S):
        bench.age_ns = wrong
        assert take(source, 1)[0].captured_ns == bench.now
    source.close()


def test_times_never_go_back(bench: Bench) -> None:
    source = bench.source(bench.camera([100] * 50))
    take(source, 3)
    bench.age_ns = 900 * MS
    stamps = [f.captured_ns for f in take(source, 5)]
    assert min(np.diff(stamps)) > 0
    source.close()


def test_a_size_that_was_asked_for_and_not_given_is_an_error(bench: Bench) -> None:
    with pytest.raises(DeviceError) as caught:
        bench.source(bench.camera([100] * 50, (640, 480)), size=(1280, 720))
    assert str(caught.value) == (
        "camera 0 gave 640x480, asked for 1280x720: pass --size 640x480 or choose another camera (masquerade devices)"
    )
    assert bench.cameras[0].closed == 1
    source = bench.source(bench.camera([100] * 50, (640, 480)))
    assert source.size == (640, 480)
    source.close()


def test_a_camera_that_sends_nothing_is_an_error(bench: Bench) -> None:
    started = bench.now
    with pytest.raises(DeviceError, match="sends no picture within 8 s: unplug it"):
        bench.source(bench.camera([Silent] * 1000))
    assert bench.now - started == pytest.approx(FIRST_S * NS_PER_S, abs=2 * POLL_S * NS_PER_S)
    with pytest.raises(DeviceError, match="stopped while it was opened"):
        bench.source(bench.camera([Gone]))
    assert [camera.closed for camera in bench.cameras] == [1, 1]


def test_unplugged_it_waits_and_comes_back_by_itself(bench: Bench) -> None:
    away = [DeviceError("not there")] * 3
    back = CameraFound("2", "HD Webcam", "usb-1")
    source = bench.source(bench.camera([100] * 30), *away, bench.camera([200] * 30, found=back))
    states = []

    def wait(seconds: float) -> bool:
        states.append(source.state)
        return Bench.wait(bench, seconds)

    source._wait = wait
    frames: list[Frame] = []
    while not frames or frames[-1].pixels[0, 0, 0] == 100:
        frames += take(source, 1)
    assert states == ["camera 0 is gone: waiting for it"] * 3
    assert source.state == "ok"
    assert source.losses == 1
    assert [f.seq for f in frames] == list(range(len(frames)))
    assert bench.wishes[1].known.identity == "usb-1"  # the same camera, not the same number
    assert bench.cameras[0].closed == 1
    assert source.name == "HD Webcam (camera 2)"
    source.close()


def test_a_camera_that_opens_but_does_not_send_is_not_tried_in_a_rush(bench: Bench) -> None:
    mute = [bench.camera([]) for _ in range(4)]
    source = bench.source(bench.camera([100] * 20), *mute, bench.camera([200] * 9))
    waits: list[float] = []
    source._wait = lambda seconds: bool(waits.append(seconds))  # type: ignore[func-returns-value]
    while take(source, 1)[0].pixels.max() == 100:
        pass
    assert waits == [RETRY_S] * 4
    source.close()


def test_back_with_another_size_it_is_letterboxed_to_the_first(bench: Bench) -> None:
    source = bench.source(bench.camera([100] * 14), bench.camera([200] * 30, (64, 24)))
    frame = take(source, 1)[0]
    while frame.pixels.max() == 100:
        frame = take(source, 1)[0]
    assert frame.size == source.size == (64, 48)
    assert frame.pixels[:12].max() == 0
    assert frame.pixels[24].min() == 200
    source.close()


def test_a_camera_that_falls_silent_is_opened_again(bench: Bench) -> None:
    source = bench.source(bench.camera([100] * 20 + [Silent] * 100), bench.camera([200] * 30))
    frames = take(source, 1)
    silent_since = bench.now
    while frames[-1].pixels[0, 0, 0] == 100:
        silent_since = bench.now
        frames += take(source, 1)
    assert (bench.now - silent_since) / NS_PER_S == pytest.approx(SILENT_S, abs=3 * POLL_S)
    assert source.losses == 1
    source.close()


def test_black_pictures_go_on_with_a_word_about_it(bench: Bench) -> None:
    source = bench.source(bench.camera([100] * 12 + [1] * (MANY + 9) + [100] * 5))
    states: list[str] = []
    while take(source, 1)[0].pixels.max() != 100 or not states:
        states.append(source.state)
    assert states[:MANY] == ["ok"] * MANY
    assert states[-1] == "camera 0 gives black pictures: cover or privacy switch?"
    assert source.state == "ok"
    source.close()


def test_damaged_pictures_are_left_out_and_counted(bench: Bench) -> None:
    script = [100] * 14 + [None, 150, None, None, 160] + [None] * MANY + [170, 180]
    source = bench.source(bench.camera(script))
    seen: list[int] = []
    while not seen or seen[-1] != 160:
        seen.append(int(take(source, 1)[0].pixels[0, 0, 0]))
    assert source.skipped == 3
    assert source.state == "ok"
    take(source, 1)
    assert source.skipped == 3 + MANY
    source.close()
