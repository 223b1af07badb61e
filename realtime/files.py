"""Whether a file can be written where a user wants it."""

import os
from collections.abc import Iterable
from pathlib import Path

from realtime.errors import ConfigError
from realtime.text import printable


def check_output(path: Path, option: str, others: Iterable[str | Path | None] = ()) -> None:
    """Refuse a file that cannot be written, before there is anything to write; leaves nothing behind.

    `others`: what is read or written too, which it must not replace. Raises ConfigError.
    """
    what = f"{option} {printable(path)}"
    try:
        if os.path.isdir(path):
            raise ConfigError(f"{what} is a folder: give a file's name in it")
        if not os.path.isdir(path.parent):
            raise ConfigError(f"{what}: there is no folder {printable(path.parent)}: make it, or choose another")
        if any(other is not None and os.path.realpath(other) == os.path.realpath(path) for other in others):
            raise ConfigError(f"{what} is read or written already: give another name")
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would wait for its reader
            if not os.access(path, os.W_OK):
                raise PermissionError(0, "not writable")
            return
        fresh = not os.path.exists(path)
        with path.open("ab"):
            pass
        if fresh:
            os.unlink(os.path.realpath(path))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{what} cannot be written ({why}): choose another place") from error
