"""What a story asks of a browser, whichever it is."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

PATIENCE_S = 30.0


class Tab(ABC):
    """One open page. `faults`: what its console, its policy and its scripts complained of; `asked`: every address."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.asked: list[str] = []

    @abstractmethod
    async def js(self, expression: str) -> Any:
        """The value of an expression, awaited where it is a promise."""

    @abstractmethod
    async def press(self, x: float, y: float) -> None:
        """A click of the mouse there."""

    @abstractmethod
    async def key(self, key: str) -> None:
        """A key of the keyboard."""

    @abstractmethod
    async def type(self, text: str) -> None:
        """Text where the cursor is."""

    @abstractmethod
    async def give(self, selector: str, *files: Path) -> None:
        """Choose files in a file field."""

    @abstractmethod
    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The window's size, and the colours that its owner likes, where the browser can be asked."""

    @abstractmethod
    async def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""

    @abstractmethod
    async def keep_downloads(self, folder: Path) -> None:
        """Where downloads go, unasked."""

    @abstractmethod
    async def allow_clipboard(self) -> None:
        """The page may read and write it."""

    async def until(self, condition: str) -> None:
        """Wait until the expression is true; one that cannot be evaluated yet is not."""
        said = await self.js(
            f"new Promise((done) => {{ const end = performance.now() + {PATIENCE_S * 900:.0f}; const look = () => {{ "
            f"let is = false; try {{ is = Boolean({condition}); }} catch {{}} if (is) done(true); "
            "else if (performance.now() > end) done(false); else setTimeout(look, 20); }; look(); })"
        )
        assert said, f"never came true: {condition}; complaints: {self.faults}; error: {await self.error()}"

    async def error(self) -> Any:
        return await self.js("document.getElementById('error')?.textContent")

    async def text(self, selector: str) -> str:
        return str(await self.js(f"document.querySelector({json.dumps(selector)}).textContent.trim()"))

    async def click(self, selector: str) -> None:
        """A click of the mouse where the element is, once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.until(found)
        await self.js(f"{found}.scrollIntoView({{block: 'center'}})")
        x, y = await self.js(f"(() => {{ const b = {found}.getBoundingClientRect(); "
                             "return [b.x + b.width / 2, b.y + b.height / 2]; })()")  # fmt: skip
        await self.press(x, y)

    async def choose(self, selector: str, value: str) -> None:
        """Choose in a list, as its owner would."""
        await self.js(
            f"(() => {{ const list = document.querySelector({json.dumps(selector)}); list.value = {json.dumps(value)}; "
            "for (const kind of ['input', 'change']) list.dispatchEvent(new Event(kind, { bubbles: true })); })()"
        )


OpenTab = Callable[[str], AbstractAsyncContextManager[Tab]]
