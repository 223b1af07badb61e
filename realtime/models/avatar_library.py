"""The avatars on this machine: those that come with masquerade, and the user's own, each with its card.

A picture of somebody is shown only if a card vouches for it, by its hash: whose face it is was said once, when
it was added.
"""

import difflib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from realtime.errors import ConfigError, ModelError
from realtime.models.add_model import MAKE_ROOM, whose
from realtime.models.atomic_dir import UNFINISHED, storage_error, whole_folder
from realtime.models.avatar_card import AVATAR_FILE, AvatarCard, read_avatar_card
from realtime.models.avatar_picture import avatar_pixels
from realtime.models.bundle import hash_file
from realtime.models.card import bundle_name
from realtime.models.card_file import refusal, write_toml
from realtime.models.library import built_in_folder, user_home, visible_folders
from realtime.models.naming import name_from, stated, title_from
from realtime.text import printable

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
    kind, said = whose(identity, statement)
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
    with whole_folder(shelf / chosen, do=MAKE_ROOM) as unfinished:
        copy = unfinished / f"picture{_suffix(file)}"
        shutil.copyfile(file, copy)
        card = {
            "schema": 1,
            "name": chosen,
            "title": stated("--name", title_from(title or name or file.stem), "give another", 80),
            "licence": stated("--licence", licence or "unknown", "name a licence"),
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
