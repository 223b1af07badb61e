"""What is read out of the cache: only what this user's masquerade has put there, whole and for these facts."""

import os
import stat
import sys
from pathlib import Path

import pytest

from realtime.inference.sealed_cache import SealedCache, cache_folder, secret_file

FACTS = {"kind": "engine", "model": "ab12", "tf32": False}
CONTENT = bytes(range(256)) * 3

posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes and links are POSIX's")


def open_at(folder: Path, limit_bytes: int = 1 << 20) -> SealedCache:
    """The cache in a test's folder, as a new run of the program sees it."""
    return SealedCache(folder / "cache" / "engines", folder / "home" / "secret", limit_bytes)


@pytest.fixture
def cache(tmp_path: Path) -> SealedCache:
    return open_at(tmp_path)


def test_what_is_kept_comes_back_for_the_same_facts_only(cache: SealedCache, tmp_path: Path) -> None:
    assert cache.load(FACTS) is None
    path = cache.store(FACTS, CONTENT)
    assert path == cache.path(FACTS)
    assert open_at(tmp_path).load(dict(reversed(FACTS.items()))) == CONTENT
    assert open_at(tmp_path).load({**FACTS, "tf32": True}) is None
    cache.store({**FACTS, "kind": "empty"}, b"")
    assert cache.load({**FACTS, "kind": "empty"}) == b""
    cache.forget(FACTS)
    cache.forget(FACTS)
    assert cache.load(FACTS) is None


@posix
def test_only_the_user_can_read_it(cache: SealedCache, tmp_path: Path) -> None:
    path = cache.store(FACTS, CONTENT)
    assert path is not None
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent, tmp_path / "home" / "secret")]
    assert modes == [0o600, 0o700, 0o600]


def test_any_changed_byte_is_noticed(cache: SealedCache, caplog: pytest.LogCaptureFixture) -> None:
    path = cache.store(FACTS, CONTENT)
    assert path is not None
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1
        path.write_bytes(spoilt)
        assert cache.load(FACTS) is None
    for length in (*range(0, 120), len(whole) - 1):
        path.write_bytes(whole[:length])
        assert cache.load(FACTS) is None
    path.write_bytes(whole + b"\0")
    assert cache.load(FACTS) is None
    assert "was not written by masquerade for this user, or was altered" in caplog.text
    path.write_bytes(whole)
    assert cache.load(FACTS) == CONTENT


def test_a_file_under_another_name_is_foreign(cache: SealedCache) -> None:
    other = {**FACTS, "model": "cd34"}
    path = cache.store(FACTS, CONTENT)
    assert path is not None
    path.rename(cache.path(other))
    assert cache.load(other) is None


def test_a_whole_cache_of_somebody_else_is_foreign(cache: SealedCache, tmp_path: Path) -> None:
    theirs = SealedCache(tmp_path / "theirs", tmp_path / "their_secret")
    path = theirs.store(FACTS, b"their machine code")
    assert path is not None
    cache.store({}, b"")
    cache.path(FACTS).write_bytes(path.read_bytes())
    assert cache.load(FACTS) is None


@posix
def test_links_and_pipes_are_not_followed(cache: SealedCache, tmp_path: Path) -> None:
    path = cache.store(FACTS, CONTENT)
    assert path is not None
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.load(FACTS) is None
    path.unlink()
    os.mkfifo(path)
    assert cache.load(FACTS) is None  # and does not wait for a writer


@posix
@pytest.mark.parametrize("spoil", ["readable by others", "cut off", "a folder", "gone"])
def test_a_secret_that_cannot_be_trusted_makes_everything_foreign(
    cache: SealedCache, tmp_path: Path, spoil: str
) -> None:
    cache.store(FACTS, CONTENT)
    secret = tmp_path / "home" / "secret"
    if spoil == "readable by others":
        secret.chmod(0o640)
    elif spoil == "cut off":
        secret.write_bytes(b"short")
    else:
        secret.unlink()
        if spoil == "a folder":
            secret.mkdir()
    assert open_at(tmp_path).load(FACTS) is None
    if spoil == "a folder":
        assert open_at(tmp_path).store(FACTS, CONTENT) is None  # it cannot be replaced by a file: nothing is kept
        return
    assert open_at(tmp_path).store(FACTS, CONTENT)
    assert open_at(tmp_path).load(FACTS) == CONTENT
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_disk_that_takes_nothing_costs_only_the_keeping(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = SealedCache(tmp_path / "file" / "cache", tmp_path / "secret")
    assert cache.store(FACTS, CONTENT) is None
    assert "cannot be kept" in caplog.text
    assert cache.load(FACTS) is None


def test_what_cannot_be_put_in_its_place_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = SealedCache(folder, tmp_path / "secret")
    assert cache.store(FACTS, CONTENT)
    kept = sorted(p.name for p in folder.iterdir())
    cache.path({"kind": "big"}).mkdir()  # no file can be moved onto a folder
    assert cache.store({"kind": "big"}, CONTENT) is None
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == kept
    assert cache.load(FACTS) == CONTENT


@posix
def test_a_disk_that_fills_up_while_writing_leaves_nothing_behind(cache: SealedCache) -> None:
    import resource

    path = cache.store(FACTS, CONTENT)
    assert path is not None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert cache.store({"kind": "big"}, bytes(100_000)) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(path.parent.iterdir()) == [path]


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    small = open_at(tmp_path, limit_bytes=3000)
    names = [{"n": n} for n in range(4)]
    for day, facts in enumerate(names[:3]):
        path = small.store(facts, bytes(800))
        assert path is not None
        os.utime(path, ns=(day, day))
    assert small.load(names[0])  # used: now it is the newest
    small.store(names[3], bytes(800))
    assert [small.load(facts) is not None for facts in names] == [True, False, True, True]


def test_the_secret_lies_outside_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    assert cache_folder().is_relative_to(tmp_path)
    assert not secret_file().is_relative_to(cache_folder())
    monkeypatch.delenv("MASQUERADE_HOME")
    assert not secret_file().is_relative_to(cache_folder())
