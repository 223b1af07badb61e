"""The page's server: report, metrics, pictures, snapshots, recordings and warnings; it never holds the loop up."""

import asyncio
import logging
from contextlib import ExitStack

import cv2
import numpy as np
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError
from fakes import FakeSink, pixels
from pages import ENDED, REPORT, Opened

from realtime.clock import NS_PER_S
from realtime.config import Settings
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.output.recorder import Recorder
from realtime.pipeline.metrics import LastMinute
from realtime.web.preview import MOST_VIEWERS, encode_jpeg
from realtime.web.server import MOST_NOTICES, Notices, Page


def frame(level: int = 100, size: tuple[int, int] = (64, 48)) -> Frame:
    return Frame(np.full((size[1], size[0], 3), level, np.uint8), level, level)


def test_report_and_metrics(opened: Opened) -> None:
    assert opened.browser.get("/api/report").json == REPORT
    answer = opened.browser.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'masquerade_frames_total{kind="dropped"} 1' in lines
    assert "masquerade_fps 29.97" in lines
    assert 'masquerade_latency_milliseconds{at="p95"} 30' in lines
    assert 'masquerade_stage_milliseconds{stage="detect",at="p50"} 5' in lines
    assert 'masquerade_info{model="ada",family="swap",version="1"} 1' in lines


def test_before_a_run_is_attached_the_page_says_that_it_starts() -> None:
    page = Page()
    assert page.controls.report() == {"schema": 1, "state": "starting"}
    page.show(frame())
    page.close()
    page.show(frame())  # too late, and harmless


def test_pictures_arrive_and_a_slow_page_skips_to_the_newest(opened: Opened) -> None:
    show = opened.page.show
    show(frame(10))
    with opened.browser.socket("/ws/live") as ws:
        assert abs(ws.picture().mean() - 10) < 2  # at once, without waiting for the next frame
        show(frame(20))
        assert abs(ws.picture().mean() - 20) < 2
        for level in range(30, 250, 10):  # nothing is drawn meanwhile
            show(frame(level))
        ws.send("drawn")
        assert abs(ws.picture().mean() - 240) < 2
        while ws.status()["page_delay_ms"] is None:
            pass
        # Two are on their way: no more until the page says so, however often it hears of the run's state.
        show(frame(250))
        assert [ws.next().type for _ in range(2)] == [WSMsgType.TEXT] * 2


def test_the_page_is_sent_the_state_and_the_settings(opened: Opened) -> None:
    with opened.browser.socket("/ws/live") as ws:
        status = ws.status()
    assert status["report"] == REPORT
    assert status["settings"] == Settings().model_dump()


@pytest.mark.parametrize("nonsense", ["hello", "drawn", "x" * 5000])
def test_a_page_that_sends_nonsense_is_disconnected(opened: Opened, nonsense: str) -> None:
    with opened.browser.socket("/ws/live") as ws:
        ws.send(nonsense)  # nothing was sent yet, so nothing can have been drawn
        ws.next(*ENDED)


def test_so_many_pages_and_no_more(opened: Opened) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            stack.enter_context(opened.browser.socket("/ws/live")).status()
        with pytest.raises(WSServerHandshakeError) as caught, opened.browser.socket("/ws/live"):
            pass
        assert caught.value.status == 503


def test_closing_says_good_bye_to_open_pages(opened: Opened) -> None:
    with opened.browser.socket("/ws/live") as ws:
        ws.status()

        closing = opened.browser.start(asyncio.to_thread(opened.page.close))
        assert ws.next(WSMsgType.CLOSE).data == 1001
        opened.browser.run(closing)


def test_a_taken_port_is_named(opened: Opened) -> None:
    with pytest.raises(DeviceError, match=str(opened.page.port)):
        Page(port=opened.page.port)


def test_large_pictures_are_scaled_down_for_the_page() -> None:
    jpeg = np.frombuffer(encode_jpeg(frame(100, (3840, 2160)).pixels), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (720, 1280, 3)


def test_a_snapshot_is_what_others_see_and_says_that_it_is_synthetic(opened: Opened) -> None:
    assert opened.browser.get("/api/snapshot").status == 404
    shown = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    opened.page.show(Frame(shown, 0, 0))
    answer = opened.browser.get("/api/snapshot")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="masquerade-')
    assert b"compositeWithTrainedAlgorithmicMedia" in answer.body
    assert np.array_equal(cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR), shown)


def test_a_recording_is_made_listed_and_served_in_parts(opened: Opened) -> None:
    browser, sink = opened.browser, FakeSink()
    assert browser.post("/api/recording", {"do": "start"}).status == 409  # this run has none
    recorder = Recorder(lambda path: path.write_bytes(b"0123456789") and sink)
    opened.attach(recorder=recorder)
    name = browser.post("/api/recording", {"do": "start"}).json["name"]
    with browser.socket("/ws/live") as ws:
        assert ws.status()["recording"] == name
    recorder.show(Frame(pixels(), 0, 0))
    assert len(sink.shown) == 1
    again = browser.post("/api/recording", {"do": "start"})
    assert (again.status, "already" in again.text) == (400, True)
    assert browser.get("/api/recordings").json["files"] == []
    assert browser.post("/api/recording", {"do": "stop"}).json == {"name": name}
    assert sink.closed == 1
    (listed,) = browser.get("/api/recordings").json["files"]
    assert (listed["name"], listed["bytes"]) == (name, 10)
    ticket = f"/api/recordings/{name}?ticket={listed['ticket']}"  # for a <video>, which sends no header
    assert opened.stranger.get(ticket, headers={"Range": "bytes=2-5"}).body == b"2345"
    part = browser.get(f"/api/recordings/{name}", headers={"Range": "bytes=2-5"})
    assert (part.status, part.headers["Content-Type"], part.body) == (206, "video/mp4", b"2345")
    assert part.headers["Content-Security-Policy"]
    whole = browser.get(f"/api/recordings/{name}?download=1")
    assert whole.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert browser.post("/api/recording", {"do": "burn"}).status == 400


def test_the_own_camera_is_shown_to_who_asks_and_kept_from_nobody_else(opened: Opened) -> None:
    opened.page.see(Frame(pixels(10), 0, 0))  # nobody looks: it is not even kept
    with opened.browser.socket("/ws/own") as ws:
        opened.browser.get("/api/settings")  # by now the viewer is known
        opened.page.see(Frame(pixels(90, (1920, 1080)), 1, 0))
        seen = ws.picture()
        assert seen.shape == (270, 480, 3)
        assert abs(float(seen.mean()) - 90) < 2
    assert opened.browser.get("/api/snapshot").status == 404  # the camera's picture is no synthetic one


def test_the_last_minute_and_the_warnings_reach_the_page(opened: Opened) -> None:
    minute = LastMinute()
    minute.add(10**9, 5_000_000, {"swap": 2_000_000}, 0)
    opened.attach(minute=minute.report)
    assert opened.browser.get("/api/minute").json["stages_ms"] == {"swap": {"p50": 2.0, "p95": 2.0}}
    logging.getLogger("realtime.output.recorder").warning("the disk is full: free some space")
    with opened.browser.socket("/ws/live") as ws:
        assert [notice["text"] for notice in ws.status()["notices"]] == ["the disk is full: free some space"]
    assert any(isinstance(handler, Notices) for handler in logging.getLogger("realtime").handlers)
    opened.page.close()
    assert not any(isinstance(handler, Notices) for handler in logging.getLogger("realtime").handlers)


def test_each_warning_is_kept_once_newest_first_and_made_safe() -> None:
    now = 0
    notices = Notices(lambda: now)
    log = logging.Logger("realtime.test")
    log.addHandler(notices)
    log.warning("the disk %s", "is full")
    log.info("not worth showing")
    now = 3 * NS_PER_S
    log.warning("camera \x1b[31m0\n is gone")
    assert notices.report() == [
        {"text": "camera \\x1b[31m0\\n is gone", "ago_s": 0},
        {"text": "the disk is full", "ago_s": 3},
    ]
    log.warning("the disk is full")
    assert notices.report()[0]["text"] == "the disk is full"
    assert len(notices.report()) == 2
    for number in range(3 * MOST_NOTICES):
        log.warning("number %d", number)
    assert len(notices.report()) == MOST_NOTICES
