"""A panel with settings and a report, and a browser's stand-in."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientSession, CookieJar
from fakes import FakeClock

from realtime.errors import ConfigError
from realtime.panel import Panel
from realtime.settings import Settings
from realtime.threads import Latest

REPORT: dict[str, Any] = {
    "title": "Ada", "model": "ada", "family": "swap", "state": "synthetic", "version": "1", "fps": 29.97,
    "frames": {"captured": 10, "dropped": 1}, "latency_ms": {"p50": 20.5, "p95": 30.0},
    "stages_ms": {"detect": {"p50": 5.0, "p95": 6.0}, "align": {}}, "seconds": 3.0,
}  # fmt: skip


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


@contextmanager
def open_panel() -> Iterator[Opened]:
    settings = Latest(Settings())

    def change(wanted: Settings) -> None:
        if wanted.badge == "off":
            raise ConfigError("badge = off is not allowed for this identity")
        settings.set(wanted)

    panel = Panel(report=lambda: dict(REPORT), get_settings=settings.get, set_settings=change, clock=FakeClock())
    try:
        yield Opened(panel, settings)
    finally:
        panel.close()
        panel.close()
