"""A page with settings and a report, and a browser's stand-in."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from fakes import FakeClock

from realtime.audio.microphone import SelectableMicrophone
from realtime.capture.switched import Switched
from realtime.clock import Clock
from realtime.errors import ConfigError
from realtime.output.recorder import Recorder
from realtime.output.virtual_camera import CameraSwitch
from realtime.pipeline.switches import Switches
from realtime.settings import Settings
from realtime.threads import Latest
from realtime.web.job_process import CHILD, STALLED_S
from realtime.web.jobs import Jobs
from realtime.web.server import Controls, Page

REPORT: dict[str, Any] = {
    "title": "Ada", "model": "ada", "family": "swap", "state": "synthetic", "version": "1", "fps": 29.97,
    "frames": {"captured": 10, "dropped": 1}, "latency_ms": {"p50": 20.5, "p95": 30.0},
    "stages_ms": {"detect": {"p50": 5.0, "p95": 6.0}, "align": {}}, "seconds": 3.0,
}  # fmt: skip


class Opened:
    """A page, its settings, its report, the user's folder, and a browser's stand-in."""

    def __init__(self, page: Page, settings: Latest[Settings], report: dict[str, Any], folder: Path) -> None:
        self.page, self.settings, self.report, self.folder = page, settings, report, folder
        self.home = f"http://127.0.0.1:{page.port}"

    def attach(self, **changes: Any) -> None:
        self.page.attach(replace(self.page.controls, **changes))

    def browse(self, visit: Callable[[ClientSession], Awaitable[None]], *, let_in: bool = True) -> None:
        async def session() -> None:
            async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
                if let_in:
                    async with browser.get(self.page.url) as answer:
                        assert answer.status == 200
                await visit(browser)

        asyncio.run(session())


def switches(
    source: Switched | None = None,
    camera: CameraSwitch | None = None,
    microphone: SelectableMicrophone | None = None,
    busy: str | None = None,
) -> Switches:
    """Of a run in which nothing is shown or recorded, unless `camera` is given."""
    camera = camera or CameraSwitch(lambda: pytest.fail("nothing is shown here"), None, print)
    recorder = Recorder(lambda path: pytest.fail("nothing is recorded here"))
    return Switches(source, camera, microphone, recorder, lambda: busy)


@contextmanager
def open_page(
    clock: Clock | None = None, child: Sequence[str] = CHILD, stalled_s: float = STALLED_S
) -> Iterator[Opened]:
    """Open for the block, with a user's folder of its own. Another model or avatar changes the report, as in a run.
    `child` makes the files, and may say nothing new for `stalled_s`."""
    settings = Latest(Settings())
    report = dict(REPORT)

    def change(wanted: Settings, before: Settings) -> None:
        if wanted.badge == "off":
            raise ConfigError("badge = off is not allowed for this identity")
        settings.set(wanted)
        if wanted.model == "motion":
            shown = wanted.avatar or "finn"
            report.update(model="motion", family="motion", avatar=shown, title=shown.replace("-", " ").title())
        elif wanted.model is not None:
            report.update(model=wanted.model, family="swap", avatar=None, title=wanted.model.title())

    before = os.environ.get("MASQUERADE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MASQUERADE_HOME"] = folder
        page = Page(clock=clock or FakeClock(), jobs=Jobs(child=child, stalled_s=stalled_s))
        page.attach(Controls(lambda: dict(report), settings.get, change))
        try:
            yield Opened(page, settings, report, Path(folder))
        finally:
            page.close()
            page.close()
            if before is None:
                del os.environ["MASQUERADE_HOME"]
            else:
                os.environ["MASQUERADE_HOME"] = before
