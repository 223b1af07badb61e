"""A Chromium without a window, as far as a benchmark needs one: open an address, ask for a value."""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from realtime.errors import DeviceError

PATIENCE_S = 60.0
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--window-size=1280,900", "about:blank",
)  # fmt: skip


class Browser:
    """One page."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            said = json.loads((await self._socket.receive(PATIENCE_S)).data)
            if said.get("id") == self._number:
                if "error" in said:
                    raise DeviceError(f"the browser refused {method}: {said['error']['message']}")
                result: dict[str, Any] = said["result"]
                return result

    async def open(self, address: str) -> None:
        """Go there; what was open is closed."""
        await self._send("Page.navigate", url=address)

    async def js(self, expression: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        said = await self._send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise DeviceError(f"the page failed: {said['exceptionDetails']}")
        return said["result"].get("value")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A fresh one, gone at the end. Raises DeviceError where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise DeviceError("there is no Chromium here: install it (Debian, Ubuntu: sudo apt install chromium)")
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
                    yield Browser(socket)
        finally:
            process.terminate()
            process.wait(10)


async def _port(file: Path, process: "subprocess.Popen[bytes]") -> int:
    for _ in range(1200):
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
        if len(lines) > 1:
            return int(lines[0])
        if process.poll() is not None:
            break
        await asyncio.sleep(0.05)
    raise DeviceError("the browser did not start")
