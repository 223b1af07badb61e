"""The devices' part of the server: where pictures and the voice come from, and whether calls see them."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from realtime.web.answers import Refused, read_words
from realtime.web.live_devices import LiveDevices


class DeviceRoutes:
    """Runs on the panel's loop. `devices` gives those of the run, None where it has none to choose."""

    def __init__(self, devices: Callable[[], LiveDevices | None]) -> None:
        self._devices = devices

    def routes(self) -> list[web.RouteDef]:
        """What this part answers."""
        return [
            web.get("/api/devices", self._list),
            web.post("/api/source", self._choose),
            web.post("/api/camera", self._switch),
            web.post("/api/microphone", self._listen),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self._made().listed))

    async def _choose(self, request: web.Request) -> web.StreamResponse:
        source, size = await read_words(request, "source", "size")
        await asyncio.to_thread(self._made().choose, source, size)
        return web.json_response({})

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        """`do` is on or off."""
        (do,) = await read_words(request, "do")
        if do not in ("on", "off"):
            raise Refused(400, "the camera can be switched on or off")
        self._made().switch_camera(do == "on")
        return web.json_response({})

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        (name,) = await read_words(request, "name")
        await asyncio.to_thread(self._made().choose_microphone, name)
        return web.json_response({})

    def _made(self) -> LiveDevices:
        devices = self._devices()
        if devices is None:
            raise Refused(409, "this run's devices are fixed: start it with --output page")
        return devices
