"""A cache of files that only this user's masquerade can have written: anything else in it is not read.

Compiled engines and kernels are machine code, so a file dropped into the cache folder, carried over from another
machine or changed by a byte must never reach the library that loads it. Each file is sealed with an HMAC-SHA256
under a secret of 32 random bytes. The secret lies outside the cache, in the user's data folder, readable by the
user alone; a secret that others could read or have written is replaced, which makes every older file foreign.
A file holds three lines (what it is, the seal, the facts it was made for as JSON) and then the content; it is
written beside its place and moved there, so a half-written one is never seen.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

log = logging.getLogger(__name__)

MAGIC = b"masquerade sealed file 1\n"
SECRET_BYTES = 32
LIMIT_BYTES = 8 << 30  # engines of older drivers and models pile up; the longest unused go first

Facts = Mapping[str, object]


def cache_folder() -> Path:
    """Where sealed files lie for this user (`MASQUERADE_HOME` moves it); it may not exist yet."""
    home = os.environ.get("MASQUERADE_HOME")
    if home:
        return Path(home).expanduser().absolute() / "cache"
    return platformdirs.user_cache_path("masquerade", appauthor=False)


def secret_file() -> Path:
    """Where this user's secret lies: never in the cache folder itself."""
    home = os.environ.get("MASQUERADE_HOME")
    if home:
        return Path(home).expanduser().absolute() / "cache.secret"
    return platformdirs.user_data_path("masquerade", appauthor=False) / "cache.secret"


class SealedCache:
    """Sealed files in one folder. It never raises for what is on the disk: it has a content, or it has not."""

    def __init__(self, folder: Path, secret: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder, self._secret_file, self._limit = folder, secret, limit_bytes

    def path(self, facts: Facts) -> Path:
        """The file that holds the content made for these facts, there or not."""
        return self._folder / f"{hashlib.sha256(_line(facts)).hexdigest()[:40]}.sealed"

    def load(self, facts: Facts) -> bytes | None:
        """The content kept for exactly these facts, or None. What is not sealed by this user is left unread."""
        path = self.path(facts)
        try:
            whole = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s is not used (%s): it is made again", path, error.strerror or error)
            return None
        secret = self._secret(make=False)
        content = _open(whole, secret, _line(facts)) if secret else None
        if content is None:
            log.warning("%s was not written by masquerade for this user, or was altered: it is made again", path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # it was of use today
        return content

    def store(self, facts: Facts, content: bytes) -> Path | None:
        """Keeps the content; returns its file, or None (with a warning) where the disk does not take it."""
        path = self.path(facts)
        temporary = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            secret = self._secret(make=True)
            line = _line(facts)
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=self._folder)
            with os.fdopen(handle, "wb") as file:
                for part in (MAGIC, _seal(secret, line, content), line, content):
                    file.write(part)
            os.replace(temporary, path)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            log.warning("%s cannot be kept (%s): it is made again at each start", path, error.strerror or error)
            return None
        self._prune(path)
        return path

    def forget(self, facts: Facts) -> None:
        """Removes what is kept for these facts, if anything is."""
        with contextlib.suppress(OSError):
            self.path(facts).unlink()

    def _prune(self, newest: Path) -> None:
        with contextlib.suppress(OSError):
            found = [(p, p.lstat()) for p in self._folder.glob("*.sealed") if p != newest]
            room = self._limit - newest.stat().st_size
            for path, status in sorted(found, key=lambda f: f[1].st_mtime_ns, reverse=True):
                room -= status.st_size
                if room < 0:
                    path.unlink()

    def _secret(self, *, make: bool) -> bytes:
        """The user's secret; empty where there is none that can be trusted and none is to be made."""
        try:
            secret = _read(self._secret_file, private=True)
            if len(secret) == SECRET_BYTES:
                return secret
            log.warning("%s is damaged: a new one is made", self._secret_file)
        except FileNotFoundError:
            pass
        except PermissionError as error:
            log.warning("%s is not used (%s): a new one is made", self._secret_file, error)
        except OSError as error:
            log.warning("%s cannot be read (%s): a new one is made", self._secret_file, error.strerror or error)
        if not make:
            return b""
        self._secret_file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", dir=self._secret_file.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
            os.replace(temporary, self._secret_file)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return _read(self._secret_file, private=True)  # another process may have made one at the same moment


def _line(facts: Facts) -> bytes:
    return json.dumps(dict(facts), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _seal(secret: bytes, line: bytes, content: bytes) -> bytes:
    made = hmac.new(secret, MAGIC + line, "sha256")
    made.update(content)
    return made.hexdigest().encode() + b"\n"


def _open(whole: bytes, secret: bytes, line: bytes) -> bytes | None:
    """The content of a sealed file, or None where the seal or the facts are not the expected ones."""
    at = len(MAGIC) + 65
    content = whole[at + len(line) :]
    same = whole[: len(MAGIC)] == MAGIC and whole[at : at + len(line)] == line
    if not same or not hmac.compare_digest(whole[len(MAGIC) : at], _seal(secret, line, content)):
        return None
    return content


def _read(path: Path, *, private: bool = False) -> bytes:
    """A regular file's bytes, read once. Links, pipes and devices are refused; `private` wants mode 0600 and ours."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a plain file")
        if private and hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
            raise PermissionError("other users can read it")
        return file.read()
