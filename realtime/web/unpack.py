"""A bundle that came as a .zip, as the folder it was made of."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from realtime.errors import ConfigError
from realtime.models.bundle import MAX_FILE_BYTES
from realtime.models.card import CARD_FILE, plain_file
from realtime.text import printable

MOST_FILES = 80
_CHUNK = 1 << 20
_ODD = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What systems put into archives unasked."""


def unpack(archive: Path, folder: Path, *, most_bytes: int = MAX_FILE_BYTES) -> None:
    """Write the files of a bundle's .zip into `folder`, which is empty.

    They lie at the top of the archive or in one folder in it, and have plain names: no path in an archive becomes one
    on the disk. Raises ConfigError for anything else, for links, for what is encrypted, and for more than
    `most_bytes`, whatever sizes the archive claims.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            left = most_bytes
            for name, entry in _files(opened).items():
                left -= _write(opened, entry, folder / name, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ConfigError(f"the .zip cannot be read ({printable(error, 80)}): pack its folder again") from error


def _files(opened: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    homes: set[str] = set()
    for entry in opened.infolist():
        path = PurePosixPath(entry.filename)
        if entry.is_dir() or any(part in _ODD for part in path.parts):
            continue
        name = path.name
        if name != CARD_FILE:
            try:
                plain_file(name)
            except ValueError as error:
                raise ConfigError(f"the .zip holds {printable(entry.filename, 60)!r}: {error}") from error
        homes.add(str(path.parent))
        if len(path.parts) > 2 or len(homes) > 1 or ".." in path.parts or name in found:
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
    with opened.open(entry) as source, target.open("xb") as file:
        while block := source.read(_CHUNK):
            written += len(block)
            if written > most:
                raise ConfigError("the .zip unpacks to more than 2 GiB, which no bundle needs")
            file.write(block)
    return written
