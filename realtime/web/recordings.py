"""Snapshots and recordings: made, listed, played and fetched."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from realtime.frame import Pixels
from realtime.output.recorder import Recorder
from realtime.web.auth import AUTH, Refused, read_strings
from realtime.web.controls import controls
from realtime.web.preview import PREVIEW

_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    '"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
)
"""Says in a snapshot that it is partly the work of a trained model: IPTC's term, as in recordings."""

RECORDING: web.AppKey[asyncio.Lock] = web.AppKey("recording", asyncio.Lock)
routes = web.RouteTableDef()


def listed(request: web.Request, files: Sequence[Path], most: int = 200) -> list[dict[str, Any]]:
    """Names, sizes, and the tickets that open the files at the request's own path."""
    ticket = request.app[AUTH].ticket
    return [
        {"name": file.name, "bytes": file.stat().st_size, "ticket": ticket(f"{request.path}/{file.name}")}
        for file in files[:most]
    ]


def listed_file(request: web.Request, files: Sequence[Path]) -> web.FileResponse:
    """The one of `files`, .mp4, that the address names, whole or in part. Raises Refused."""
    name = request.match_info["name"]
    file = next((file for file in files if file.name == name), None)
    if file is None:
        raise Refused(404, "there is no such file")
    how = "attachment" if "download" in request.query else "inline"
    headers = {"Content-Type": "video/mp4", "Content-Disposition": f'{how}; filename="{file.name}"'}
    return web.FileResponse(file, headers=headers)


def _recorder(request: web.Request) -> Recorder:
    recorder = controls(request).recorder
    if recorder is None:
        raise Refused(409, "this run cannot record: start it with --output page")
    return recorder


@routes.get("/api/snapshot")
async def _snapshot(request: web.Request) -> web.StreamResponse:
    frame = request.app[PREVIEW].newest
    if frame is None:
        raise Refused(404, "there is no picture yet")
    name = f"masquerade-{datetime.now():%Y-%m-%d-%H%M%S}.png"
    png = await asyncio.to_thread(encode_png, frame.pixels)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=png, content_type="image/png", headers=headers)


@routes.post("/api/recording")
async def _record(request: web.Request) -> web.StreamResponse:
    """`do` is start or stop; answers with the file's name."""
    recorder = _recorder(request)
    (do,) = await read_strings(request, "do")
    if do not in ("start", "stop"):
        raise Refused(400, "a recording can be started or stopped")
    async with request.app[RECORDING]:
        if do == "start":
            return web.json_response({"name": await asyncio.to_thread(recorder.start, datetime.now())})
        return web.json_response({"name": await asyncio.to_thread(recorder.stop)})


@routes.get("/api/recordings")
async def _list(request: web.Request) -> web.StreamResponse:
    recorder = controls(request).recorder
    if recorder is None:
        return web.json_response({"folder": None, "files": []})
    files = await asyncio.to_thread(lambda: listed(request, recorder.files(), 100))
    return web.json_response({"folder": str(recorder.folder), "files": files})


@routes.get("/api/recordings/{name}")
async def _file(request: web.Request) -> web.StreamResponse:
    return listed_file(request, await asyncio.to_thread(_recorder(request).files))


def encode_png(pixels: Pixels) -> bytes:
    """The picture as a PNG whose metadata say that it is synthetic."""
    xmp = np.frombuffer(_XMP.encode(), np.uint8)
    ok, png = cv2.imencodeWithMetadata(".png", pixels, [cv2.IMAGE_METADATA_XMP], [xmp])
    assert ok
    return np.asarray(png, np.uint8).tobytes()
