"""The bundles and avatars on this machine: finding, listing, adding and removing them.

The built-in ones lie in `trained_models/`, the user's own in the platform's data folder, or under MASQUERADE_HOME.
An item is there whole or not at all, and its card says whose face it shows.
"""

import difflib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

import tomli_w

from realtime.errors import ConfigError, ModelError
from realtime.home import private_dir, user_home
from realtime.inference.file_kind import UNKNOWN, kind_of
from realtime.inference.trial import try_model
from realtime.models.atomic_dir import UNFINISHED, atomic_dir, storage_error
from realtime.models.avatar import AVATAR_FILE, StoredAvatar, avatar_pixels, open_avatar, read_avatar_card
from realtime.models.bundle import MAX_FILE_BYTES, PREVIEW_FILE, Bundle, hash_file, open_bundle
from realtime.models.card import (
    CARD_FILE,
    MOST_PICTURES,
    FaceTypeName,
    bundle_name,
    has_identity,
    name_from,
    parse_card,
    read_card_text,
    refusal,
    require_consent,
    title_from,
    validate_line,
)
from realtime.text import printable

MAKE_ROOM = "make room there, or set MASQUERADE_HOME to another folder"
_STALE_S = 24 * 3600
# Copied with the files that the card lists, where they exist.
_COMPANIONS = (PREVIEW_FILE, "README.md", "NOTICE.txt", "LICENSE.txt", "LICENSE")
_COMPANION_BYTES = 16 << 20

Item = TypeVar("Item", Bundle, StoredAvatar)


def built_in_folder() -> Path:
    """The folder of what comes with masquerade (the installed `trained_models`)."""
    return Path(__file__).resolve().parents[2] / "trained_models"


def face_folder() -> Path:
    """The folder of the built-in face bundle, verified: what trackers read. Raises ModelError."""
    return open_bundle(built_in_folder() / "face").folder


@dataclass(frozen=True, slots=True)
class Broken:
    """A folder of a library that cannot be used: `reason` is the one-line error."""

    folder: Path
    reason: str

    @property
    def name(self) -> str:
        """The folder's name, printable."""
        return printable(self.folder.name, 64)


@dataclass(frozen=True)
class Library(Generic[Item]):
    """All items of one kind, each in a folder called as the item: those in `built_in`, then the user's own.

    `command` lists them and is the name of the user's folder; `open_item` verifies the one in a folder.
    """

    noun: str
    command: str
    card_file: str
    built_in: Path
    open_item: Callable[[Path], Item]

    @property
    def own(self) -> Path:
        """The folder of the user's own items; it may not exist yet."""
        return user_home() / self.command

    def folders(self) -> Iterator[Path]:
        """Where items are or should be: the built-in ones, then the user's own, by name."""
        yield from (folder for folder in _visible_folders(self.built_in) if (folder / self.card_file).is_file())
        yield from _visible_folders(self.own)

    def entries(self) -> list[Item | Broken]:
        """All items, the built-in ones first, each verified; what cannot be used is there with its reason."""
        found: list[Item | Broken] = []
        taken: set[str] = set()
        for folder in self.folders():
            try:
                if folder.name in taken:
                    raise refusal(folder, "what is built in has the same name", "rename its folder and its card")
                found.append(self._open(folder))
            except ModelError as error:
                found.append(Broken(folder, str(error)))
            taken.add(folder.name)
        return found

    def folder(self, name: str) -> Path | None:
        """The folder of that name, None where there is none."""
        return next((folder for folder in self.folders() if folder.name == name), None)

    def find(self, name: str) -> Item:
        """The item of that name, verified. Raises ModelError, with the nearest name that there is."""
        folder = self.folder(name)
        if folder is None:
            raise self._unknown(name)
        return self._open(folder)

    def _unknown(self, name: str) -> ModelError:
        near = difflib.get_close_matches(name.lower(), [folder.name for folder in self.folders()], 1)
        hint = f"did you mean {printable(near[0], 64)}? " if near else ""
        see = f"see the ones there are (masquerade {self.command})"
        return ModelError(f"there is no {self.noun} {printable(name, 80)!r}: {hint}{see}")

    @contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """A folder to fill; it becomes the user's item `name` if the block ends well, and vanishes if it does not.

        Raises ConfigError for the name, DeviceError where it cannot be stored.
        """
        try:
            bundle_name(name)
        except ValueError as error:
            raise ConfigError(f"{printable(name, 80)!r} cannot be a name ({error}): give another --name") from error
        if self.folder(name) or os.path.lexists(self.own / name):
            raise ConfigError(f"{self.noun} {name} is there already: give another --name, or remove it first")
        try:
            private_dir(self.own)
            for old in self.own.glob(f"{UNFINISHED}*"):  # left by a killed program
                if time.time() - old.stat().st_mtime > _STALE_S:
                    shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise storage_error(f"{name} cannot be stored in", self.own, error, MAKE_ROOM) from error
        with atomic_dir(self.own / name, do=MAKE_ROOM, private=True) as unfinished:
            yield unfinished

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A folder to fill; if the block ends well it takes the place of the user's own item `name`.

        Raises ConfigError for a built-in one, ModelError for an unknown name, DeviceError where it cannot be stored.
        """
        folder = self._own_folder(name, "changed")
        with atomic_dir(folder, do=MAKE_ROOM, private=True, replace=True) as unfinished:
            yield unfinished

    def remove(self, name: str) -> None:
        """Delete one of the user's own items, broken ones too.

        Raises ConfigError for a built-in one, ModelError for an unknown name, DeviceError.
        """
        folder = self._own_folder(name, "removed")
        try:
            if folder.is_symlink():
                folder.unlink()
                return
            gone = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.own))
            folder.rename(gone / name)  # at once and whole; deleting may take a while
            shutil.rmtree(gone)
        except OSError as error:
            raise storage_error(f"{name} cannot be removed from", self.own, error, MAKE_ROOM) from error

    def _own_folder(self, name: str, do: str) -> Path:
        folder = next((f for f in self.folders() if f.name == name and f.parent == self.own), None)
        if folder is None:
            if self.folder(name):
                raise ConfigError(f"{name} comes with masquerade: only your own {self.command} can be {do}")
            raise self._unknown(name)
        return folder

    def _open(self, folder: Path) -> Item:
        item = self.open_item(folder)
        if item.name != folder.name:
            raise refusal(folder, f"its card names it {item.name}", "give the folder that name")
        return item


BUNDLES = Library("model", "models", CARD_FILE, built_in_folder(), open_bundle)
AVATARS = Library("avatar", "avatars", AVATAR_FILE, built_in_folder() / "avatars", open_avatar)


def load_bundle(name_or_folder: str | Path) -> Bundle:
    """The bundle of that name, or in that folder, verified. Raises ModelError.

    A plain string is first a name: a folder of the same name in the current directory does not hide a
    bundle. A Path is always a folder.
    """
    if isinstance(name_or_folder, Path):
        return open_bundle(name_or_folder)
    if BUNDLES.folder(name_or_folder) is None:
        if os.path.isdir(name_or_folder):  # unlike Path's, it takes any text for an answer
            return open_bundle(Path(name_or_folder))
        if name_or_folder.lower().endswith((".dfm", ".onnx")) and os.path.isfile(name_or_folder):
            file = printable(name_or_folder)
            raise ModelError(f"{file} is a model file: add it first (masquerade models add FILE)")
    return BUNDLES.find(name_or_folder)


def add_file(
    file: Path,
    *,
    inspect: Callable[[Path], object],
    name: str | None = None,
    identity: str | None,
    statement: str | None,
    face_type: str = "whole_face",
    title: str | None = None,
    licence: str | None = None,
) -> Bundle:
    """Make a bundle of the user's own from a .dfm, and record whose face it is and how they agreed.

    `inspect` opens the network and raises ModelError where it is no .dfm. No .dfm records its `face_type`: say it here.
    Raises ConfigError for the arguments, ModelError for the file, DeviceError where it cannot be stored.
    """
    said = require_consent(identity, statement)
    if face_type not in get_args(FaceTypeName):
        allowed = ", ".join(get_args(FaceTypeName))
        raise ConfigError(f"--face-type {printable(face_type, 40)} is none of {allowed}: choose what it was trained on")
    _check_readable(file)
    chosen = name or name_from(file.stem)
    card = new_card(chosen, title or title_from(name or file.stem), licence, said)
    with BUNDLES.adding(chosen) as unfinished:
        copy = unfinished / f"{chosen}.dfm"
        shutil.copyfile(file, copy)
        inspect(copy)
        card |= {
            "family": "swap",
            "files": {copy.name: hash_file(copy)},
            "input": {"face_type": face_type},
            "training": {"source": printable(file.name, 120)},
        }
        text = tomli_w.dumps(card)
        parsed = parse_card(text.encode(), unfinished)
        (unfinished / CARD_FILE).write_text(text, encoding="utf-8")
    return Bundle((BUNDLES.own / chosen).resolve(), parsed)


def add_folder(folder: Path, *, identity: str | None = None, statement: str | None = None) -> Bundle:
    """Copy a bundle's folder among the user's own, under the name in its card.

    `identity` and `statement`, as of `add_file`, complete a card that does not say whose face it is; `export`
    writes such cards for foreign checkpoints. Raises as `add_file`, and where the card says it already.
    """
    card = _completed(folder, identity, statement) if identity or statement else None
    bundle = open_bundle(folder, card)
    with BUNDLES.adding(bundle.name) as unfinished:
        (unfinished / CARD_FILE).write_bytes(card or read_card_text(bundle.folder))
        for file in {*bundle.card.files, *_COMPANIONS}:
            source = bundle.folder / file
            kept = source.is_file() and not source.is_symlink() and source.stat().st_size <= _COMPANION_BYTES
            if kept or file in bundle.card.files:
                shutil.copyfile(source, unfinished / file)
        copied = open_bundle(unfinished).card  # what was copied counts, not what was there a moment ago
        for file in copied.files:
            if file.endswith((".onnx", ".dfm")):
                try_model(unfinished / file)
    return Bundle((BUNDLES.own / bundle.name).resolve(), copied)


def add_avatar(
    file: Path,
    *,
    identity: str | None,
    statement: str | None,
    name: str | None = None,
    licence: str | None = None,
    title: str | None = None,
    more: Sequence[Path] = (),
) -> StoredAvatar:
    """Keep a picture among the user's avatars, with a card that says whose face it is.

    `more`: further pictures of the same person. Raises ConfigError for the arguments or a file that is no picture,
    DeviceError where it cannot be stored.
    """
    said = require_consent(identity, statement)
    for picture in (file, *more):
        if not picture.is_file():
            raise ConfigError(f"there is no file {printable(picture)}: check the path")
        avatar_pixels(picture)
    if len(more) > MOST_PICTURES:
        raise ConfigError(
            f"there are {len(more) + 1} pictures, more than {MOST_PICTURES + 1}: give fewer of one person"
        )
    chosen = name or name_from(file.stem)
    card = new_card(chosen, title_from(title or name or file.stem), licence, said)
    with AVATARS.adding(chosen) as unfinished:
        entries = []
        for number, picture in enumerate((file, *more)):
            suffix = picture.suffix.lower()
            plain = suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 5  # the decoder goes by the contents
            copy = unfinished / f"picture{number or ''}{suffix if plain else '.picture'}"
            shutil.copyfile(picture, copy)
            entries.append({"file": copy.name, "sha256": hash_file(copy)})
        card["picture"] = entries[0]
        if more:
            card["pictures"] = entries[1:]
        (unfinished / AVATAR_FILE).write_text(tomli_w.dumps(card), encoding="utf-8")
        parsed = read_avatar_card(unfinished)
    return StoredAvatar(AVATARS.own / chosen, parsed)


def new_card(name: str, title: str, licence: str | None, said: tuple[str, str]) -> dict[str, Any]:
    """What the cards of all kinds begin with. Raises ConfigError."""
    return {
        "schema": 1,
        "name": name,
        "title": validate_line("--title", title, "give a title", 80),
        "licence": validate_line("--licence", licence or "unknown", "name a licence"),
        "identity": {"kind": said[0], "statement": said[1]},
    }


def _completed(folder: Path, identity: str | None, statement: str | None) -> bytes:
    """The text of a folder's card with the [identity] that it lacks."""
    raw = read_card_text(folder)
    if has_identity(raw, folder):
        raise ConfigError(f"{printable(folder)} is a bundle and brings its own card: give its folder only")
    kind, text = require_consent(identity, statement)
    # Behind all else it is a table of its own, whatever comes before.
    return raw.rstrip() + b"\n\n" + tomli_w.dumps({"identity": {"kind": kind, "statement": text}}).encode()


def _check_readable(file: Path) -> None:
    """Raises ConfigError where there is no file to read, ModelError where it is no .dfm."""
    if not file.is_file():
        raise ConfigError(f"{printable(file)} is no file: check the path")
    if not os.access(file, os.R_OK):
        raise ConfigError(f"{printable(file)} cannot be read: check its permissions")
    if not 0 < file.stat().st_size <= MAX_FILE_BYTES:
        raise ModelError(f"{printable(file)} is empty, or larger than any .dfm (2 GiB): get the file again")
    if file.suffix.lower() != ".dfm":
        kind = kind_of(file)
        what = f"is {kind.title}" if kind.title != UNKNOWN else "is no model known here"
        do = f", or {kind.do}" if kind.reader else ""
        raise ModelError(f"{printable(file)} {what}, neither a .dfm nor a bundle's folder: give one of these{do}")


def _visible_folders(place: Path) -> list[Path]:
    try:
        return sorted(entry for entry in place.iterdir() if not entry.name.startswith((".", "_")) and entry.is_dir())
    except OSError:  # not made yet, or not ours to read
        return []
