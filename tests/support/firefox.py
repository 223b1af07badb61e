"""A real Firefox without a window, driven over WebDriver BiDi (W3C), which it speaks by itself."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from browsers import PATIENCE_S, Tab

_KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c"}
_PREFERENCES = {
    "browser.download.dir": "", "browser.download.folderList": 2, "browser.download.useDownloadDir": True,
    "browser.download.alwaysOpenPanel": False, "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0, "datareporting.policy.dataSubmissionEnabled": False,
    "dom.events.testing.asyncClipboard": True, "media.volume_scale": "0.0",
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False, "app.update.enabled": False,
    "toolkit.telemetry.enabled": False, "extensions.update.enabled": False, "remote.active-protocols": 1,
    "browser.safebrowsing.malware.enabled": False, "browser.safebrowsing.phishing.enabled": False,
    "services.settings.server": "data:,none", "browser.newtabpage.enabled": False, "ui.prefersReducedMotion": 1,
}  # fmt: skip


class FirefoxTab(Tab):
    """One page."""

    def __init__(self, socket: ClientWebSocketResponse, downloads: Path) -> None:
        super().__init__()
        self._socket, self._downloads = socket, downloads
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._prompts: set[asyncio.Task[Any]] = set()
        self.context = ""

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            said = json.loads(message.data)
            what = said.get("params", {})
            if "id" in said and said["id"] is not None:
                self._answers.pop(said["id"]).set_result(said)
            elif said.get("method") == "log.entryAdded" and what["level"] == "error":
                self.faults.append(str(what.get("text")))
            elif said.get("method") == "network.beforeRequestSent":
                self.asked.append(what["request"]["url"])
            elif said.get("method") == "browsingContext.userPromptOpened":
                accept = self.send("browsingContext.handleUserPrompt", context=what["context"], accept=True)
                self._prompts.add(asyncio.create_task(accept))

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        said = await asyncio.wait_for(answer, PATIENCE_S)
        assert said["type"] == "success", said
        result: dict[str, Any] = said["result"]
        return result

    async def begin(self, url: str) -> None:
        """Go there. What goes wrong and what is asked is noted from the start."""
        await self.send("session.new", capabilities={"alwaysMatch": {"unhandledPromptBehavior": {"default": "ignore"}}})
        self.context = (await self.send("browsingContext.getTree"))["contexts"][0]["context"]
        events = ["log.entryAdded", "network.beforeRequestSent", "browsingContext.userPromptOpened"]
        await self.send("session.subscribe", events=events)
        await self.size(1280, 900)
        await self.send("browsingContext.navigate", context=self.context, url=url, wait="interactive")

    async def js(self, expression: str) -> Any:
        said = await self.send(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self.context},
            awaitPromise=True,
            userActivation=True,
        )
        assert said["type"] == "success", said["exceptionDetails"]
        value = said["result"].get("value")
        return None if value is None else json.loads(value)

    async def press(self, x: float, y: float) -> None:
        steps = [
            {"type": "pointerMove", "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._act({"type": "pointer", "id": "mouse", "actions": steps})

    async def key(self, key: str) -> None:
        await self._keys([_KEYS.get(key, key)])

    async def type(self, text: str) -> None:
        await self._keys(list(text))

    async def _keys(self, values: list[str]) -> None:
        steps = [{"type": kind, "value": value} for value in values for kind in ("keyDown", "keyUp")]
        await self._act({"type": "key", "id": "keyboard", "actions": steps})

    async def _act(self, source: dict[str, Any]) -> None:
        await self.send("input.performActions", context=self.context, actions=[source])

    async def give(self, selector: str, *files: Path) -> None:
        said = await self.send(
            "script.evaluate",
            expression=f"document.querySelector({json.dumps(selector)})",
            target={"context": self.context},
            awaitPromise=False,
        )
        element = {"sharedId": said["result"]["sharedId"]}
        await self.send("input.setFiles", context=self.context, element=element, files=[str(file) for file in files])

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.send(
            "browsingContext.setViewport", context=self.context, viewport={"width": width, "height": height}
        )

    async def picture(self, *, whole: bool = False) -> bytes:
        origin = "document" if whole else "viewport"
        said = await self.send("browsingContext.captureScreenshot", context=self.context, origin=origin)
        return base64.b64decode(said["data"])

    async def keep_downloads(self, folder: Path) -> None:
        folder.parent.mkdir(exist_ok=True)
        folder.symlink_to(self._downloads, target_is_directory=True)  # its own place was settled when it started

    async def allow_clipboard(self) -> None:
        """By a preference."""


@asynccontextmanager
async def open_tab(url: str) -> AsyncIterator[FirefoxTab]:
    """A fresh browser with one page. Skips the test where there is no Firefox."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("there is no Firefox here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        downloads, profile = Path(home) / "downloads", Path(home) / "profile"
        downloads.mkdir()
        profile.mkdir()
        preferences = {**_PREFERENCES, "browser.download.dir": str(downloads)}
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        (profile / "user.js").write_text("".join(lines), encoding="utf-8")
        process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-remote",
                "--profile",
                str(profile),
                "--remote-debugging-port=0",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = await _port(profile / "WebDriverBiDiServer.json", process)
            address = f"ws://127.0.0.1:{port}/session"
            async with ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                tab = FirefoxTab(socket, downloads)
                listening = asyncio.create_task(tab.listen())
                await tab.begin(url)
                yield tab
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        finally:
            process.terminate()
            process.wait(20)


async def _port(file: Path, process: "subprocess.Popen[bytes]") -> int:
    for _ in range(1200):
        if file.exists():
            try:
                return int(json.loads(file.read_text(encoding="utf-8"))["ws_port"])
            except ValueError:  # half written
                pass
        assert process.poll() is None, "the browser ended at once"
        await asyncio.sleep(0.05)
    raise AssertionError("the browser never opened its port")
