"""A real browser without a window, driven over its DevTools protocol."""

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

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "about:blank",
)  # fmt: skip


class ChromiumTab(Tab):
    """Speaks Chromium's DevTools protocol: `send` asks for what the stories of all browsers don't."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        super().__init__()
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            said = json.loads(message.data)
            what = said.get("params", {})
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Runtime.exceptionThrown":
                details = what["exceptionDetails"]
                self.faults.append(details.get("exception", {}).get("description") or details["text"])
            elif said["method"] == "Log.entryAdded" and what["entry"]["level"] == "error":
                self.faults.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")
            elif said["method"] == "Network.requestWillBeSent":
                self.asked.append(what["request"]["url"])
            elif said["method"] == "Network.webSocketCreated":
                self.asked.append(what["url"])
            elif said["method"] == "Page.javascriptDialogOpening":
                await self._socket.send_json(
                    {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
                )
                self._answers[0] = asyncio.get_running_loop().create_future()

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        said = await asyncio.wait_for(answer, PATIENCE_S)
        assert "error" not in said, said
        result: dict[str, Any] = said["result"]
        return result

    async def js(self, expression: str) -> Any:
        said = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def press(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def keep_downloads(self, folder: Path) -> None:
        await self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    async def allow_clipboard(self) -> None:
        await self.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])

    async def key(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, ord(key[0].upper()))
        await self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)

    async def give(self, selector: str, *files: Path) -> None:
        found = await self.send("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        await self.send("DOM.setFileInputFiles", files=[str(f) for f in files], objectId=found["result"]["objectId"])

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        await self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    async def picture(self, *, whole: bool = False) -> bytes:
        said = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(said["data"])


@asynccontextmanager
async def open_tab(url: str) -> AsyncIterator[ChromiumTab]:
    """A fresh browser with one page. Skips the test where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [program, f"--user-data-dir={home}", *_FLAGS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            port = await _port(Path(home) / "DevToolsActivePort", process)
            async with ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [page for page in await answer.json() if page["type"] == "page"]
                async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    tab = ChromiumTab(socket)
                    listening = asyncio.create_task(tab.listen())
                    for room in ("Page", "Runtime", "Log", "Network", "DOM"):
                        await tab.send(f"{room}.enable")
                    await tab.send("Emulation.setFocusEmulationEnabled", enabled=True)
                    await tab.size(1280, 900)
                    await tab.send("Page.navigate", url=url)
                    yield tab
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
        finally:
            process.terminate()
            process.wait(10)


async def _port(file: Path, process: "subprocess.Popen[bytes]") -> int:
    for _ in range(600):
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
        if len(lines) > 1:
            return int(lines[0])
        assert process.poll() is None, "the browser ended at once"
        await asyncio.sleep(0.05)
    raise AssertionError("the browser never opened its port")
