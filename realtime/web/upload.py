"""Files sent to the page: stored within limits, unpacked, then added as the command would add them."""

import asyncio
import re
import shutil
import stat
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, Final

from aiohttp import ClientPayloadError, web

from realtime.capture.picture import FORMATS, open_picture
from realtime.errors import ConfigError, DeviceError, MasqueradeError
from realtime.families.face_swap.dfm import inspect_dfm
from realtime.families.figure.drawing import still
from realtime.home import private_dir, private_opener, user_home
from realtime.inference.file_kind import ZIP_ERRORS, open_zip
from realtime.models.atomic_dir import storage_error
from realtime.models.bundle import MAX_FILE_BYTES
from realtime.models.card import CARD_FILE, has_identity, name_from, plain_file, read_card_text, require_consent
from realtime.models.figure_import import add_figure
from realtime.models.flat_figure import add_picture
from realtime.models.layered_art import is_layered_art
from realtime.models.library import add_file, add_folder
from realtime.text import printable
from realtime.web.auth import Refused

LIMITS: Final = {"picture": 64 << 20, "dfm": MAX_FILE_BYTES, "bundle": MAX_FILE_BYTES}
"""Bytes of each kind of file."""

SILENCE_S = 20.0
"""A sender that sends nothing for so long has gone."""

SPARE_BYTES = 1 << 30
"""What stays free on the disk: others need it too."""

MOST_FILES = 80
_CHUNK = 256 * 1024
_LOOK_BYTES = 16 << 20
_INCOMING = ".incoming-"
_STALE_S = 24 * 3600
_UNASKED = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What systems put into archives."""

ADDING: web.AppKey[asyncio.Lock] = web.AppKey("adding", asyncio.Lock)
routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Offer:
    """What the page says of a file: its kind, its title, whose face it shows and who says so.

    `figure`: `yes` for a picture of a whole figure.
    """

    kind: str = ""
    title: str = ""
    identity: str | None = None
    statement: str | None = None
    licence: str | None = None
    face_type: str = "whole_face"
    figure: str = ""


@routes.post("/api/add")
async def _add(request: web.Request) -> web.StreamResponse:
    """The file is the body, as it is; what is said of it stands in the query."""
    known = [field.name for field in fields(Offer)]
    offer = Offer(**{key: value.strip() for key, value in request.query.items() if value and key in known})
    async with one_upload(request, ADDING):
        kind, name = await receive(offer, request.content_length, body(request))
    return web.json_response({"kind": kind, "name": name})


@asynccontextmanager
async def one_upload(request: web.Request, key: web.AppKey[asyncio.Lock]) -> AsyncIterator[None]:
    """Holds the lock for a file that is sent. Raises Refused for any other body, or where it is held."""
    if request.content_type != "application/octet-stream":
        raise Refused(415, "send application/octet-stream")
    if request.app[key].locked():
        raise Refused(429, "another file is being sent: wait for it")
    async with request.app[key]:
        yield


async def receive(
    offer: Offer, length: int | None, chunks: AsyncIterator[bytes], *, spare_bytes: int = SPARE_BYTES
) -> tuple[str, str]:
    """Add a file; gives (`model` or `avatar`, its name). Nothing is left behind where it fails.

    `length` is what the sender claims; `spare_bytes` stay free on the disk. Raises Refused, MasqueradeError.
    """
    if offer.kind not in LIMITS:
        raise Refused(400, f"a file is one of {', '.join(LIMITS)}")
    if offer.kind != "bundle" or offer.identity or offer.statement:
        require_consent(offer.identity, offer.statement)
    name_from(offer.title)
    limit = LIMITS[offer.kind]
    too_large = f"the file is larger than {limit >> 20} MiB, which no {offer.kind} needs to be"
    file = await store(chunks, length, limit, too_large, copies=2, spare_bytes=spare_bytes)
    try:
        return await asyncio.to_thread(_take_in, offer, file)
    except OSError as error:
        raise _no_room(error) from error
    finally:
        shutil.rmtree(file.parent, ignore_errors=True)


def _take_in(offer: Offer, file: Path) -> tuple[str, str]:
    owner: dict[str, Any] = {"identity": offer.identity, "statement": offer.statement}
    try:
        if offer.kind == "bundle":
            unpacked = file.with_name("bundle")
            unpacked.mkdir()
            unpack(file, unpacked)
            stated = has_identity(read_card_text(unpacked), unpacked)
            return "model", add_folder(unpacked, **({} if stated else owner)).name
        named: dict[str, Any] = {"name": name_from(offer.title), "title": offer.title, "licence": offer.licence}
        if offer.kind == "dfm":
            dfm = file.rename(f"{file}.dfm")
            return "model", add_file(dfm, inspect=inspect_dfm, face_type=offer.face_type, **owner, **named).name
        if is_layered_art(file):
            art = file.rename(file.with_name("picture.art"))
            return "avatar", add_figure(art, preview=still, **owner, **named).name
        picture = file.rename(file.with_name(f"picture.{check_picture(file, offer.title)}"))
        avatar, _ = add_picture(picture, preview=still, figure=offer.figure == "yes", **owner, **named)
        return "avatar", avatar.name
    except MasqueradeError as error:
        # Their lines name the file, which here has a name of ours: the user's says more.
        said = str(error).replace(str(file.parent), "")
        said = re.sub(r"/(file\.dfm|picture\.\w+)", lambda _: offer.title, said)
        raise ConfigError(printable(said.replace("--name", "another name"), 400)) from error


def check_picture(file: Path, title: str) -> str:
    """The suffix of a picture's format, by its header. `title` names it in the ConfigError raised."""
    try:
        with open_picture(file) as picture:
            return FORMATS[picture.format or ""]
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(file), printable(title, 60))) from error


async def store(
    chunks: AsyncIterator[bytes],
    length: int | None,
    limit: int,
    too_large: str,
    *,
    copies: int = 1,
    spare_bytes: int = SPARE_BYTES,
) -> Path:
    """Write what comes into a file alone in a new folder beside the user's models; nothing is left where that fails.

    The disk must have room for `copies` of the claimed `length`, and keep `spare_bytes`. Refused with `too_large` past
    `limit` bytes, whatever was claimed. Clears away what a killed program left a day ago. Raises Refused, DeviceError.
    """
    if (length or 0) > limit:
        raise Refused(413, too_large)
    home, needed = user_home(), copies * (length or 0) + spare_bytes
    try:
        private_dir(home)
        for old in home.glob(f"{_INCOMING}*"):
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
        if shutil.disk_usage(home).free < needed:
            raise DeviceError(f"there is no room, {needed >> 20} MiB are needed: free some space on the disk")
        file = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=home)) / "file"
    except OSError as error:
        raise _no_room(error) from error
    try:
        await write_limited(chunks, file, limit, too_large, spare_bytes=spare_bytes)
    except BaseException:
        shutil.rmtree(file.parent, ignore_errors=True)
        raise
    return file


async def write_limited(
    chunks: AsyncIterator[bytes], file: Path, limit: int, too_large: str, *, spare_bytes: int
) -> None:
    """Write what comes into `file`, which is new, while the disk keeps `spare_bytes`. Raises as `store`."""
    held, looked = 0, 0
    try:
        with open(file, "xb", opener=private_opener) as opened:
            while block := await _next(chunks):
                held += len(block)
                if held > limit:
                    raise Refused(413, too_large)
                opened.write(block)
                if held - looked >= _LOOK_BYTES:
                    looked = held
                    if shutil.disk_usage(file.parent).free < spare_bytes:
                        raise DeviceError("the disk is nearly full, so the file was not taken: free some space")
    except OSError as error:
        raise _no_room(error) from error
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


def _no_room(error: OSError) -> DeviceError:
    return storage_error("the file cannot be stored in", user_home(), error, "make room there")


def unpack(archive: Path, folder: Path, *, most_bytes: int = MAX_FILE_BYTES) -> None:
    """Write the files of a bundle's .zip into `folder`, which is empty.

    They lie at the top of the archive or in one folder in it, and have plain names. Raises ConfigError for anything
    else, for links, for what is encrypted, and for more than `most_bytes`, whatever sizes the archive claims.
    """
    try:
        with open_zip(archive) as opened:
            left = most_bytes
            for name, entry in _entries(opened).items():
                left -= _write(opened, entry, folder / name, left)
    except ZIP_ERRORS as error:
        raise ConfigError(f"the .zip cannot be read ({printable(error, 80)}): pack its folder again") from error


def _entries(opened: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    parents: set[str] = set()
    for entry in opened.infolist():
        path = PurePosixPath(entry.filename)
        if entry.is_dir() or any(part in _UNASKED for part in path.parts):
            continue
        name = path.name
        if name != CARD_FILE:
            try:
                plain_file(name)
            except ValueError as error:
                raise ConfigError(f"the .zip holds {printable(entry.filename, 60)!r}: {error}") from error
        parents.add(str(path.parent))
        if len(path.parts) > 2 or len(parents) > 1 or ".." in path.parts or name in found:
            raise ConfigError("the .zip holds more than one folder: pack the bundle's folder alone")
        if stat.S_ISLNK(entry.external_attr >> 16) or entry.flag_bits & 1:
            raise ConfigError(f"the .zip holds {printable(name, 60)} as a link or encrypted: pack plain files")
        found[name] = entry
        if len(found) > MOST_FILES:
            raise ConfigError(f"the .zip holds more than {MOST_FILES} files, which no bundle has")
    if CARD_FILE not in found:
        raise ConfigError(f"the .zip holds no {CARD_FILE}: pack a bundle's folder (masquerade models show NAME)")
    return found


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int) -> int:
    """Gives the bytes written, which are counted here: an archive may claim any size."""
    written = 0
    with opened.open(entry) as source, open(target, "xb", opener=private_opener) as file:
        while block := source.read(1 << 20):
            written += len(block)
            if written > most:
                raise ConfigError("the .zip unpacks to more than 2 GiB, which no bundle needs")
            file.write(block)
    return written
