"""The engine of a network: out of this user's cache where it fits, else compiled and kept there.

An engine is kept for exactly one set of facts: the ONNX file's hash, its precision, the TensorRT module and version,
the driver, the GPU, the operating system and how it is built. When any of them changes it is compiled again.

Engines are machine code, so nothing is read that others could have written: the folder and its files must be this
user's and closed to writing by others, and each file holds its facts and the hash of its content.
"""

import contextlib
import hashlib
import json
import logging
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from realtime.home import private_dir, user_cache
from realtime.inference.tensorrt_build import BUILD, Gpu, title

log = logging.getLogger(__name__)

LIMIT_BYTES = 8 << 30  # engines of older drivers and models pile up; the longest unused go first
NO_GPU = "none"

Facts = Mapping[str, object]


def engine_facts(trt: Any, data: bytes, precision: str, gpu: Gpu | None, *, tf32: bool = False) -> Facts:
    """Everything that decides which engine a network gets here. Without a GPU (None) no session ever wants it."""
    network = {"model": hashlib.sha256(data).hexdigest(), "precision": precision, "tf32": tf32}
    card = {"gpu": gpu.model, "driver": gpu.driver} if gpu else {"gpu": NO_GPU, "driver": NO_GPU}
    return {**network, **card, "runtime": title(trt), "system": f"{sys.platform} {platform.machine()}", "build": BUILD}


class CachedEngine(NamedTuple):
    """An engine; the file it is kept in (None where the disk did not take it); whether it was compiled just now."""

    engine: bytes
    path: Path | None
    compiled: bool


class EngineCache:
    """Compiled files in one folder, by facts and kind (`engine`, `kernels`). Never raises for the disk."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder, self._limit = folder, limit_bytes

    def path(self, facts: Facts, kind: str = "engine") -> Path:
        """The file that holds the content made for these facts, there or not."""
        return self._folder / f"{hashlib.sha256(_line(facts, kind)).hexdigest()[:40]}.bin"

    def load(self, facts: Facts, kind: str = "engine") -> bytes | None:
        """The content kept for exactly these facts, or None."""
        path = self.path(facts, kind)
        try:
            _require_private(self._folder.lstat(), stat.S_ISDIR)
            flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
            handle = os.open(path, os.O_RDONLY | flags)
            with os.fdopen(handle, "rb") as file:
                _require_private(os.fstat(handle), stat.S_ISREG)
                digest, line, content = file.readline().strip(), file.readline(), file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s is not used (%s): it is made again", path, error.strerror or error)
            return None
        if line != _line(facts, kind) or hashlib.sha256(content).hexdigest().encode() != digest:
            log.warning("%s was altered: it is made again", path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # it was of use today
        return content

    def store(self, facts: Facts, content: bytes, kind: str = "engine") -> Path | None:
        """Keeps the content; returns its file, or None (with a warning) where the disk does not take it."""
        path, temporary = self.path(facts, kind), None
        try:
            private_dir(self._folder)
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=self._folder)  # mode 0600
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + _line(facts, kind) + content)
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
        """Removes the engine and the kernels that are kept for these facts, if any are."""
        for kind in ("engine", "kernels"):
            with contextlib.suppress(OSError):
                self.path(facts, kind).unlink()

    def _prune(self, newest: Path) -> None:
        with contextlib.suppress(OSError):
            found = [(p, p.lstat()) for p in self._folder.glob("*.bin") if p != newest]
            room = self._limit - newest.stat().st_size
            for path, status in sorted(found, key=lambda f: f[1].st_mtime_ns, reverse=True):
                room -= status.st_size
                if room < 0:
                    path.unlink()


def open_cache() -> EngineCache:
    """This user's cache of engines (`MASQUERADE_HOME` moves it)."""
    return EngineCache(user_cache() / "engines")


def find_engine(facts: Facts, name: str, cache: EngineCache, make: Callable[[], bytes]) -> CachedEngine:
    """The engine for these facts; `make` compiles it where none is kept. A full disk costs the keeping only."""
    kept = cache.load(facts)
    if kept is not None:
        return CachedEngine(kept, cache.path(facts), False)
    if facts["gpu"] != NO_GPU:
        log.warning("%s is compiled for %s: this can take minutes, once", name, facts["gpu"])
    engine = make()
    return CachedEngine(engine, cache.store(facts, engine), True)


def _line(facts: Facts, kind: str) -> bytes:
    return json.dumps({**facts, "kind": kind}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _require_private(status: os.stat_result, of_kind: Callable[[int], bool]) -> None:
    """Raises OSError for a link, pipe or device, and for what other users own or can write."""
    if not of_kind(status.st_mode):
        raise OSError(0, "it is not a plain file in a plain folder")
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise PermissionError(0, "other users can write it")
