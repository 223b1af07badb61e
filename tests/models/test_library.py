"""The library of bundles: found by name or folder, verified before use, added whole or not at all, removed."""

import errno
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bundles import a_bundle, network_of, one_line

from realtime.cli.models import add_model
from realtime.errors import ConfigError, DeviceError, ModelError
from realtime.inference.file_kind import LEGACY_MAGIC
from realtime.models.atomic_dir import atomic_dir
from realtime.models.bundle import Bundle, _known_hash, hash_file, open_bundle
from realtime.models.library import BUNDLES, Broken, add_file, add_folder, built_in_folder, load_bundle


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty place for the user's bundles."""
    return tmp_path / "home" / "models"


@pytest.fixture
def dfm(tmp_path: Path) -> Path:
    file = tmp_path / "My Friend_320.dfm"
    file.write_bytes(b"weights" * 1000)
    return file


def added(file: Path, inspect: Callable[[Path], object] = lambda _: None, **given: Any) -> Bundle:
    return add_file(file, inspect=inspect, **{"identity": "self", "statement": "Me."} | given)


def nothing_in(home: Path) -> bool:
    return not home.exists() or not list(home.iterdir())


def test_a_bundle_is_loaded_by_name_and_by_folder(home: Path) -> None:
    folder = a_bundle(home / "eve")
    bundle = load_bundle("eve")
    assert bundle == load_bundle(folder) == load_bundle(str(folder)) == load_bundle(f"{folder}/")
    assert (bundle.name, bundle.card.title, bundle.folder) == ("eve", "Eve", folder.resolve())
    assert bundle.path("swap.onnx").read_bytes() == network_of("eve")
    assert bundle.preview == folder.resolve() / "preview.jpg"
    assert bundle.model == "swap.onnx"
    assert "lists no file" in one_line(lambda: bundle.path("../../secret"))
    (folder / "preview.jpg").unlink()
    (folder / "preview.jpg").symlink_to("/etc/hostname")
    assert load_bundle("eve").preview is None


def test_a_folder_in_the_current_directory_does_not_stand_in_for_a_bundle(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_bundle(home / "eve")
    a_bundle(tmp_path / "eve", title="Impostor")
    monkeypatch.chdir(tmp_path)
    assert load_bundle("eve").card.title == "Eve"
    assert load_bundle("./eve").card.title == load_bundle(Path("eve")).card.title == "Impostor"


@pytest.mark.parametrize("name", ["", "evee", "nobody at all", "..", "a\x1b[2J", "\0", "x" * 9999, "../models"])
def test_an_unknown_name_is_refused_with_what_to_do(home: Path, name: str) -> None:
    a_bundle(home / "eve")
    message = one_line(lambda: load_bundle(name))
    assert "masquerade models" in message or "no model.toml" in message
    assert ("did you mean eve?" in message) is (name == "evee")
    assert len(message) < 300


def test_a_bare_model_file_is_to_be_added_first(tmp_path: Path) -> None:
    (tmp_path / "friend.DFM").write_bytes(b"weights")
    assert "masquerade models add" in one_line(lambda: load_bundle(str(tmp_path / "friend.DFM")))


def test_a_changed_file_is_noticed_even_within_one_process(home: Path) -> None:
    file = a_bundle(home / "eve") / "swap.onnx"
    load_bundle("eve")
    times = os.stat(file)
    file.write_bytes(network_of("eva"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    message = one_line(lambda: load_bundle("eve"))
    assert "swap.onnx is not the file its card names" in message
    assert "get it again" in message


def test_a_file_is_hashed_once_in_a_process(home: Path) -> None:
    file = a_bundle(home / "eve") / "swap.onnx"
    load_bundle("eve")
    known = _known_hash.cache_info().misses
    load_bundle("eve")
    assert _known_hash.cache_info().misses == known
    file.unlink()
    file.write_bytes(network_of("eve"))  # the same bytes, but written anew
    load_bundle("eve")
    assert _known_hash.cache_info().misses == known + 1


def link_out(file: Path) -> None:
    shutil.move(file, file.parents[3] / "elsewhere")
    file.symlink_to(file.parents[3] / "elsewhere")


@pytest.mark.parametrize(
    ("file", "spoil", "says"),
    [
        ("swap.onnx", Path.unlink, "swap.onnx is missing"),
        ("swap.onnx", lambda file: (file.unlink(), file.mkdir()), "swap.onnx is not a file"),
        ("swap.onnx", lambda file: os.truncate(file, 1 << 40), "larger than 2 GiB"),  # a hole: it takes no room
        ("swap.onnx", lambda file: (file.unlink(), os.mkfifo(file)), "not a file"),
        ("model.toml", lambda file: (file.unlink(), os.mkfifo(file)), "no model.toml"),
        ("swap.onnx", link_out, "swap.onnx is a link out of the folder"),
        ("model.toml", link_out, "model.toml is a link out of the folder"),
        ("swap.onnx", lambda file: (file.unlink(), file.symlink_to(file.name)), "swap.onnx"),  # a loop
        ("model.toml", lambda file: (file.unlink(), file.symlink_to(file.name)), "model.toml"),
        ("model.toml", Path.unlink, "no model.toml"),
    ],
)
def test_what_is_not_a_file_of_the_bundle_is_refused(
    home: Path, file: str, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(a_bundle(home / "eve") / file)
    assert says in one_line(lambda: load_bundle("eve"))


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


def test_the_list_holds_the_broken_ones_with_their_reason(home: Path) -> None:
    a_bundle(home / "eve")
    a_bundle(home / "mallory", name="alice")
    for folder in ("empty", ".unfinished-x", "a\x1b[2Jb"):
        (home / folder).mkdir()
    own = {b.name: b for b in BUNDLES.entries() if b.folder.parent == home}
    assert list(own) == ["a\\x1b[2Jb", "empty", "eve", "mallory"]
    assert isinstance(own["eve"], Bundle)
    for name, says in (("empty", "no model.toml"), ("mallory", "its card names it alice")):
        broken = own[name]
        assert isinstance(broken, Broken)
        assert says in broken.reason
        assert says in one_line(partial(load_bundle, name))


def test_what_is_built_in_is_whole_and_looking_makes_nothing(home: Path) -> None:
    built_in = BUNDLES.entries()
    assert {"ada", "motion", "lip-sync", "face"} <= {b.name for b in built_in}
    assert all(isinstance(b, Bundle) and b.folder.parent == built_in_folder() for b in built_in)
    assert "no bundle at" in one_line(lambda: load_bundle(home / "nowhere"))
    assert BUNDLES.own == home
    assert not home.exists()


def test_two_networks_in_one_bundle_are_not_guessed_between(home: Path) -> None:
    made = a_bundle(home / "made")
    bundle = a_bundle(home / "eve", files=dict.fromkeys(("swap.onnx", "b.dfm"), hash_file(made / "swap.onnx")))
    for file in ("swap.onnx", "b.dfm"):
        shutil.copy(made / "swap.onnx", bundle / file)
    assert "b.dfm and swap.onnx" in one_line(lambda: open_bundle(bundle).model)


def test_a_built_in_bundle_stays_and_its_name_is_taken(home: Path, dfm: Path) -> None:
    assert "only your own" in one_line(lambda: BUNDLES.remove("ada"), ConfigError)
    assert "already" in one_line(lambda: added(dfm, name="ada"), ConfigError)
    a_bundle(home / "ada", name="ada")
    assert isinstance(next(b for b in BUNDLES.entries() if b.folder == home / "ada"), Broken)
    assert load_bundle("ada").folder.parent == built_in_folder()
    BUNDLES.remove("ada")
    assert not (home / "ada").exists()


def test_a_dfm_becomes_a_bundle_that_says_whose_face_it_is(home: Path, dfm: Path) -> None:
    statement = "My friend Ö. Müller, who agreed in writing on 2026-11-01."
    bundle = added(dfm, identity="consented", statement=f" {statement} ", face_type="head")
    assert bundle == load_bundle("my-friend_320")
    card = bundle.card
    assert (card.title, card.family, card.licence) == ("My Friend 320", "swap", "unknown")
    assert (card.identity.kind, card.identity.statement) == ("consented", statement)
    assert (card.input.size, card.input.face_type) == (None, "head"), "the .dfm says its size itself"
    assert bundle.path(bundle.model).read_bytes() == dfm.read_bytes()
    assert card.training["source"] == "My Friend_320.dfm"
    assert sorted(f.name for f in bundle.folder.iterdir()) == ["model.toml", "my-friend_320.dfm"]
    assert tomllib.loads((bundle.folder / "model.toml").read_text(encoding="utf-8"))["schema"] == 1
    assert "already" in one_line(lambda: added(dfm, name="my-friend_320"), ConfigError)
    assert load_bundle("my-friend_320") == bundle
    BUNDLES.remove("my-friend_320")
    assert nothing_in(home)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"identity": None}, "--identity"),
        ({"identity": "none"}, "--identity"),
        ({"identity": "famous\n"}, "--identity"),
        ({"statement": None}, "--statement"),
        ({"statement": " \n "}, "--statement"),
        ({"statement": "Me.\nAnd more."}, "--statement"),
        ({"statement": "x" * 501}, "longer than 500"),
        ({"face_type": "whole"}, "--face-type"),
        ({"name": "../eve"}, "--name"),
        ({"name": "Eve"}, "--name"),
        ({"title": "\x1b[2J"}, "--title"),
        ({"title": "T" * 81}, "--title"),
    ],
)
def test_wrong_arguments_add_nothing(home: Path, dfm: Path, arguments: dict[str, str | None], says: str) -> None:
    assert says in one_line(lambda: added(dfm, **arguments), ConfigError)
    assert nothing_in(home)


def test_wrong_files_add_nothing(home: Path, tmp_path: Path) -> None:
    for name, content in {
        "empty.dfm": b"",
        "face.png": b"\x89PNG\r\n\x1a\n",
        "lips.pth": b"\x80\x02\x8a\x0a" + LEGACY_MAGIC,
        "人.dfm": b"weights",
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "endless.dfm").touch()
    os.truncate(tmp_path / "endless.dfm", 1 << 40)
    for name, says, kind in (
        ("missing.dfm", "no file", ConfigError),
        ("empty.dfm", "is empty", ModelError),
        ("endless.dfm", "larger than any .dfm", ModelError),
        ("face.png", "is a PNG picture, neither a .dfm nor", ModelError),
        ("lips.pth", "or masquerade export makes a bundle of it", ModelError),
        ("人.dfm", "--name", ConfigError),
    ):
        assert says in one_line(partial(added, tmp_path / name), kind)
    assert not home.exists()


@pytest.mark.parametrize(
    "fault", [ModelError("it is no .dfm"), OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_refusal_a_full_disk_or_an_interruption_leaves_nothing(home: Path, dfm: Path, fault: BaseException) -> None:
    def fail(copy: Path) -> None:
        assert copy.exists()
        raise fault

    with pytest.raises((ModelError, DeviceError, KeyboardInterrupt)) as caught:
        added(dfm, fail)
    assert nothing_in(home)
    if isinstance(caught.value, DeviceError):
        assert "No space left on device" in str(caught.value)
        assert "MASQUERADE_HOME" in str(caught.value)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path, dfm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "file"))
    one_line(lambda: added(dfm), DeviceError)


def test_what_a_killed_program_left_is_swept_a_day_later(home: Path, dfm: Path) -> None:
    home.mkdir(parents=True)
    old, young = (Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home)) for _ in range(2))
    os.utime(old, (0, 0))
    added(dfm)
    assert not old.exists()
    assert young.exists(), "another program may be at it"


def test_a_bundles_folder_is_copied_with_what_people_keep(home: Path, tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "download")
    (folder / "LICENSE.txt").write_text("CC0")
    (folder / "evil.py").write_text("boom()")
    bundle = add_model(folder)
    assert bundle == load_bundle("eve")
    assert bundle.folder == home.resolve() / "eve"
    kept = sorted(f.name for f in bundle.folder.iterdir())
    assert kept == ["LICENSE.txt", "model.toml", "preview.jpg", "swap.onnx"]
    assert "already" in one_line(lambda: add_folder(folder), ConfigError)
    for given in ({"identity": "self"}, {"name": "other"}, {"face_type": "head"}):
        assert "its own card" in one_line(partial(add_model, folder, **given), ConfigError)


def anonymous(folder: Path, **changes: object) -> Path:
    """A good bundle but for the [identity] that its card lacks, as the export of a foreign model writes it."""
    a_bundle(folder, **changes)
    card = folder / "model.toml"
    kept = card.read_text(encoding="utf-8").replace('[identity]\nkind = "synthetic"\nstatement = "Nobody."\n', "")
    assert "\n[identity]\nkind" not in kept
    card.write_text(kept, encoding="utf-8")
    return folder


def test_a_bundle_without_an_identity_gets_one(home: Path, tmp_path: Path) -> None:
    folder = anonymous(tmp_path / "export", training={"notes": 'three\n"lines"\n[identity]'})
    before = (folder / "model.toml").read_bytes()
    assert "masquerade models add" in one_line(lambda: add_model(folder))
    for given, says in (
        ({"statement": "Me."}, "--identity"),
        ({"identity": "self"}, "--statement"),
        ({"identity": "famous", "statement": "Me."}, "famous"),
        ({"identity": "self", "statement": "a\nb"}, "--statement"),
    ):
        assert says in one_line(partial(add_model, folder, **given), ConfigError)
    assert not home.exists()
    statement = 'Ö "quoted" \\ [files] # me'
    bundle = add_model(folder, identity="consented", statement=statement)
    assert (bundle.card.identity.kind, bundle.card.identity.statement) == ("consented", statement)
    assert bundle.folder == home.resolve() / "eve"
    assert (folder / "model.toml").read_bytes() == before, "what was handed over stays as it is"


def test_a_bad_bundles_folder_is_not_copied(home: Path, tmp_path: Path) -> None:
    folder, altered = a_bundle(tmp_path / "download"), anonymous(tmp_path / "export")
    for bundle in (folder, altered):
        (bundle / "swap.onnx").write_bytes(b"other")
    one_line(lambda: add_model(folder))
    one_line(lambda: add_model(a_bundle(tmp_path / "nobody", identity={"kind": "none"})))
    assert "not the file its card" in one_line(lambda: add_model(altered, identity="self", statement="Me."))
    assert not home.exists()


def test_add_takes_what_the_command_gives(home: Path, dfm: Path) -> None:
    assert "--identity" in one_line(lambda: add_model(dfm), ConfigError)
    assert "--statement" in one_line(lambda: add_model(dfm, identity="self"), ConfigError)
    message = one_line(lambda: add_model(dfm, identity="self", statement="Me."))
    assert "ONNX" in message, "the real runtime looked at it"
    assert nothing_in(home)


@pytest.mark.parametrize("name", ["", ".", "..", "../models", "nobody", "/", "e*"])
def test_only_what_is_there_can_be_removed(home: Path, name: str) -> None:
    a_bundle(home / "eve")
    one_line(lambda: BUNDLES.remove(name))
    assert load_bundle("eve").name == "eve"
    (home / "My Broken One").mkdir()
    BUNDLES.remove("My Broken One")
    assert [folder.name for folder in home.iterdir()] == ["eve"]


def fill(target: Path, then: Callable[[], object] = lambda: None) -> None:
    with atomic_dir(target, do="choose another") as folder:
        (folder / "a").write_text("1")
        assert not target.exists() or not list(target.iterdir())
        then()


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_appears_with_all_that_was_written(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "eve").mkdir()
    fill(tmp_path / "eve")
    assert (tmp_path / "eve" / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["eve"]


def test_what_came_meanwhile_stays(tmp_path: Path) -> None:
    def theirs() -> None:
        (tmp_path / "eve").mkdir()
        (tmp_path / "eve" / "theirs").touch()

    line = one_line(lambda: fill(tmp_path / "eve", theirs), DeviceError)
    assert "meanwhile" in line
    assert line.endswith("choose another")
    assert os.listdir(tmp_path) == ["eve"]
    assert os.listdir(tmp_path / "eve") == ["theirs"]


def test_a_place_that_takes_no_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("none", "file"):
        assert "cannot be stored in" in one_line(partial(fill, tmp_path / place / "eve"), DeviceError)
