"""Bundles on the shelf: found by name or folder, and verified before anything uses them."""

import os
import shutil
from pathlib import Path

import pytest
from bundles import a_bundle, network_of, one_line

from realtime.models.bundle import Bundle, _known_hash, hash_file, open_bundle
from realtime.models.library import BUNDLES, Broken, built_in_folder, load_bundle


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for the user's bundles."""
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def test_a_bundle_is_loaded_by_name_and_by_folder(home: Path) -> None:
    folder = a_bundle(home / "eve")
    bundle = load_bundle("eve")
    assert bundle == load_bundle(folder) == load_bundle(str(folder)) == load_bundle(f"{folder}/")
    assert (bundle.name, bundle.card.title, bundle.folder) == ("eve", "Eve", folder.resolve())
    assert bundle.path("swap.onnx").read_bytes() == network_of("eve")
    assert bundle.preview == folder.resolve() / "preview.jpg"
    assert bundle.model == "swap.onnx"
    assert "lists no file" in one_line(lambda: bundle.path("../../secret"))


def test_a_folder_in_the_current_directory_does_not_stand_in_for_a_bundle(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_bundle(home / "eve")
    a_bundle(tmp_path / "eve", title="Impostor")
    monkeypatch.chdir(tmp_path)
    assert load_bundle("eve").card.title == "Eve"
    assert load_bundle("./eve").card.title == "Impostor"
    assert load_bundle(Path("eve")).card.title == "Impostor"


@pytest.mark.parametrize("name", ["", "evee", "nobody at all", "..", "a\x1b[2J", "\0", "x" * 9999, "../models"])
def test_an_unknown_name_is_refused_with_what_to_do(home: Path, name: str) -> None:
    a_bundle(home / "eve")
    message = one_line(lambda: load_bundle(name))
    assert "masquerade models" in message or "no model.toml" in message
    assert ("did you mean eve?" in message) is (name == "evee")
    assert len(message) < 300


def test_a_bare_model_file_is_to_be_added_first(home: Path, tmp_path: Path) -> None:
    dfm = tmp_path / "friend.DFM"
    dfm.write_bytes(b"weights")
    assert "masquerade models add" in one_line(lambda: load_bundle(str(dfm)))


def test_a_changed_file_is_noticed_even_within_one_process(home: Path) -> None:
    folder = a_bundle(home / "eve")
    load_bundle("eve")
    times = os.stat(folder / "swap.onnx")
    (folder / "swap.onnx").write_bytes(network_of("eva"))
    os.utime(folder / "swap.onnx", ns=(times.st_atime_ns, times.st_mtime_ns))
    message = one_line(lambda: load_bundle("eve"))
    assert "swap.onnx is not the file its card names" in message
    assert "get the bundle again" in message


def test_a_file_is_hashed_once_in_a_process(home: Path) -> None:
    a_bundle(home / "eve")
    load_bundle("eve")
    known = _known_hash.cache_info().misses
    load_bundle("eve")
    assert _known_hash.cache_info().misses == known
    (home / "eve" / "swap.onnx").unlink()
    (home / "eve" / "swap.onnx").write_bytes(network_of("eve"))  # the same bytes, but written anew
    load_bundle("eve")
    assert _known_hash.cache_info().misses == known + 1


def test_what_is_missing_or_no_file_is_refused(home: Path) -> None:
    folder = a_bundle(home / "eve")
    (folder / "swap.onnx").unlink()
    assert "swap.onnx is missing" in one_line(lambda: load_bundle("eve"))
    (folder / "swap.onnx").mkdir()
    assert "swap.onnx is not a file" in one_line(lambda: load_bundle("eve"))
    (folder / "model.toml").unlink()
    assert "no model.toml" in one_line(lambda: load_bundle("eve"))
    assert "no bundle at" in one_line(lambda: load_bundle(home / "nowhere"))


def test_an_endless_file_is_not_hashed(home: Path) -> None:
    folder = a_bundle(home / "eve")
    os.truncate(folder / "swap.onnx", 1 << 40)  # a hole: it takes no room
    assert "larger than 2 GiB" in one_line(lambda: load_bundle("eve"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("file", ["swap.onnx", "model.toml"])
def test_a_pipe_does_not_make_it_wait(home: Path, file: str) -> None:
    folder = a_bundle(home / "eve")
    (folder / file).unlink()
    os.mkfifo(folder / file)
    one_line(lambda: load_bundle("eve"))


@pytest.mark.parametrize("file", ["swap.onnx", "model.toml"])
def test_a_link_out_of_the_folder_is_refused(home: Path, tmp_path: Path, file: str) -> None:
    folder = a_bundle(home / "eve")
    shutil.move(folder / file, tmp_path / "elsewhere")
    (folder / file).symlink_to(tmp_path / "elsewhere")
    assert f"{file} is a link out of the folder" in one_line(lambda: load_bundle("eve"))
    (folder / file).unlink()
    (folder / file).symlink_to(file)  # a loop
    one_line(lambda: load_bundle("eve"))


def test_links_that_stay_inside_and_a_linked_folder_are_fine(home: Path, tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "work" / "eve")
    (folder / "swap.onnx").rename(folder / "v1.onnx")
    (folder / "swap.onnx").symlink_to("v1.onnx")
    home.mkdir(parents=True)
    (home / "eve").symlink_to(folder)
    assert load_bundle("eve").name == "eve"
    BUNDLES.remove("eve")
    assert not (home / "eve").is_symlink()
    assert (folder / "v1.onnx").exists(), "only the link was ours to remove"


def test_a_preview_that_is_a_link_is_not_shown(home: Path) -> None:
    folder = a_bundle(home / "eve")
    (folder / "preview.jpg").unlink()
    (folder / "preview.jpg").symlink_to("/etc/hostname")
    assert load_bundle("eve").preview is None


def test_the_list_holds_the_broken_ones_with_their_reason(home: Path) -> None:
    a_bundle(home / "eve")
    a_bundle(home / "mallory", name="alice")
    (home / "empty").mkdir()
    (home / ".unfinished-x").mkdir()
    (home / "a\x1b[2Jb").mkdir()
    own = {b.name: b for b in BUNDLES.entries() if b.folder.parent == home}
    assert list(own) == ["a\\x1b[2Jb", "empty", "eve", "mallory"]
    assert isinstance(own["eve"], Bundle)
    for name, says in (("empty", "no model.toml"), ("mallory", "its card names it alice")):
        broken = own[name]
        assert isinstance(broken, Broken)
        assert says in broken.reason
        assert says in one_line(lambda name=name: load_bundle(name))  # type: ignore[misc]


def test_without_a_shelf_there_are_only_the_built_in_bundles(home: Path) -> None:
    assert all(b.folder.parent == built_in_folder() for b in BUNDLES.entries())
    assert BUNDLES.own == home
    assert not home.exists(), "looking makes nothing"


def test_everything_built_in_is_whole(home: Path) -> None:
    assert [b.reason for b in BUNDLES.entries() if isinstance(b, Broken)] == []


def test_two_networks_in_one_bundle_are_not_guessed_between(home: Path) -> None:
    folder = a_bundle(home / "eve")
    (folder / "b.dfm").write_bytes(b"b")
    both = {f: hash_file(folder / f) for f in ("swap.onnx", "b.dfm")}
    shutil.rmtree(folder)
    folder = a_bundle(folder, files=both)
    (folder / "b.dfm").write_bytes(b"b")
    bundle = open_bundle(folder)
    assert "b.dfm and swap.onnx" in one_line(lambda: bundle.model)
