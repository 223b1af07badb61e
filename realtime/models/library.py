"""Where bundles live on this machine, and finding one.

The built-in ones lie in `trained_models/`, of which this is the only reader; the user's own in the
platform's data folder, or under MASQUERADE_HOME.
"""

import difflib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import platformdirs

from realtime.errors import ConfigError, ModelError
from realtime.families.face_swap.dfm import DfmFacts, inspect_dfm
from realtime.inference.session import Session
from realtime.models.atomic_dir import UNFINISHED, atomic_dir, storage_error
from realtime.models.avatar import AVATAR_FILE, AvatarCard, avatar_pixels, read_avatar_card
from realtime.models.bundle import MAX_FILE_BYTES, PREVIEW_FILE, BrokenBundle, Bundle, hash_file, open_bundle
from realtime.models.card import (
    CARD_FILE,
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
    write_toml,
)
from realtime.text import printable


def built_in_folder() -> Path:
    """The folder of the bundles that come with masquerade (the installed `trained_models`)."""
    return Path(__file__).resolve().parents[2] / "trained_models"


def user_folder() -> Path:
    """The folder of the user's own bundles; it may not exist yet."""
    return user_home() / "models"


def user_home() -> Path:
    """The folder of everything that is the user's own: MASQUERADE_HOME, else the platform's data folder."""
    home = os.environ.get("MASQUERADE_HOME")
    if home:
        return Path(home).expanduser().absolute()
    return platformdirs.user_data_path("masquerade", appauthor=False)


def load_bundle(name_or_folder: str | Path) -> Bundle:
    """The bundle of that name, or in that folder, verified. Raises ModelError.

    A plain string is first a name: a folder of the same name in the current directory does not hide a
    bundle. A Path is always a folder.
    """
    if isinstance(name_or_folder, Path):
        return open_bundle(name_or_folder)
    for folder in bundle_folders():
        if folder.name == name_or_folder:
            return _on_the_shelf(folder)
    if os.path.isdir(name_or_folder):  # unlike Path's, it takes any text for an answer
        return open_bundle(Path(name_or_folder))
    if name_or_folder.lower().endswith((".dfm", ".onnx")) and os.path.isfile(name_or_folder):
        file = printable(name_or_folder)
        raise ModelError(f"{file} is a model file: add it first (masquerade models add FILE)")
    raise unknown_model(name_or_folder)


def list_bundles() -> list[Bundle | BrokenBundle]:
    """All bundles, the built-in ones first, each verified; what cannot be used is there with its reason."""
    found: list[Bundle | BrokenBundle] = []
    taken: set[str] = set()
    for folder in bundle_folders():
        try:
            if folder.name in taken:
                raise refusal(folder, "a built-in bundle has the same name", "rename its folder and its card")
            found.append(_on_the_shelf(folder))
        except ModelError as error:
            found.append(BrokenBundle(folder, str(error)))
        taken.add(folder.name)
    return found


def bundle_folders() -> Iterator[Path]:
    """The folders where bundles are or should be: the built-in ones, then the user's own, by name."""
    yield from (folder for folder in visible_folders(built_in_folder()) if (folder / CARD_FILE).is_file())
    yield from visible_folders(user_folder())


def unknown_model(name: str) -> ModelError:
    """The error for a name that no bundle has, with the nearest that there is."""
    names = [folder.name for folder in bundle_folders()]
    near = difflib.get_close_matches(name.lower(), names, 1)
    hint = f"did you mean {printable(near[0], 64)}? " if near else ""
    return ModelError(f"there is no model {printable(name, 80)!r}: {hint}see the ones there are (masquerade models)")


def visible_folders(shelf: Path) -> list[Path]:
    """The folders on a shelf by name, without hidden ones; none where there is no shelf yet."""
    try:
        return sorted(entry for entry in shelf.iterdir() if not entry.name.startswith((".", "_")) and entry.is_dir())
    except OSError:  # not made yet, or not ours to read: then there are no bundles there
        return []


def _on_the_shelf(folder: Path) -> Bundle:
    bundle = open_bundle(folder)
    if bundle.name != folder.name:
        raise refusal(folder, f"its card names it {bundle.name}", "give the folder that name")
    return bundle


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
    kind, statement = require_consent(identity, statement)
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
                "title": validate_line("--title", title or title_from(name or file.stem), "give a title", 80),
                "family": "swap",
                "licence": validate_line("--licence", licence or "unknown", "name a licence"),
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
    with atomic_dir(shelf / name, do=MAKE_ROOM) as unfinished:
        yield unfinished


def _completed(folder: Path, identity: str | None, statement: str | None) -> bytes:
    """The text of a folder's card with the [identity] that it lacks."""
    raw = read_card_text(folder)
    if has_identity(raw, folder):
        raise ConfigError(f"{printable(folder)} is a bundle and brings its own card: give its folder only")
    kind, text = require_consent(identity, statement)
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


MAX_PICTURE_BYTES = 256 << 20
"""Of one picture's file: no camera's is larger."""


@dataclass(frozen=True, slots=True)
class ShelvedAvatar:
    """An avatar as it lies on the shelf; its picture had the card's hash when it was opened."""

    folder: Path
    card: AvatarCard

    @property
    def picture(self) -> Path:
        """The picture's file."""
        return self.folder / self.card.picture.file


@dataclass(frozen=True, slots=True)
class BrokenAvatar:
    """A folder among the avatars that cannot be used: `reason` is the one-line error."""

    folder: Path
    reason: str


def built_in_avatars() -> Path:
    """The folder of the avatars that come with masquerade."""
    return built_in_folder() / "avatars"


def user_avatars() -> Path:
    """The folder of the user's own avatars; it may not exist yet."""
    return user_home() / "avatars"


def open_avatar(folder: Path) -> ShelvedAvatar:
    """The avatar in a folder, its picture checked against its hash. Raises ModelError."""
    card = read_avatar_card(folder)
    picture = folder / card.picture.file
    try:
        if picture.is_symlink() or not picture.is_file() or picture.stat().st_size > MAX_PICTURE_BYTES:
            raise refusal(folder, f"{card.picture.file} is missing or no picture", "add the avatar again")
        if hash_file(picture) != card.picture.sha256:
            raise refusal(folder, f"{card.picture.file} is not the picture its card names", "add the avatar again")
    except OSError as error:
        raise refusal(folder, f"{card.picture.file} cannot be read ({error.strerror})", "mend its rights") from error
    if card.name != folder.name:
        raise refusal(folder, f"its card names it {card.name}", "give the folder that name")
    return ShelvedAvatar(folder, card)


def list_avatars() -> list[ShelvedAvatar | BrokenAvatar]:
    """All avatars, the built-in ones first; what cannot be used is there with its reason."""
    found: list[ShelvedAvatar | BrokenAvatar] = []
    for folder in _folders():
        try:
            found.append(open_avatar(folder))
        except ModelError as error:
            found.append(BrokenAvatar(folder, str(error)))
    return found


def find_avatar(name: str) -> ShelvedAvatar:
    """The avatar of that name. Raises ModelError, with the nearest name that there is."""
    for folder in _folders():
        if folder.name == name:
            return open_avatar(folder)
    near = difflib.get_close_matches(name.lower(), [folder.name for folder in _folders()], 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ModelError(
        f"there is no avatar and no picture {printable(name, 80)!r}: {hint}see the ones there are (masquerade avatars)"
    )


def avatar_of_picture(picture: Path) -> ShelvedAvatar:
    """The avatar on the shelf whose picture is this file's, byte for byte.

    Raises ConfigError with the command that adds it, where there is none.
    """
    try:
        if picture.stat().st_size > MAX_PICTURE_BYTES:
            raise ConfigError(f"{printable(picture)} is larger than any picture: give another file")
        wanted = hash_file(picture)
    except OSError as error:
        raise ConfigError(f"{printable(picture)} cannot be read ({error.strerror}): check the path") from error
    for folder in _folders():
        try:
            if read_avatar_card(folder).picture.sha256 == wanted:
                return open_avatar(folder)
        except ModelError:
            continue  # a broken one vouches for nothing; `masquerade avatars` names it
    raise ConfigError(
        f"nobody has said yet whose face {printable(picture)} shows: masquerade avatars add {_quoted(picture)} "
        '--identity synthetic|self|consented --statement "who it is and how they agreed"'
    )


def add_avatar(
    file: Path,
    *,
    identity: str | None,
    statement: str | None,
    name: str | None = None,
    licence: str | None = None,
    title: str | None = None,
) -> ShelvedAvatar:
    """Put a picture on the user's shelf, with a card that says whose face it is.

    Raises ConfigError for the arguments or a file that is no picture, DeviceError where it cannot be stored.
    """
    kind, said = require_consent(identity, statement)
    if not file.is_file():
        raise ConfigError(f"there is no file {printable(file)}: check the path")
    avatar_pixels(file)
    chosen = name or name_from(file.stem)
    try:
        bundle_name(chosen)
    except ValueError as error:
        raise ConfigError(f"{printable(chosen, 80)!r} cannot be an avatar's name ({error}): give --name") from error
    if any(folder.name == chosen for folder in _folders()):
        raise ConfigError(f"there is an avatar {chosen} already: give another --name, or remove it first")
    shelf = user_avatars()
    try:
        shelf.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(f"{chosen} cannot be stored in", shelf, error, MAKE_ROOM) from error
    with atomic_dir(shelf / chosen, do=MAKE_ROOM) as unfinished:
        copy = unfinished / f"picture{_suffix(file)}"
        shutil.copyfile(file, copy)
        card = {
            "schema": 1,
            "name": chosen,
            "title": validate_line("--name", title_from(title or name or file.stem), "give another", 80),
            "licence": validate_line("--licence", licence or "unknown", "name a licence"),
            "identity": {"kind": kind, "statement": said},
            "picture": {"file": copy.name, "sha256": hash_file(copy)},
        }
        (unfinished / AVATAR_FILE).write_text(write_toml(card), encoding="utf-8")
        read_avatar_card(unfinished)
    return open_avatar(shelf / chosen)


def remove_avatar(name: str) -> None:
    """Delete one of the user's own avatars, broken ones too. Raises ConfigError for a built-in one, ModelError."""
    shelf = user_avatars()
    folder = next((f for f in _folders() if f.name == name and f.parent == shelf), None)
    if folder is None:
        if any(f.name == name for f in _folders()):
            raise ConfigError(f"{printable(name, 80)} comes with masquerade: only your own avatars can be removed")
        find_avatar(name)
        return
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        gone = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=shelf))
        folder.rename(gone / name)
        shutil.rmtree(gone)
    except OSError as error:
        raise storage_error(f"{name} cannot be removed from", shelf, error, MAKE_ROOM) from error


def _folders() -> Iterator[Path]:
    built_in = visible_folders(built_in_avatars())
    yield from built_in
    names = {folder.name for folder in built_in}
    yield from (folder for folder in visible_folders(user_avatars()) if folder.name not in names)


def _suffix(file: Path) -> str:
    """The file's suffix, if it is a plain one; the decoder goes by the contents."""
    suffix = file.suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 5 else ".picture"


def _quoted(path: Path) -> str:
    import shlex

    return printable(shlex.quote(os.fspath(path)))
