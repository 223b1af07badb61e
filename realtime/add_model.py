"""Adding a bundle of the user's own, and removing one. It is on the shelf whole or not at all."""

import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from realtime.bundle import MAX_FILE_BYTES, PREVIEW_FILE, Bundle, hash_file, open_bundle
from realtime.card import CARD_FILE, FaceTypeName, bundle_name, printable, unprintable
from realtime.card_file import parse_card, write_toml
from realtime.errors import ConfigError, DeviceError
from realtime.sessions import Session
from realtime.shelf import built_in_folder, bundle_folders, load_bundle, unknown_model, user_folder
from realtime.swap.dfm import DfmFacts, inspect_dfm

_UNFINISHED = ".unfinished-"
_STALE_S = 24 * 3600
# Beside the files of the card: what people keep with a bundle.
_COMPANIONS = (PREVIEW_FILE, "README.md", "NOTICE.txt", "LICENSE.txt", "LICENSE")
_COMPANION_BYTES = 16 << 20


def add(
    path: Path,
    *,
    name: str | None = None,
    identity: str | None = None,
    statement: str | None = None,
    face_type: str | None = None,
) -> Bundle:
    """`add_folder` for a bundle's folder, else `add_file`. Raises ConfigError, ModelError, DeviceError."""
    if not path.is_dir():
        return add_file(path, name=name, identity=identity, statement=statement, face_type=face_type or "whole_face")
    if any((name, identity, statement, face_type)):
        raise ConfigError(f"{printable(path)} is a bundle and brings its own card: give its folder only")
    return add_folder(path)


def add_file(
    file: Path,
    *,
    name: str | None = None,
    identity: str | None,
    statement: str | None,
    face_type: str = "whole_face",
    title: str | None = None,
    licence: str | None = None,
    inspect: Callable[[Path], DfmFacts] | None = None,
) -> Bundle:
    """Make a bundle of the user's own from a .dfm, and record whose face it is.

    `identity` is `self`, `consented` or `synthetic`; `statement` says in one line who it is and how they
    agreed: both must be given. A .dfm does not record its `face_type`; DeepFaceLab's are mostly
    `whole_face`. `inspect` stands in for running the network once. Raises ConfigError for the arguments,
    ModelError for the file, DeviceError where it cannot be stored; then nothing is left behind.
    """
    if identity not in ("self", "consented", "synthetic"):
        given = f", not {printable(identity, 40)}" if identity else ""
        raise ConfigError(f"say whose face it is: --identity self, consented or synthetic{given}")
    statement = _line("--statement", statement, "say in one line who it is and how they agreed")
    if face_type not in get_args(FaceTypeName):
        allowed = ", ".join(get_args(FaceTypeName))
        raise ConfigError(f"--face-type {printable(face_type, 40)} is none of {allowed}: choose what it was trained on")
    _check_readable(file)
    chosen = _free_name(name or _name_from(file.stem))
    with _whole_or_nothing(chosen) as unfinished:
        copy = unfinished / f"{chosen}.dfm"
        shutil.copyfile(file, copy)
        facts = (inspect or _inspect)(copy)
        card = write_toml(
            {
                "schema": 1,
                "name": chosen,
                "title": _line("--title", title or _title_from(name or file.stem), "give a title", 80),
                "family": "swap",
                "licence": _line("--licence", licence or "unknown", "name a licence"),
                "identity": {"kind": identity, "statement": statement},
                "files": {copy.name: hash_file(copy)},
                "input": {
                    "size": facts.size,
                    "face_type": face_type,
                    "colour": "BGR",
                    "layout": "NHWC",
                    "range": "0..1",
                    "morph": facts.morph,
                },
                "training": {"source": printable(file.name, 120)},
            }
        ).encode()
        parse_card(card, unfinished)
        (unfinished / CARD_FILE).write_bytes(card)
    return load_bundle(chosen)


def add_folder(folder: Path) -> Bundle:
    """Copy a bundle's folder among the user's own, under the name in its card. Raises as `add_file`."""
    bundle = open_bundle(folder)
    _free_name(bundle.name)
    with _whole_or_nothing(bundle.name) as unfinished:
        for file in (CARD_FILE, *bundle.card.files):
            shutil.copyfile(bundle.folder / file, unfinished / file)
        for file in _COMPANIONS:
            source = bundle.folder / file
            wanted = file not in bundle.card.files and source.is_file() and not source.is_symlink()
            if wanted and source.stat().st_size <= _COMPANION_BYTES:
                shutil.copyfile(source, unfinished / file)
        open_bundle(unfinished)  # what was copied counts, not what was there a moment ago
    return load_bundle(bundle.name)


def remove(name: str) -> None:
    """Delete one of the user's own bundles, broken ones too.

    Raises ConfigError for a built-in one, ModelError for a name that no bundle has.
    """
    shelf = user_folder()
    folder = next((f for f in bundle_folders() if f.name == name and f.parent == shelf), None)
    if folder is None:
        if any(f.name == name and f.parent == built_in_folder() for f in bundle_folders()):
            raise ConfigError(f"{name} comes with masquerade: only your own bundles can be removed")
        raise unknown_model(name)
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        gone = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=shelf))
        folder.rename(gone / name)  # at once and whole; deleting may take a while
        shutil.rmtree(gone)
    except OSError as error:
        raise _storage_error(f"{name} cannot be removed from", shelf, error) from error


@contextmanager
def _whole_or_nothing(name: str) -> Iterator[Path]:
    """A folder to fill; it becomes the bundle `name` if the block ends well, and vanishes if it does not."""
    shelf = user_folder()
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        for old in shelf.glob(f"{_UNFINISHED}*"):  # left by a killed program
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=shelf))
    except OSError as error:
        raise _storage_error(f"{name} cannot be stored in", shelf, error) from error
    try:
        yield unfinished
        for file in unfinished.iterdir():
            with file.open("rb+") as written:  # a full disk may show only here
                os.fsync(written.fileno())
        unfinished.chmod(0o755)
        unfinished.rename(shelf / name)
    except OSError as error:
        raise _storage_error(f"{name} cannot be stored in", shelf, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _storage_error(what: str, shelf: Path, error: OSError) -> DeviceError:
    why = error.strerror or type(error).__name__
    return DeviceError(f"{what} {printable(shelf)} ({why}): make room there, or set MASQUERADE_HOME to another folder")


def _inspect(file: Path) -> DfmFacts:
    from realtime.sessions.ort import open_session  # loads the runtime: only where a file is added

    def on_cpu(model: Path) -> Session:
        return open_session(model, provider="cpu", precision="fp32")

    return inspect_dfm(file, on_cpu)


def _check_readable(file: Path) -> None:
    if file.suffix.lower() != ".dfm":
        raise ConfigError(f"{printable(file)} is neither a .dfm nor a bundle's folder: give one of these")
    if not file.is_file():
        raise ConfigError(f"there is no file {printable(file)}: check the path")
    try:
        with file.open("rb") as opened:
            empty = not opened.read(1)
    except OSError as error:
        raise ConfigError(f"{printable(file)} cannot be read ({error.strerror}): check its permissions") from error
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError(f"{printable(file)} is larger than 2 GiB, which no .dfm is: give another file")
    if empty:
        raise ConfigError(f"{printable(file)} is empty: get the file again")


def _free_name(name: str) -> str:
    try:
        bundle_name(name)
    except ValueError as error:
        raise ConfigError(
            f"{printable(name, 80)!r} cannot be a bundle's name ({error}): give another --name"
        ) from error
    taken = {folder.name for folder in bundle_folders()}
    if name in taken or os.path.lexists(user_folder() / name):
        raise ConfigError(f"there is a bundle {name} already: give another --name, or remove it first")
    return name


def _name_from(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:64].rstrip("-._")
    if not name:
        raise ConfigError(f"no name can be made of {printable(stem, 80)!r}: give one with --name")
    return name


def _title_from(stem: str) -> str:
    return printable(re.sub(r"[_\s]+", " ", stem).strip(), 80)


def _line(option: str, text: str | None, do: str, limit: int = 500) -> str:
    if text is None or not text.strip():
        raise ConfigError(f"{option} is missing: {do}")
    odd = unprintable(text.strip())
    if odd or len(text) > limit:
        raise ConfigError(f"{option} {f'holds the character {odd}' if odd else 'is longer than {limit} letters'}: {do}")
    return text.strip()
