"""The user's own folder: where it is, that nobody else can read it, and that two writers undo nothing of each other."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import platformdirs
from filelock import FileLock

OURS = ("models", "avatars", "recordings", "results", "learning", "cache", "presets.json", "last-look.json")
"""What lies in the folder. MASQUERADE_HOME may name one that holds other things, which are left alone."""

NOWHERE = Path(os.devnull, "masquerade")
"""Where nothing can be kept: for a user without a home, that is no HOME and a number that the system has no name of."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def user_home() -> Path:
    """The folder of everything that is the user's own: MASQUERADE_HOME, else the platform's data folder."""
    return _own("", platformdirs.user_data_path)


def user_cache() -> Path:
    """The folder of what can be made again: `cache` in MASQUERADE_HOME, else the platform's."""
    return _own("cache", platformdirs.user_cache_path)


def _own(part: str, platforms: Callable[[str, Literal[False]], Path]) -> Path:
    home = os.environ.get("MASQUERADE_HOME")
    if home:
        return Path(os.path.abspath(os.path.expanduser(home)), part)
    try:
        found = platforms("masquerade", False)
    except RuntimeError:
        return NOWHERE / part
    return found if found.is_absolute() else NOWHERE / part  # older platformdirs: a folder called ~


def private_dir(folder: Path) -> Path:
    """Make the folder and what is missing above it, for this user alone whatever the umask. Raises OSError."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(stat.S_IRWXU)
    return folder


def private_opener(path: str, flags: int) -> int:
    """For `open`: makes a file that is this user's alone."""
    return os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)


def close_to_others(path: Path) -> None:
    """Take the rights of other users from a file, or a folder with all that is in it; links are not followed.

    Nothing is done on Windows, where a user's folders are their own, nor to what belongs to somebody else.
    """
    if os.name == "nt":
        return
    with suppress(OSError):  # gone meanwhile, or not ours
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
        if stat.S_ISDIR(mode):
            for entry in path.iterdir():
                close_to_others(entry)


def mend_home() -> None:
    """Close what earlier versions left open to other users."""
    home = user_home()
    if os.name == "nt" or not os.path.isdir(home):
        return
    with suppress(OSError):
        home.chmod(stat.S_IMODE(home.stat().st_mode) & ~_OTHERS)
    for entry in (*(home / name for name in OURS), user_cache(), *home.glob(".incoming-*")):
        close_to_others(entry)


@contextmanager
def locked(file: Path, wait_s: float = 30.0) -> Iterator[None]:
    """Holds a lock on `file`, of all programs and threads, to read it, change it and write it.

    Raises TimeoutError where others hold it for longer than `wait_s`, OSError by the disk.
    """
    with FileLock(private_dir(file.parent) / f".{file.name}.lock", timeout=wait_s, mode=stat.S_IRUSR | stat.S_IWUSR):
        yield
