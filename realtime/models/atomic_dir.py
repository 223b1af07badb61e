"""A folder that appears on disk whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realtime.errors import DeviceError
from realtime.home import close_to_others
from realtime.text import printable

UNFINISHED = ".unfinished-"  # so begins the name of a folder that is being filled, or was when its program was killed


@contextmanager
def atomic_dir(target: Path, *, do: str, private: bool = False, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; it becomes `target` if the block ends well, and vanishes if it does not.

    It is beside `target`, on the same disk, so that it becomes that at once. At `target` may be an empty folder,
    or nothing, or with `replace` what gives way to it; its parent must be there. `private` closes it to other users.
    Raises DeviceError where the disk fails, in the block too: `do` ends its line.
    """
    try:
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=target.parent))
    except OSError as error:
        raise storage_error(f"{target.name} cannot be stored in", target.parent, error, do) from error
    try:
        yield unfinished
        for file in unfinished.iterdir():
            with file.open("rb+") as written:  # a full disk may show only here
                os.fsync(written.fileno())
        if private:
            close_to_others(unfinished)
        else:
            unfinished.chmod(0o755)
        if is_empty_folder(target):
            target.rmdir()  # not every system renames onto a folder
        if replace:
            _replace(target, unfinished)
        elif os.path.lexists(target):
            raise FileExistsError(0, "something of that name came there meanwhile")
        else:
            unfinished.rename(target)
    except OSError as error:
        raise storage_error(f"{target.name} cannot be stored in", target.parent, error, do) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _replace(target: Path, finished: Path) -> None:
    """Put a folder in another's place; where that fails the other is back."""
    aside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=target.parent))
    old = aside / target.name
    target.rename(old)
    try:
        finished.rename(target)
    except OSError:
        old.rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_empty_folder(path: Path) -> bool:
    """True for a folder without anything in it; a link to one is none."""
    try:
        return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    except OSError:
        return False


def storage_error(what: str, folder: Path, error: OSError, do: str) -> DeviceError:
    """One line for a user: what cannot be done in which folder, why, and `do`."""
    why = error.strerror or type(error).__name__
    return DeviceError(f"{printable(what)} {printable(folder)} ({why}): {do}")
