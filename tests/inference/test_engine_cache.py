"""What is read out of the cache: only what nobody but this user can have put there, whole and for these facts."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from realtime.inference.engine_cache import EngineCache, open_cache

FACTS = {"model": "ab12", "tf32": False}
CONTENT = bytes(range(256)) * 3

posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes and links are POSIX's")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def kept(cache: EngineCache) -> Path:
    path = cache.store(FACTS, CONTENT)
    assert path is not None
    return path


def test_what_is_kept_comes_back_for_the_same_facts_and_kind_only(cache: EngineCache, tmp_path: Path) -> None:
    assert cache.load(FACTS) is None
    assert cache.store(FACTS, CONTENT) == cache.path(FACTS)
    again = EngineCache(tmp_path / "engines")
    assert again.load(dict(reversed(FACTS.items()))) == CONTENT
    assert again.load({**FACTS, "tf32": True}) is None
    assert again.load(FACTS, "kernels") is None
    cache.store(FACTS, b"", "kernels")
    assert cache.load(FACTS, "kernels") == b""
    cache.forget(FACTS)
    cache.forget(FACTS)
    assert (cache.load(FACTS), cache.load(FACTS, "kernels")) == (None, None)


@posix
def test_only_the_user_can_read_it(cache: EngineCache) -> None:
    path = kept(cache)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent)] == [0o600, 0o700]


def test_any_changed_byte_is_noticed(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    path = kept(cache)
    whole = path.read_bytes()
    damaged = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole), 7)]
    damaged += [whole[:length] for length in (*range(0, 120), len(whole) - 1)] + [whole + b"\0"]
    for spoilt in damaged:
        path.write_bytes(spoilt)
        assert cache.load(FACTS) is None
    assert "was altered" in caplog.text
    path.write_bytes(whole)
    assert cache.load(FACTS) == CONTENT


def test_a_file_under_another_name_is_foreign(cache: EngineCache) -> None:
    other = {**FACTS, "model": "cd34"}
    kept(cache).rename(cache.path(other))
    assert cache.load(other) is None


def _link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # reading it would wait for a writer


@posix
@pytest.mark.parametrize(
    "spoil",
    [_link, _pipe, lambda path: path.chmod(0o622), lambda path: path.parent.chmod(0o777)],
    ids=["a link", "a pipe", "a file that others can write", "a folder that others can write"],
)
def test_what_others_could_have_put_there_is_not_read(
    cache: EngineCache, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(kept(cache))
    assert cache.load(FACTS) is None
    assert "is not used" in caplog.text


def test_a_disk_that_takes_nothing_costs_only_the_keeping(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = EngineCache(tmp_path / "file" / "cache")
    assert cache.store(FACTS, CONTENT) is None
    assert "cannot be kept" in caplog.text
    assert cache.load(FACTS) is None


@posix
def test_a_disk_that_fills_up_while_writing_leaves_nothing_behind(cache: EngineCache) -> None:
    import resource

    path = kept(cache)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert cache.store({"model": "big"}, bytes(100_000)) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    cache.path({"model": "big"}).mkdir()  # no file can be moved onto a folder
    assert cache.store({"model": "big"}, CONTENT) is None
    assert [p for p in path.parent.iterdir() if p.is_file()] == [path]


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    small = EngineCache(tmp_path / "engines", limit_bytes=3000)
    names = [{"n": n} for n in range(4)]
    for day, facts in enumerate(names[:3]):
        path = small.store(facts, bytes(800))
        assert path is not None
        os.utime(path, ns=(day, day))
    assert small.load(names[0])  # used: now it is the newest
    small.store(names[3], bytes(800))
    assert [small.load(facts) is not None for facts in names] == [True, False, True, True]


def test_its_place_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    assert open_cache().path(FACTS).is_relative_to(tmp_path)
