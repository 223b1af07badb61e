"""Adding a bundle of the user's own, and removing one. It is on the shelf whole or not at all."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from realtime.errors import ConfigError
from realtime.families.face_swap.dfm import DfmFacts, inspect_dfm
from realtime.inference.session import Session
from realtime.models.atomic_dir import UNFINISHED, storage_error, whole_folder
from realtime.models.bundle import MAX_FILE_BYTES, PREVIEW_FILE, Bundle, hash_file, open_bundle
from realtime.models.card import CARD_FILE, FaceTypeName, bundle_name
from realtime.models.card_file import parse_card, read_card_text, says_whose, write_toml
from realtime.models.library import built_in_folder, bundle_folders, load_bundle, unknown_model, user_folder
from realtime.models.naming import name_from, stated, title_from
from realtime.text import printable

MAKE_ROOM = "make room there, or set MASQUERADE_HOME to another folder"
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
    if name or face_type:
        raise ConfigError(f"{printable(path)} is a bundle and brings its own card: give its folder without those")
    return add_folder(path, identity=identity, statement=statement)


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
    kind, statement = whose(identity, statement)
    if face_type not in get_args(FaceTypeName):
        allowed = ", ".join(get_args(FaceTypeName))
        raise ConfigError(f"--face-type {printable(face_type, 40)} is none of {allowed}: choose what it was trained on")
    _check_readable(file)
    chosen = _free_name(name or name_from(file.stem))
    with _whole_or_nothing(chosen) as unfinished:
        copy = unfinished / f"{chosen}.dfm"
        shutil.copyfile(file, copy)
        facts = (inspect or _inspect)(copy)
        card = write_toml(
            {
                "schema": 1,
                "name": chosen,
                "title": stated("--title", title or title_from(name or file.stem), "give a title", 80),
                "family": "swap",
                "licence": stated("--licence", licence or "unknown", "name a licence"),
                "identity": {"kind": kind, "statement": statement},
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


def add_folder(folder: Path, *, identity: str | None = None, statement: str | None = None) -> Bundle:
    """Copy a bundle's folder among the user's own, under the name in its card.

    `identity` and `statement`, as of `add_file`, complete a card that does not say whose face it is; `export`
    writes such cards for foreign checkpoints. Raises as `add_file`, and where the card says it already.
    """
    card = _completed(folder, identity, statement) if identity or statement else None
    bundle = open_bundle(folder, card)
    _free_name(bundle.name)
    with _whole_or_nothing(bundle.name) as unfinished:
        for file in bundle.card.files:
            shutil.copyfile(bundle.folder / file, unfinished / file)
        if card is None:
            shutil.copyfile(bundle.folder / CARD_FILE, unfinished / CARD_FILE)
        else:
            (unfinished / CARD_FILE).write_bytes(card)
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
        gone = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=shelf))
        folder.rename(gone / name)  # at once and whole; deleting may take a while
        shutil.rmtree(gone)
    except OSError as error:
        raise storage_error(f"{name} cannot be removed from", shelf, error, MAKE_ROOM) from error


@contextmanager
def _whole_or_nothing(name: str) -> Iterator[Path]:
    """A folder to fill; it becomes the bundle `name` if the block ends well, and vanishes if it does not."""
    shelf = user_folder()
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        for old in shelf.glob(f"{UNFINISHED}*"):  # left by a killed program
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise storage_error(f"{name} cannot be stored in", shelf, error, MAKE_ROOM) from error
    with whole_folder(shelf / name, do=MAKE_ROOM) as unfinished:
        yield unfinished


def whose(identity: str | None, statement: str | None) -> tuple[str, str]:
    """The kind and the statement for a card's [identity], as a user gave them. Raises ConfigError."""
    if identity not in ("self", "consented", "synthetic"):
        given = f", not {printable(identity, 40)}" if identity else ""
        raise ConfigError(f"say whose face it is: --identity self, consented or synthetic{given}")
    return identity, stated("--statement", statement, "say in one line who it is and how they agreed")


def _completed(folder: Path, identity: str | None, statement: str | None) -> bytes:
    """The text of a folder's card with the [identity] that it lacks."""
    raw = read_card_text(folder)
    if says_whose(raw, folder):
        raise ConfigError(f"{printable(folder)} is a bundle and brings its own card: give its folder only")
    kind, text = whose(identity, statement)
    # Behind all else it is a table of its own, whatever comes before.
    return raw.rstrip() + b"\n\n" + write_toml({"identity": {"kind": kind, "statement": text}}).strip().encode() + b"\n"


def _inspect(file: Path) -> DfmFacts:
    from realtime.inference.ort import open_session  # loads the runtime: only where a file is added

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
