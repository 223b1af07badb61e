"""The presets' part of the server."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from realtime.pipeline.presets import Presets
from realtime.settings import Settings
from realtime.web.answers import Refused, read_words


class PresetRoutes:
    """Save, use and remove settings by name. Runs on the panel's loop."""

    def __init__(
        self,
        presets: Presets,
        report: Callable[[], dict[str, Any]],
        get_settings: Callable[[], Settings],
        change: Callable[[dict[str, Any]], object],
    ) -> None:
        self._presets, self._report, self._get, self._change = presets, report, get_settings, change

    def routes(self) -> list[web.RouteDef]:
        """What this part answers."""
        return [web.get("/api/presets", self._list), web.post("/api/presets", self._do)]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self._presets.names))

    async def _do(self, request: web.Request) -> web.StreamResponse:
        """`do` is save, use or remove; answers with the names there are then."""
        do, name = await read_words(request, "do", "name")
        if do == "save":
            now = self._get()
            worn = now.model_copy(update={"model": now.model or self._report().get("model")})
            await asyncio.to_thread(self._presets.save, name, worn)
        elif do == "use":
            change = await asyncio.to_thread(self._presets.change, name)
            await asyncio.to_thread(self._change, change)
        elif do == "remove":
            await asyncio.to_thread(self._presets.remove, name)
        else:
            raise Refused(400, "a preset can be saved, used or removed")
        return web.json_response(await asyncio.to_thread(self._presets.names))
