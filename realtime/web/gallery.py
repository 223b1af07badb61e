"""The server's routes for the gallery: the identities and avatars of this machine, with small pictures of them."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from aiohttp import web

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError
from realtime.families import IDENTITIES
from realtime.imaging.resize import scaled_into
from realtime.models.avatar import OPAQUE, StoredAvatar
from realtime.models.bundle import Bundle
from realtime.models.flat_figure import CUT_OUT
from realtime.models.library import AVATARS, BUNDLES, Broken, Library
from realtime.web.auth import AUTH, Refused, read_strings
from realtime.web.controls import controls

PREVIEW_PX = 320
"""A preview's longer side: sharp on screens of double density."""

LIBRARIES: Final[Mapping[str, Library[Any]]] = {"model": BUNDLES, "avatar": AVATARS}
routes = web.RouteTableDef()


def gallery() -> list[dict[str, Any]]:
    """Identities and avatars, each: `kind`, `name`, `title`, `family`, `licence`, `whose`, `statement`, `own`,
    `preview` (True where there is one), `joints` (True where they can be moved on the page) and `broken`, which is
    None or the reason why it cannot be used.

    Reads and hashes files: not for a thread that others wait for.
    """
    bundles = [_entry("model", item, item.folder.parent == BUNDLES.own) for item in BUNDLES.entries()]
    avatars = [_entry("avatar", item, item.folder.parent == AVATARS.own) for item in AVATARS.entries()]
    return [entry for entry in bundles if entry["family"] in IDENTITIES or entry["broken"]] + avatars


def _entry(kind: str, item: Bundle | StoredAvatar | Broken, own: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": kind, "own": own, "broken": None, "preview": False, "joints": False}
    if isinstance(item, Broken):
        unknown = dict.fromkeys(("family", "licence", "whose", "statement"), "")
        return entry | unknown | {"name": item.name, "title": item.name, "broken": item.reason}
    card = item.card
    return entry | {
        "name": card.name,
        "title": card.title,
        "family": item.card.family if isinstance(item, Bundle) else "figure" if item.is_figure else "picture",
        "licence": card.licence,
        "whose": card.identity.kind,
        "statement": card.identity.statement,
        "preview": _picture(item) is not None,
        "joints": own and isinstance(item, StoredAvatar) and (not item.is_figure or CUT_OUT in item.card.figure),
    }


def _picture(item: Bundle | StoredAvatar) -> Path | None:
    return item.preview if isinstance(item, Bundle) else item.picture


def preview(kind: str, name: str) -> tuple[bytes, str] | None:
    """A small picture of that identity or avatar and its media type, None where there is none.

    `name` never becomes part of a path.
    """
    items: Sequence[Bundle | StoredAvatar | Broken] = LIBRARIES[kind].entries() if kind in LIBRARIES else ()
    files = (_picture(item) for item in items if not isinstance(item, Broken) and item.card.name == name)
    file = next(files, None)
    if file is None:
        return None
    try:
        found = file.stat()
        return _small(file, found.st_mtime_ns, found.st_size)
    except (OSError, ConfigError):  # gone meanwhile, or no picture after all: a gallery shows a blank
        return None


@lru_cache(maxsize=256)
def _small(file: Path, mtime_ns: int, size: int) -> tuple[bytes, str]:
    """JPEG, or WebP for what is transparent. `mtime_ns` and `size` tell a changed file from the one before."""
    image = decode_picture(file)
    width, height = image.shape[1], image.shape[0]
    small = (
        scaled_into((width, height), (PREVIEW_PX, PREVIEW_PX)) if max(width, height) > PREVIEW_PX else (width, height)
    )
    if image.shape[2] == 4 and int(image[..., 3].min()) < OPAQUE:
        alpha = image[..., 3:].astype(np.float32) / 255
        premultiplied = np.dstack([image[..., :3] * alpha, alpha]).astype(np.float32)
        less = np.asarray(cv2.resize(premultiplied, small, interpolation=cv2.INTER_AREA))
        colour = less[..., :3] / np.maximum(less[..., 3:], 1 / 255)
        pixels = np.clip(np.rint(np.dstack([colour, less[..., 3:] * 255])), 0, 255).astype(np.uint8)
        ok, encoded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 85])
        assert ok
        return encoded.tobytes(), "image/webp"
    pixels = np.asarray(cv2.resize(np.ascontiguousarray(image[..., :3]), small, interpolation=cv2.INTER_AREA), np.uint8)
    ok, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert ok
    return encoded.tobytes(), "image/jpeg"


@routes.get("/api/gallery")
async def _list(request: web.Request) -> web.StreamResponse:
    """Each with the ticket that opens its preview."""
    ticket = request.app[AUTH].ticket
    entries = await asyncio.to_thread(gallery)
    return web.json_response(
        [entry | {"ticket": ticket(f"/api/preview/{entry['kind']}/{entry['name']}")} for entry in entries]
    )


@routes.get("/api/preview/{kind}/{name}")
async def _preview(request: web.Request) -> web.StreamResponse:
    found = await asyncio.to_thread(preview, request.match_info["kind"], request.match_info["name"])
    if found is None:
        raise Refused(404, "there is no such preview")
    return web.Response(body=found[0], content_type=found[1])


@routes.post("/api/remove")
async def _remove(request: web.Request) -> web.StreamResponse:
    kind, name = await read_strings(request, "kind", "name")
    if kind not in LIBRARIES:
        raise Refused(400, "the kind is model or avatar")
    report = controls(request).report()
    if name == report.get(kind) and (kind == "model" or report.get("family") != "swap"):
        raise Refused(409, "it is in use: choose another one first")
    await asyncio.to_thread(LIBRARIES[kind].remove, name)
    return web.json_response({})
