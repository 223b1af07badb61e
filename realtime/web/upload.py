"""A file that the page was given: kept within limits, then taken in as the command would take it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from realtime.errors import ConfigError, DeviceError, MasqueradeError
from realtime.families.face_swap.dfm import inspect_dfm
from realtime.models.bundle import MAX_FILE_BYTES
from realtime.models.card import has_identity, name_from, read_card_text, require_consent
from realtime.models.library import add_avatar, add_file, add_folder
from realtime.text import printable
from realtime.web.answers import Refused
from realtime.web.incoming import SPARE_BYTES, incoming_folder, store
from realtime.web.picture_header import picture_header
from realtime.web.unpack import unpack

LIMITS: Final = {"picture": 64 << 20, "dfm": MAX_FILE_BYTES, "bundle": MAX_FILE_BYTES}
"""Bytes of each kind of file."""

MOST_PIXELS = 100_000_000
"""Of a picture: larger than any camera's, and 300 MB when it is decoded."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the page says of a file: its kind, how it was called, whose face it shows and who says so."""

    kind: str
    title: str
    identity: str | None
    statement: str | None
    licence: str | None
    face_type: str

    def check(self) -> None:
        """Refuse what cannot become anything, before a byte is read. Raises Refused, ConfigError."""
        if self.kind not in LIMITS:
            raise Refused(400, f"a file is one of {', '.join(LIMITS)}")
        if self.kind != "bundle" or self.identity or self.statement:
            require_consent(self.identity, self.statement)
        name_from(self.title)


async def receive(
    offer: Offer, length: int | None, chunks: AsyncIterator[bytes], *, spare_bytes: int = SPARE_BYTES
) -> tuple[str, str]:
    """Take a file in; gives (`model` or `avatar`, its name on the shelf). Nothing is left behind where it fails.

    `length` is what the sender claims; `spare_bytes` stay free on the disk. Raises Refused, MasqueradeError.
    """
    offer.check()
    limit = LIMITS[offer.kind]
    too_large = Refused(413, f"the file is larger than {limit >> 20} MiB, which no {offer.kind} needs to be")
    if length is not None and length > limit:
        raise too_large
    # What is uploaded is there twice for a moment.
    folder = incoming_folder(2 * (length or 0) + spare_bytes)
    try:
        file = folder / "file"
        await store(chunks, file, limit, too_large, spare_bytes=spare_bytes)
        return await asyncio.to_thread(_take_in, offer, folder, file)
    except OSError as error:
        raise DeviceError(f"the file cannot be stored ({error.strerror or error}): make room on the disk") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_in(offer: Offer, folder: Path, file: Path) -> tuple[str, str]:
    try:
        if offer.kind == "picture":
            return "avatar", _picture(offer, file)
        if offer.kind == "dfm":
            return "model", _dfm(offer, file)
        return "model", _bundle(offer, file, folder)
    except MasqueradeError as error:
        # Their lines name the file, which here has a name of ours: the user's says more.
        said = str(error).replace(str(folder), "").replace("/file.dfm", offer.title)
        raise ConfigError(printable(said.replace("--name", "another name"), 400)) from error


def _picture(offer: Offer, file: Path) -> str:
    header = picture_header(file.read_bytes())
    if header is None:
        raise ConfigError(f"{printable(offer.title, 60)} is no picture: drop a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF")
    suffix, (width, height) = header
    if width * height > MOST_PIXELS:
        raise ConfigError(f"{printable(offer.title, 60)} has {width}x{height} pixels, too many: make it smaller first")
    named = file.rename(file.with_name(f"picture.{suffix}"))
    added = add_avatar(
        named,
        identity=offer.identity,
        statement=offer.statement,
        name=name_from(offer.title),
        licence=offer.licence,
        title=offer.title,
    )
    return added.card.name


def _dfm(offer: Offer, file: Path) -> str:
    return add_file(
        file.rename(file.with_suffix(".dfm")),
        inspect=inspect_dfm,
        name=name_from(offer.title),
        identity=offer.identity,
        statement=offer.statement,
        face_type=offer.face_type,
        title=offer.title,
        licence=offer.licence,
    ).name


def _bundle(offer: Offer, file: Path, folder: Path) -> str:
    unpacked = folder / "bundle"
    unpacked.mkdir()
    unpack(file, unpacked)
    if has_identity(read_card_text(unpacked), unpacked):
        return add_folder(unpacked).name
    return add_folder(unpacked, identity=offer.identity, statement=offer.statement).name
