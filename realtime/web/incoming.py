"""Room for what a page sends: a folder of our own making, and a file in it that never grows past its limit."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientPayloadError, web

from realtime.errors import DeviceError
from realtime.models.library import user_home
from realtime.web.answers import Refused

SILENCE_S = 20.0
"""A sender that says nothing for so long has gone."""

SPARE_BYTES = 1 << 30
"""What stays free on the disk: others need it too."""

_CHUNK = 256 * 1024
_LOOK_BYTES = 16 << 20
_INCOMING = ".incoming-"
_STALE_S = 24 * 3600


def incoming_folder(needed: int) -> Path:
    """An empty folder beside the shelves, on a disk that has `needed` bytes free.

    Those that a killed program left a day ago are cleared away. Raises DeviceError.
    """
    home = user_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        for old in home.glob(f"{_INCOMING}*"):
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
        if shutil.disk_usage(home).free < needed:
            raise DeviceError(f"there is no room, {needed >> 20} MiB are needed: free some space on the disk")
        return Path(tempfile.mkdtemp(prefix=_INCOMING, dir=home))
    except OSError as error:
        raise _full(error) from error


async def store(
    chunks: AsyncIterator[bytes], file: Path, limit: int, too_large: Refused, *, spare_bytes: int = SPARE_BYTES
) -> None:
    """Write what comes into `file`, which is new; `spare_bytes` stay free, whatever size the sender claimed.

    Raises `too_large` past `limit` bytes, Refused, DeviceError.
    """
    held, looked = 0, 0
    try:
        with file.open("xb") as opened:
            while block := await _next(chunks):
                held += len(block)
                if held > limit:
                    raise too_large
                opened.write(block)
                if held - looked >= _LOOK_BYTES:
                    looked = held
                    if shutil.disk_usage(file.parent).free < spare_bytes:
                        raise DeviceError("the disk is nearly full, so the file was not taken: free some space")
    except OSError as error:
        raise _full(error) from error
    if held == 0:
        raise Refused(400, "the file is empty")


async def body(request: web.Request) -> AsyncIterator[bytes]:
    """A request's body as it comes. Raises Refused where the sender leaves in the middle."""
    try:
        async for chunk in request.content.iter_chunked(_CHUNK):
            yield chunk
    except (ClientPayloadError, web.RequestPayloadError, ConnectionError) as error:
        raise Refused(400, "the file did not come whole") from error


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await anext(chunks, b"")
    except TimeoutError as error:
        raise Refused(408, f"nothing came for {SILENCE_S:g} seconds: try again") from error


def _full(error: OSError) -> DeviceError:
    return DeviceError(f"the file cannot be stored ({error.strerror or error}): make room on the disk")
