"""The folder of an unfinished identity between two calls of the command, and which footage it is of."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from realtime.errors import ConfigError
from realtime.home import locked, private_dir
from realtime.models.atomic_dir import storage_error
from realtime.models.bundle import hash_file
from realtime.models.card import bundle_name
from realtime.models.library import BUNDLES
from realtime.text import printable

NOTES, FRAMES = "footage.json", "frames"
_MAKE_ROOM = "make room there, or set MASQUERADE_HOME to another folder"


def free_name(name: str) -> str:
    """`name`, if a new bundle can have it. Raises ConfigError."""
    try:
        bundle_name(name)
    except ValueError as error:
        raise ConfigError(
            f"{printable(name, 80)!r} cannot be a bundle's name ({error}): give another --name"
        ) from error
    if name in {folder.name for folder in BUNDLES.folders()}:
        raise ConfigError(f"there is a bundle {name} already: give another --name, or masquerade models remove {name}")
    return name


@contextmanager
def only_learner(name: str) -> Iterator[None]:
    """Held while `name` is learnt. Raises ConfigError where another program learns it, or it cannot be a new name."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(_folder(free_name(name)), wait_s=0))
        except TimeoutError as error:
            raise ConfigError(f"{name} is being learnt by another program: wait, or give another --name") from error
        except OSError as error:
            raise storage_error(f"{name} cannot be learnt in", _folder(name).parent, error, _MAKE_ROOM) from error
        yield


def _folder(name: str) -> Path:
    return BUNDLES.own.parent / "learning" / name


def footage_key(clips: Sequence[Path], weights: Path) -> str:
    """What tells footage and starting weights from others, by their bytes. Raises ConfigError."""
    digest = hashlib.sha256()
    for file in (weights, *clips):
        try:
            digest.update(hash_file(file).encode())
        except FileNotFoundError as error:
            raise ConfigError(f"there is no file {printable(file)}: give video files") from error
        except IsADirectoryError as error:
            raise ConfigError(f"{printable(file)} is a folder: give the video files in it") from error
        except OSError as error:
            raise ConfigError(f"{printable(file)} cannot be read ({error.strerror}): check its permissions") from error
    return digest.hexdigest()


class RunDir:
    """The folder of one identity in the making: frames, state, sheets. Raises DeviceError where the disk fails."""

    def __init__(self, name: str, key: str) -> None:
        self.folder = _folder(name)
        self._key = key
        try:
            if self.folder.exists() and self._noted().get("key") != key:
                shutil.rmtree(self.folder)  # of other footage: none of it can be used
            private_dir(self.folder)
        except OSError as error:
            raise storage_error(f"{name} cannot be learnt in", self.folder.parent, error, _MAKE_ROOM) from error

    @property
    def frames(self) -> Path:
        return self.folder / FRAMES

    @property
    def lines(self) -> list[str] | None:
        """What was said of the footage when it was read; None before it has been."""
        said = self._noted().get("lines")
        return [str(line) for line in said] if isinstance(said, list) else None

    def note(self, lines: Sequence[str]) -> None:
        """The frames are all there, and this was said of them."""
        part = self.folder / f"{NOTES}.part"
        part.write_text(json.dumps({"key": self._key, "lines": list(lines)}), encoding="utf-8")
        part.replace(self.folder / NOTES)

    def clear_frames(self) -> None:
        """Take away frames of a reading that was broken off."""
        shutil.rmtree(self.frames, ignore_errors=True)

    def clear(self) -> None:
        """Delete the frames and the state of a finished identity; sheets and log stay to be looked at."""
        self.clear_frames()
        for file in ("state.pt", NOTES):
            (self.folder / file).unlink(missing_ok=True)

    def _noted(self) -> dict[str, object]:
        try:
            noted = json.loads((self.folder / NOTES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}
