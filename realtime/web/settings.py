"""The server's routes for settings: read, changed, saved as presets and kept for the next run."""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from realtime.config import Settings, explain
from realtime.errors import ConfigError
from realtime.models.card import NAME_PATTERN
from realtime.pipeline.presets import Presets
from realtime.text import printable
from realtime.web.auth import Refused, read_object, read_strings
from realtime.web.controls import controls

SAVE_AFTER_S = 1.0
_BACKGROUND = re.compile(r"kept|blurred|#[0-9a-fA-F]{6}")


def changed_settings(now: Settings, change: Mapping[str, Any]) -> Settings:
    """All settings after `change`, which is taken whole or not at all. Raises ConfigError.

    A model, an avatar or a background that is a path may have been given on the command line, and stays; from the
    page only names and colours come.
    """
    try:
        wanted = Settings.model_validate({**now.model_dump(), **change}, strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, Settings)) from error
    for key in ("model", "avatar"):
        value = getattr(wanted, key)
        if value is not None and value != getattr(now, key) and not NAME_PATTERN.fullmatch(value):
            raise ConfigError(f"{key} = {printable(value, 80)!r} is not a name: choose one from the gallery")
    if wanted.background != now.background and not _BACKGROUND.fullmatch(wanted.background):
        raise ConfigError(
            f"background = {printable(wanted.background, 80)!r} is neither kept, blurred nor a colour like #336699"
        )
    return wanted


class DebouncedSave:
    """Calls `save` in a thread a moment after the last of several changes. Runs on `loop`; `touch` on any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, save: Callable[[], object]) -> None:
        self._loop, self._save = loop, save
        self._waiting: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[object] | None = None

    def touch(self) -> None:
        with suppress(RuntimeError):  # the loop ended this very moment
            self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._loop.call_later(SAVE_AFTER_S, self._start)

    def _start(self) -> None:
        self._waiting = None
        self._saving = self._loop.create_task(asyncio.to_thread(self._save))

    async def close(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._start()
        if self._saving is not None:
            await self._saving


SAVE = web.AppKey("save", DebouncedSave)
routes = web.RouteTableDef()


def _change(request: web.Request, change: dict[str, Any]) -> None:
    run = controls(request)
    before = run.get_settings()
    run.set_settings(changed_settings(before, change), before)
    request.app[SAVE].touch()


@routes.get("/api/settings")
async def _get_settings(request: web.Request) -> web.StreamResponse:
    return web.json_response(controls(request).get_settings().model_dump())


@routes.post("/api/settings")
async def _post_settings(request: web.Request) -> web.StreamResponse:
    """Change the settings named in the body, all or none; answers with all of them."""
    change = await read_object(request, "settings")
    if change.keys() & {"model", "avatar"}:
        await asyncio.to_thread(_change, request, change)  # it reads and hashes model files
    else:
        _change(request, change)
    return await _get_settings(request)


@routes.get("/api/presets")
async def _list_presets(request: web.Request) -> web.StreamResponse:
    return web.json_response(await asyncio.to_thread(Presets().names))


@routes.post("/api/presets")
async def _post_preset(request: web.Request) -> web.StreamResponse:
    """`do` is save, use or remove; answers with the names there are then."""
    do, name = await read_strings(request, "do", "name")
    if do == "save":
        now = controls(request).get_settings()
        active = now.model_copy(update={"model": now.model or controls(request).report().get("model")})
        await asyncio.to_thread(Presets().save, name, active)
    elif do == "use":
        change = await asyncio.to_thread(Presets().change, name)
        await asyncio.to_thread(_change, request, change)
    elif do == "remove":
        await asyncio.to_thread(Presets().remove, name)
    else:
        raise Refused(400, "a preset can be saved, used or removed")
    return await _list_presets(request)
