"""The gallery's part of the server: see what can be worn, add to it, remove from it."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from realtime.models.library import AVATARS, BUNDLES
from realtime.web.answers import Refused, read_words
from realtime.web.gallery import gallery, preview
from realtime.web.incoming import body
from realtime.web.upload import Offer, receive


class GalleryRoutes:
    """Runs on the panel's loop; what reads files runs beside it. `report` says what is worn."""

    def __init__(self, report: Callable[[], dict[str, Any]]) -> None:
        self._report = report
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What this part answers."""
        return [
            web.get("/api/gallery", self._list),
            web.get("/api/preview/{kind}/{name}", self._preview),
            web.post("/api/add", self._add),
            web.post("/api/remove", self._remove),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(gallery))

    async def _preview(self, request: web.Request) -> web.StreamResponse:
        jpeg = await asyncio.to_thread(preview, request.match_info["kind"], request.match_info["name"])
        if jpeg is None:
            raise Refused(404, "there is no such preview")
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _add(self, request: web.Request) -> web.StreamResponse:
        """The file is the body, as it is; what is said of it stands in the query."""
        if request.content_type != "application/octet-stream":
            raise Refused(415, "send application/octet-stream")
        said = request.query
        offer = Offer(
            kind=said.get("kind", ""),
            title=said.get("title", "").strip(),
            identity=said.get("identity") or None,
            statement=said.get("statement") or None,
            licence=said.get("licence") or None,
            face_type=said.get("face_type", "whole_face"),
        )
        if self._one_at_a_time.locked():
            raise Refused(429, "another file is being added: wait for it")
        async with self._one_at_a_time:
            kind, name = await receive(offer, request.content_length, body(request))
        return web.json_response({"kind": kind, "name": name})

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        kind, name = await read_words(request, "kind", "name")
        report = self._report()
        if kind == "model":
            if name == report.get("model"):
                raise Refused(409, "you are wearing it: choose another one first")
            await asyncio.to_thread(BUNDLES.remove, name)
        elif kind == "avatar":
            if report.get("family") != "swap" and name == report.get("avatar"):
                raise Refused(409, "you are wearing it: choose another one first")
            await asyncio.to_thread(AVATARS.remove, name)
        else:
            raise Refused(400, "the kind is model or avatar")
        return web.json_response({})
