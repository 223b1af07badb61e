"""A real Chromium without a window, driven by Playwright, before a page with a run's stand-in."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from pages import Opened

from realtime.clock import now_ns
from realtime.frame import Frame, Pixels
from realtime.output.recorder import Recorder
from realtime.output.sink import Sink, ThreadedSink
from realtime.output.video_file import VideoFile
from realtime.pipeline.metrics import LastMinute

SIZE = (320, 180)
PIXEL = "document.getElementById('{}').getContext('2d').getImageData(9, 9, 1, 1).data[0]"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio", "--disable-dev-shm-usage",
]  # fmt: skip


class Tab:
    """An open page. `faults`: what its console and its scripts complained of; `asked`: every address."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.js, self.click, self.type, self.key = page.evaluate, page.click, page.type, page.keyboard.press
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))

    async def until(self, condition: str) -> None:
        """Wait until the expression is true; one that cannot be evaluated yet is not."""
        safely = f"() => {{ try {{ return Boolean({condition}); }} catch {{ return false; }} }}"
        await self.page.wait_for_function(safely)

    async def comes_true(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.until("true")

    async def drop(self, *names: str) -> None:
        """Drop files of these names on the page."""
        files = "".join(f"held.items.add(new File(['x'], {name!r}));" for name in names)
        event = "dispatchEvent(new DragEvent('drop', { dataTransfer: held, cancelable: true }))"
        await self.js(f"(() => {{ const held = new DataTransfer(); {files} {event}; }})()")

    async def says(self, words: str) -> None:
        await self.until(f"document.getElementById('state').textContent.includes({json.dumps(words)})")

    async def text(self, selector: str) -> str:
        return str(await self.page.text_content(selector)).strip()


@asynccontextmanager
async def open_tab(url: str) -> AsyncIterator[Tab]:
    """A fresh browser with one page. Skips the test where Playwright or a Chromium of the system is missing."""
    api = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        page.set_default_timeout(60_000)
        tab = Tab(page)
        await page.goto(url)
        yield tab
        await browser.close()


def shade(value: int) -> Pixels:
    return np.full((SIZE[1], SIZE[0], 3), value, np.uint8)


def walk(opened: Opened, story: Callable[[Tab], Awaitable[None]], sinks: Sequence[Sink] = ()) -> None:
    """Play the story in a fresh browser before a run's stand-in, which shows pictures to all sinks."""
    minute = LastMinute()
    recorder = Recorder(lambda path: ThreadedSink(VideoFile(path, size=SIZE, rate_hz=30.0)))
    opened.attach(minute=minute.report, recorder=recorder)

    async def run() -> None:
        for number in itertools.count():
            for sink in (opened.page, recorder, *sinks):
                sink.show(Frame(shade(200), number, now_ns()))
            opened.page.see(Frame(shade(90), number, now_ns()))
            minute.add(number * 40_000_000, 30_000_000, {"detect": 5_000_000, "swap": 20_000_000}, number // 10)
            await asyncio.sleep(0.02)

    async def visit() -> None:
        running = asyncio.create_task(run())
        try:
            async with open_tab(opened.page.new_url()) as tab:
                await tab.until("document.querySelectorAll('.choice').length > 5")
                await tab.until("document.getElementById('veil').hidden")
                await story(tab)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            recorder.close()

    asyncio.run(visit())
