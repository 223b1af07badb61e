"""Who is let in to the page, and who is not."""

from collections.abc import Iterator

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from pages import Opened, open_page

from realtime.web.auth import Doorkeeper


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page() as panel:
        yield panel


def test_the_token_becomes_a_cookie_and_leaves_the_address(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.page.url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        token = opened.page.url.partition("token=")[2]
        assert token not in cookie
        async with browser.get(opened.home) as answer:
            assert answer.status == 200
            assert "<canvas" in await answer.text()

    opened.browse(visit, let_in=False)


def test_a_token_works_once(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with ClientSession() as other, other.get(opened.page.url) as answer:
            assert answer.status == 403
            assert "used before" in await answer.text()
            assert "Set-Cookie" not in answer.headers
        async with browser.get(opened.page.url) as answer:  # the one it was for may come back
            assert answer.status == 200

    opened.browse(visit)


def test_a_second_address_opens_a_second_browser(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.page.new_url()) as answer:
            assert answer.status == 200

    opened.browse(visit)
    opened.browse(visit, let_in=False)


PATHS = [
    "/", "/page.js", "/page.css", "/api/report", "/api/settings", "/api/minute", "/api/gallery", "/api/presets",
    "/api/recordings", "/api/preview/model/ada", "/api/recordings/x.mp4", "/metrics", "/ws/own", "/ws/live",
]  # fmt: skip


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
def test_foreign_pages_are_refused_even_with_the_cookie(opened: Opened, path: str, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{port}", str(opened.page.port)) for name, value in headers.items()}

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


@pytest.mark.parametrize("path", [*PATHS[:-2], "/nothing"])
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


def test_the_doorkeeper_reads_odd_cookies() -> None:
    door = Doorkeeper(8000)
    assert door.knows({"Cookie": f"other=1; {door.cookie_name}={door.cookie}"})
    for cookie in ("", "=", f"{door.cookie_name}=", f"{door.cookie_name}=x", "a\x00b", f"{door.cookie_name}"):
        assert not door.knows({"Cookie": cookie})
    assert not Doorkeeper(8000).knows({"Cookie": f"{door.cookie_name}={door.cookie}"})
