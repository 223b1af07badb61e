"""A page with settings and a report, and a browser's stand-in that asks it over HTTP and WebSockets."""

import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMessage, WSMsgType
from fakes import FakeClock
from yarl import URL

from realtime.audio.microphone import SelectableMicrophone
from realtime.capture.wrappers import SwitchableSource
from realtime.clock import Clock
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.output.recorder import Recorder
from realtime.output.virtual_camera import CameraSwitch
from realtime.pipeline.parts import Switches
from realtime.pipeline.render_process import CHILD, STALLED_S
from realtime.threads import Latest
from realtime.web.controls import Controls
from realtime.web.render_jobs import RenderJobs
from realtime.web.server import Page

REPORT: dict[str, Any] = {
    "title": "Ada", "model": "ada", "family": "swap", "state": "synthetic", "version": "1", "fps": 29.97,
    "frames": {"captured": 10, "dropped": 1}, "latency_ms": {"p50": 20.5, "p95": 30.0},
    "stages_ms": {"detect": {"p50": 5.0, "p95": 6.0}, "align": {}}, "seconds": 3.0,
}  # fmt: skip
ENDED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """Asks the page at `home`, with its `token` once it was let in; lets it wait while nothing is asked."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.token: str | None = None
        self._runner = asyncio.Runner()
        self.session = self.run(self._open())

    async def _open(self) -> ClientSession:
        return ClientSession()

    def enter(self, url: str) -> Answer:
        """Open an address that masquerade printed."""
        answer = self.get(url, headers={"Accept": "application/json"})
        if answer.status == 200:
            self.token = answer.json["token"]
        return answer

    def run(self, act: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await act

        return self._runner.run(wait())

    def start(self, act: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Begin it; it goes on while something is asked or run."""
        return self._runner.get_loop().create_task(act)

    def url(self, path: str) -> URL:
        """Of a path, or of a whole address, as it is written."""
        return URL(path if path.startswith("http") else self.home + path, encoded=True)

    async def answer(self, method: str, path: str, **rest: Any) -> Answer:
        mine = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers = mine | dict(rest.pop("headers", {}))
        async with self.session.request(method, self.url(path), headers=headers, **rest) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def upload(self, path: str, body: Any, said: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/octet-stream"}
        return await self.answer("POST", str(self.url(path).with_query(said)), data=body, headers=headers)

    def ask(self, method: str, path: str, **rest: Any) -> Answer:
        return self.run(self.answer(method, path, **rest))  # type: ignore[no-any-return]

    def get(self, path: str, **rest: Any) -> Answer:
        return self.ask("GET", path, **rest)

    def post(self, path: str, body: object = None, **rest: Any) -> Answer:
        return self.ask("POST", path, **(rest if body is None else {"json": body, **rest}))

    @contextmanager
    def socket(self, path: str, origin: str | None = "") -> Iterator["Socket"]:
        mine = ["masquerade", self.token] if self.token else []
        sent = self.home if origin == "" else origin
        socket = self.run(self.session.ws_connect(self.home + path, origin=sent, protocols=mine))
        try:
            yield Socket(self, socket)
        finally:
            self.run(socket.close())

    def close(self) -> None:
        self.run(self.session.close())
        self._runner.close()


class Socket:
    def __init__(self, browser: Browser, socket: ClientWebSocketResponse) -> None:
        self._browser, self._socket = browser, socket

    def send(self, text: str) -> None:
        self._browser.run(self._socket.send_str(text))

    def next(self, *kinds: WSMsgType) -> WSMessage:
        """The next message of those kinds; of any where none is named."""
        while (message := self._browser.run(self._socket.receive(timeout=60))).type not in (kinds or (message.type,)):
            assert message.type not in ENDED, message
        return message  # type: ignore[no-any-return]

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.next(WSMsgType.TEXT).data))

    def picture(self) -> Pixels:
        jpeg = np.frombuffer(self.next(WSMsgType.BINARY).data, np.uint8)
        return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


@dataclass
class Opened:
    """A page, its run's settings and report, the user's folder, its owner's browser, and one that was not let in."""

    page: Page
    settings: Latest[Settings]
    report: dict[str, Any]
    folder: Path
    browser: Browser
    stranger: Browser

    def attach(self, **changes: Any) -> None:
        self.page.attach(replace(self.page.controls, **changes))


def switches(
    source: SwitchableSource | None = None,
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
    `child` renders files, and may make no progress for `stalled_s`."""
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

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "MASQUERADE_HOME", folder)
        page = Page(clock=clock or FakeClock(), jobs=RenderJobs(child=child, stalled_s=stalled_s))
        page.attach(Controls(lambda: dict(report), settings.get, change))
        home = f"http://127.0.0.1:{page.port}"
        browser, stranger = Browser(home), Browser(home)
        try:
            assert browser.enter(page.url).status == 200
            yield Opened(page, settings, report, Path(folder), browser, stranger)
        finally:
            page.close()  # first: what a browser still sends would keep its connection open
            page.close()
            browser.close()
            stranger.close()
