"""Recordings and snapshots: made, listed, played and fetched."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from realtime.frame import Frame, Pixels
from realtime.output.recorder import Recorder
from realtime.web.answers import Refused, read_words
from realtime.web.listed import listed_file

_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    '"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
)
"""What says in a snapshot that it is partly the work of a trained model: IPTC's term, as in recordings."""


class RecordingRoutes:
    """Runs on the panel's loop. `recorder` gives that of the run, None where it has none; `newest` the last picture."""

    def __init__(self, recorder: Callable[[], Recorder | None], newest: Callable[[], Frame | None]) -> None:
        self._recorder, self._newest = recorder, newest
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What this part answers."""
        return [
            web.get("/api/snapshot", self._snapshot),
            web.post("/api/recording", self._do),
            web.get("/api/recordings", self._list),
            web.get("/api/recordings/{name}", self._file),
        ]

    async def _snapshot(self, request: web.Request) -> web.StreamResponse:
        frame = self._newest()
        if frame is None:
            raise Refused(404, "there is no picture yet")
        name = f"masquerade-{datetime.now():%Y-%m-%d-%H%M%S}.png"
        png = await asyncio.to_thread(encode_png, frame.pixels)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=png, content_type="image/png", headers=headers)

    async def _do(self, request: web.Request) -> web.StreamResponse:
        """`do` is start or stop; answers with the file's name."""
        recorder = self._made()
        (do,) = await read_words(request, "do")
        if do not in ("start", "stop"):
            raise Refused(400, "a recording can be started or stopped")
        async with self._one_at_a_time:
            if do == "start":
                return web.json_response({"name": await asyncio.to_thread(recorder.start, datetime.now())})
            return web.json_response({"name": await asyncio.to_thread(recorder.stop)})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        recorder = self._recorder()
        files = await asyncio.to_thread(recorder.files) if recorder is not None else []
        listed: list[dict[str, Any]] = [{"name": file.name, "bytes": file.stat().st_size} for file in files[:100]]
        return web.json_response({"folder": str(recorder.folder) if recorder else None, "files": listed})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """A recording, to play or to keep."""
        return listed_file(request, await asyncio.to_thread(self._made().files))

    def _made(self) -> Recorder:
        recorder = self._recorder()
        if recorder is None:
            raise Refused(409, "this run cannot record: start it with --output page")
        return recorder


def encode_png(pixels: Pixels) -> bytes:
    """The picture as a PNG whose metadata say that it is synthetic."""
    xmp = np.frombuffer(_XMP.encode(), np.uint8)
    ok, png = cv2.imencodeWithMetadata(".png", pixels, [cv2.IMAGE_METADATA_XMP], [xmp])
    assert ok
    return np.asarray(png, np.uint8).tobytes()
