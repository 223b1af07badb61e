"""An evening before the page: a run's stand-in, and a browser to click in."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from browsers import OpenTab, Tab
from chromium import open_tab as open_chromium
from firefox import open_tab as open_firefox
from pages import Opened

from realtime.clock import now_ns
from realtime.frame import Frame, Pixels
from realtime.output.recorder import Recorder
from realtime.output.sink import Apart, Sink
from realtime.output.video_file import VideoFile
from realtime.pipeline.metrics import LastMinute

SIZE = (320, 180)
PIXEL = "document.getElementById('{}').getContext('2d').getImageData(9, 9, 1, 1).data[0]"

BROWSERS = [pytest.param(open_chromium, id="chromium"), pytest.param(open_firefox, id="firefox")]


def shade(value: int) -> Pixels:
    return np.full((SIZE[1], SIZE[0], 3), value, np.uint8)


@asynccontextmanager
async def pictures(opened: Opened, sinks: list[Sink]) -> AsyncIterator[None]:
    """A run's stand-in: pictures for all outputs, and the camera's for its owner."""
    page, minute = opened.page, LastMinute()
    recorder = Recorder(lambda path: Apart(VideoFile(path, size=SIZE, rate_hz=30.0)))
    opened.attach(minute=minute.report, recorder=recorder)

    async def run() -> None:
        for number in range(100_000):
            frame = Frame(shade(200), number, now_ns())
            page.show(frame)
            for sink in (recorder, *sinks):
                sink.show(frame)
            page.see(Frame(shade(90), number, now_ns()))
            minute.add(number * 40_000_000, 30_000_000, {"detect": 5_000_000, "swap": 20_000_000}, number // 10)
            await asyncio.sleep(0.02)

    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        recorder.close()


def walk(
    opened: Opened,
    story: Callable[[Tab], Awaitable[None]],
    open_tab: OpenTab = open_chromium,
    sinks: list[Sink] | None = None,
) -> None:
    """Tell the story in a fresh browser, once the page is there."""

    async def evening() -> None:
        async with pictures(opened, sinks or []), open_tab(opened.page.url) as tab:
            await tab.until("document.querySelectorAll('.wear').length > 5")
            await tab.until("document.getElementById('veil').hidden")
            await story(tab)

    asyncio.run(asyncio.wait_for(evening(), 100))


async def seen(tab: Tab, canvas: str) -> int:
    return int(await tab.js(PIXEL.format(canvas)))


def says(words: str) -> str:
    return f"document.getElementById('state').textContent.includes({json.dumps(words)})"
