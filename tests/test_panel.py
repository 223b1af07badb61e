"""The page's server: who is let in, what it serves, and that it never holds the loop up."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType, WSServerHandshakeError
from fakes import FakeClock

from realtime.errors import ConfigError, DeviceError
from realtime.frame import Frame
from realtime.output.page_sink import PageSink
from realtime.panel import Panel
from realtime.panel.guard import Doorkeeper
from realtime.panel.live import encode_jpeg
from realtime.settings import Settings
from realtime.threads import Latest

REPORT = {
    "title": "Ada", "model": "ada", "family": "swap", "state": "synthetic", "version": "1", "fps": 29.97,
    "frames": {"captured": 10, "dropped": 1}, "latency_ms": {"p50": 20.5, "p95": 30.0},
    "stages_ms": {"detect": {"p50": 5.0, "p95": 6.0}, "align": {}}, "seconds": 3.0,
}  # fmt: skip


def frame(level: int = 100, size: tuple[int, int] = (64, 48)) -> Frame:
    return Frame(np.full((size[1], size[0], 3), level, np.uint8), level, level)


class Opened:
    """A panel, its settings, and a browser's stand-in."""

    def __init__(self, panel: Panel, settings: Latest[Settings]) -> None:
        self.panel, self.settings = panel, settings
        self.home = f"http://127.0.0.1:{panel.port}"

    def browse(self, visit: Callable[[ClientSession], Awaitable[None]], *, let_in: bool = True) -> None:
        async def session() -> None:
            async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
                if let_in:
                    async with browser.get(self.panel.url) as answer:
                        assert answer.status == 200
                await visit(browser)

        asyncio.run(session())


@pytest.fixture
def opened() -> Iterator[Opened]:
    settings = Latest(Settings())

    def change(wanted: Settings) -> None:
        if wanted.badge == "off":
            raise ConfigError("badge = off is not allowed for this identity")
        settings.set(wanted)

    panel = Panel(
        report=lambda: dict(REPORT), get_settings=settings.get, set_settings=change, clock=FakeClock()
    )
    yield Opened(panel, settings)
    panel.close()
    panel.close()


def test_the_token_becomes_a_cookie_and_leaves_the_address(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.panel.url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        token = opened.panel.url.partition("token=")[2]
        assert token not in cookie
        async with browser.get(opened.home) as answer:
            assert answer.status == 200
            assert "<canvas" in await answer.text()

    opened.browse(visit, let_in=False)


def test_a_token_works_once(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with ClientSession() as other, other.get(opened.panel.url) as answer:
            assert answer.status == 403
            assert "used before" in await answer.text()
            assert "Set-Cookie" not in answer.headers
        async with browser.get(opened.panel.url) as answer:  # the one it was for may come back
            assert answer.status == 200

    opened.browse(visit)


def test_a_second_address_opens_a_second_browser(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.panel.new_url()) as answer:
            assert answer.status == 200

    opened.browse(visit)
    opened.browse(visit, let_in=False)


PATHS = ["/", "/page.js", "/page.css", "/api/report", "/api/settings", "/metrics", "/ws/live"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query", ["", "?token=", "?token=wrong", "?token=%FF%00", "?token=" + "a" * 4000], ids=lambda q: q[:14]
)
def test_without_the_token_nothing_is_served(opened: Opened, path: str, query: str) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home + path + query) as answer:
            assert answer.status == 403
            assert "Set-Cookie" not in answer.headers

    opened.browse(visit, let_in=False)


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1:{port}.evil.example"},
        {"Host": "[::1]:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_foreign_pages_are_refused_even_with_the_cookie(
    opened: Opened, path: str, headers: dict[str, str]
) -> None:
    sent = {name: value.replace("{port}", str(opened.panel.port)) for name, value in headers.items()}

    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home + path, headers=sent) as answer:
            # An empty Host is refused by the HTTP parser itself.
            assert answer.status in ((400, 403) if sent == {"Host": ""} else (403,))
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with browser.post(opened.home + "/api/settings", json={"mirror": True}, headers=sent) as answer:
            assert answer.status in (400, 403)
        async with browser.options(opened.home + path, headers=sent) as answer:
            assert answer.status in (400, 403)
        assert not opened.settings.get().mirror

    opened.browse(visit)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", None])
def test_a_foreign_websocket_is_refused(opened: Opened, origin: str | None) -> None:
    async def visit(browser: ClientSession) -> None:
        with pytest.raises(WSServerHandshakeError) as caught:
            await browser.ws_connect(opened.home + "/ws/live", origin=origin)
        assert caught.value.status == 403

    opened.browse(visit)


def test_a_websocket_needs_the_cookie(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        with pytest.raises(WSServerHandshakeError) as caught:
            await browser.ws_connect(opened.home + "/ws/live", origin=opened.home)
        assert caught.value.status == 403

    opened.browse(visit, let_in=False)


@pytest.mark.parametrize("path", [*PATHS[:-1], "/nothing"])
def test_every_answer_carries_the_headers(opened: Opened, path: str) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert not [name for name in answer.headers if name.startswith("Access-Control")]

    opened.browse(visit)


def test_the_page_holds_nothing_inline(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home) as answer:
            text = await answer.text()
        assert "<style" not in text
        assert " style=" not in text
        assert "onclick" not in text
        assert "http" not in text.replace("http-equiv", "")

    opened.browse(visit)


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
        async with browser.post(
            url, data='{"mirror": true}', headers={"Content-Type": "text/plain"}
        ) as answer:
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
    sink = PageSink(opened.panel)

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
            assert opened.panel.delay_ms is not None
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
            closing = asyncio.get_running_loop().run_in_executor(None, opened.panel.close)
            while (message := await ws.receive(timeout=10)).type is not WSMsgType.CLOSE:
                pass
            assert message.data == 1001
            await closing
        opened.panel.show(frame())  # too late, and harmless

    opened.browse(visit)


def test_a_taken_port_is_named(opened: Opened) -> None:
    with pytest.raises(DeviceError, match=str(opened.panel.port)):
        Panel(report=dict, get_settings=Settings, set_settings=print, port=opened.panel.port)


def test_large_pictures_are_scaled_down_for_the_page() -> None:
    jpeg = np.frombuffer(encode_jpeg(frame(100, (3840, 2160)).pixels), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (720, 1280, 3)


def test_the_doorkeeper_reads_odd_cookies() -> None:
    door = Doorkeeper(8000)
    assert door.knows({"Cookie": f"other=1; {door.cookie_name}={door.cookie}"})
    for cookie in ("", "=", f"{door.cookie_name}=", f"{door.cookie_name}=x", "a\x00b", f"{door.cookie_name}"):
        assert not door.knows({"Cookie": cookie})
    assert not Doorkeeper(8000).knows({"Cookie": f"{door.cookie_name}={door.cookie}"})
