"""The page's server: what it serves, and that it never holds the loop up."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from pages import REPORT, Opened, open_page

from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.settings import Settings
from realtime.web.preview import encode_jpeg
from realtime.web.server import Page


def frame(level: int = 100, size: tuple[int, int] = (64, 48)) -> Frame:
    return Frame(np.full((size[1], size[0], 3), level, np.uint8), level, level)


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page() as panel:
        yield panel


def test_report_and_metrics(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home + "/api/report") as answer:
            assert await answer.json() == REPORT
        async with browser.get(opened.home + "/metrics") as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            lines = (await answer.text()).splitlines()
        assert 'masquerade_frames_total{kind="dropped"} 1' in lines
        assert "masquerade_fps 29.97" in lines
        assert 'masquerade_latency_milliseconds{at="p95"} 30' in lines
        assert 'masquerade_stage_milliseconds{stage="detect",at="p50"} 5' in lines
        assert 'masquerade_info{model="ada",family="swap",version="1"} 1' in lines

    opened.browse(visit)


def test_settings_change_together_or_not_at_all(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        url = opened.home + "/api/settings"
        async with browser.post(url, json={"mirror": True, "mask_blur": 40}) as answer:
            assert answer.status == 200
            assert (await answer.json())["mask_blur"] == 40
        async with browser.get(url) as answer:
            assert await answer.json() == opened.settings.get().model_dump()
        assert opened.settings.get().mirror
        async with browser.post(url, json={"mirror": False, "mask_blur": 900}) as answer:
            assert answer.status == 400
        assert opened.settings.get().mirror

    opened.browse(visit)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"mask_blur": 900}', ["mask_blur", "900", "200"]),
        ('{"mask_blur": "5"}', ["mask_blur", "5", "integer"]),
        ('{"opacity": NaN}', ["opacity", "nan"]),
        ('{"color_transfer": "red"}', ["color_transfer", "red", "rct", "idt"]),
        ('{"speed": 3}', ["speed", "mask_blur"]),
        ('{"badge": "off"}', ["badge"]),
        ('{"mirror": 1e999}', ["mirror"]),
        ("[]", ["object"]),
        ("{", ["JSON"]),
        ("[" * 10_000, ["JSON"]),
        ("", ["JSON"]),
    ],
)
def test_wrong_settings_name_key_value_and_allowed(opened: Opened, body: str, words: list[str]) -> None:
    async def visit(browser: ClientSession) -> None:
        headers = {"Content-Type": "application/json"}
        async with browser.post(opened.home + "/api/settings", data=body, headers=headers) as answer:
            assert answer.status == 400
            said = (await answer.json())["error"]
        assert "\n" not in said
        assert all(word in said for word in words), said
        assert opened.settings.get() == Settings()

    opened.browse(visit)


def test_only_json_of_a_sane_size_is_read(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        url = opened.home + "/api/settings"
        async with browser.post(url, data='{"mirror": true}', headers={"Content-Type": "text/plain"}) as answer:
            assert answer.status == 415
        async with browser.post(url, json={"mirror": "x" * 100_000}) as answer:
            assert answer.status == 413
        async with browser.put(url, json={}) as answer:
            assert answer.status == 405
        assert opened.settings.get() == Settings()

    opened.browse(visit)


async def next_picture(ws: ClientWebSocketResponse) -> float:
    while True:
        message = await ws.receive(timeout=10)
        assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), message
        if message.type is WSMsgType.BINARY:
            return float(cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR).mean())


def test_pictures_arrive_and_a_slow_page_skips_to_the_newest(opened: Opened) -> None:
    sink = opened.page

    async def visit(browser: ClientSession) -> None:
        sink.show(frame(10))
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            assert abs(await next_picture(ws) - 10) < 2  # at once, without waiting for the next frame
            sink.show(frame(20))
            assert abs(await next_picture(ws) - 20) < 2
            for level in range(30, 250, 10):  # nothing is drawn meanwhile
                sink.show(frame(level))
            await ws.send_str("drawn")
            assert abs(await next_picture(ws) - 240) < 2
            assert opened.page.delay_ms is not None
            # Two are on their way: no more until the page says so.
            sink.show(frame(250))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(next_picture(ws), 0.05)

    opened.browse(visit)


def test_the_page_is_told_the_state_and_the_settings(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            said: dict[str, Any] = json.loads((await ws.receive(timeout=10)).data)
        assert said["report"] == REPORT
        assert said["settings"] == Settings().model_dump()

    opened.browse(visit)


@pytest.mark.parametrize("nonsense", ["hello", "drawn", "x" * 5000])
def test_a_page_that_talks_nonsense_is_shown_out(opened: Opened, nonsense: str) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            await ws.send_str(nonsense)  # nothing was sent yet, so nothing can have been drawn
            while (message := await ws.receive(timeout=10)).type is WSMsgType.TEXT:
                pass
            assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING)

    opened.browse(visit)


def test_so_many_pages_and_no_more(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        pages = [await browser.ws_connect(opened.home + "/ws/live", origin=opened.home) for _ in range(8)]
        for ws in pages:
            assert (await ws.receive(timeout=10)).type is WSMsgType.TEXT
        with pytest.raises(WSServerHandshakeError) as caught:
            await browser.ws_connect(opened.home + "/ws/live", origin=opened.home)
        assert caught.value.status == 503

    opened.browse(visit)


def test_closing_says_good_bye_to_open_pages(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            assert (await ws.receive(timeout=10)).type is WSMsgType.TEXT
            closing = asyncio.get_running_loop().run_in_executor(None, opened.page.close)
            while (message := await ws.receive(timeout=10)).type is not WSMsgType.CLOSE:
                pass
            assert message.data == 1001
            await closing
        opened.page.show(frame())  # too late, and harmless

    opened.browse(visit)


def test_a_taken_port_is_named(opened: Opened) -> None:
    with pytest.raises(DeviceError, match=str(opened.page.port)):
        Page(port=opened.page.port)


def test_large_pictures_are_scaled_down_for_the_page() -> None:
    jpeg = np.frombuffer(encode_jpeg(frame(100, (3840, 2160)).pixels), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (720, 1280, 3)
