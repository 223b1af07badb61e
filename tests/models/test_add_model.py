"""Adding and removing bundles: whole or not at all, and whose face it is always recorded."""

import errno
import os
import tempfile
import tomllib
from pathlib import Path

import pytest
from bundles import a_bundle, one_line

from realtime.cli.models import add_model
from realtime.errors import ConfigError, DeviceError, ModelError
from realtime.models.library import BUNDLES, Broken, add_file, add_folder, built_in_folder, load_bundle


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for the user's bundles."""
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def dfm(tmp_path: Path) -> Path:
    file = tmp_path / "My Friend_320.dfm"
    file.write_bytes(b"weights" * 1000)
    return file


def whole(_: Path) -> None:
    pass


def test_a_built_in_bundle_stays_and_its_name_is_taken(home: Path, dfm: Path, tmp_path: Path) -> None:
    names = [b.name for b in BUNDLES.entries() if b.folder.parent == built_in_folder()]
    if not names:
        pytest.skip("nothing is built in yet")
    assert "only your own" in one_line(lambda: BUNDLES.remove(names[0]), ConfigError)
    assert "already" in one_line(
        lambda: add_file(dfm, name=names[0], identity="self", statement="Me.", inspect=whole), ConfigError
    )
    a_bundle(home / names[0], name=names[0])
    hidden = [b for b in BUNDLES.entries() if b.folder == home / names[0]]
    assert isinstance(hidden[0], Broken)
    assert load_bundle(names[0]).folder.parent == built_in_folder()
    BUNDLES.remove(names[0])
    assert not (home / names[0]).exists()


def test_a_dfm_becomes_a_bundle_that_says_whose_face_it_is(home: Path, dfm: Path) -> None:
    statement = "My friend Ö. Müller, who agreed in writing on 2026-11-01."
    bundle = add_file(dfm, identity="consented", statement=f" {statement} ", face_type="head", inspect=whole)
    assert bundle == load_bundle("my-friend_320")
    card = bundle.card
    assert (card.title, card.family, card.licence) == ("My Friend 320", "swap", "unknown")
    assert (card.identity.kind, card.identity.statement) == ("consented", statement)
    assert (card.input.size, card.input.face_type) == (None, "head"), "the .dfm says its size itself"
    assert bundle.path(bundle.model).read_bytes() == dfm.read_bytes()
    assert card.training["source"] == "My Friend_320.dfm"
    assert sorted(f.name for f in bundle.folder.iterdir()) == ["model.toml", "my-friend_320.dfm"]
    assert tomllib.loads((bundle.folder / "model.toml").read_text(encoding="utf-8"))["schema"] == 1
    BUNDLES.remove("my-friend_320")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"identity": None}, "--identity"),
        ({"identity": "none"}, "--identity"),
        ({"identity": "famous\n"}, "--identity"),
        ({"statement": None}, "--statement"),
        ({"statement": " \n "}, "--statement"),
        ({"statement": "Me.\nAnd more."}, "--statement"),
        ({"statement": "x" * 501}, "--statement"),
        ({"face_type": "whole"}, "--face-type"),
        ({"name": "../eve"}, "--name"),
        ({"name": "Eve"}, "--name"),
        ({"title": "\x1b[2J"}, "--title"),
        ({"title": "T" * 81}, "--title"),
    ],
)
def test_wrong_arguments_add_nothing(home: Path, dfm: Path, arguments: dict[str, str | None], says: str) -> None:
    given = {"identity": "self", "statement": "Me."} | arguments
    message = one_line(lambda: add_file(dfm, inspect=whole, **given), ConfigError)  # type: ignore[arg-type]
    assert says in message
    assert not home.exists() or list(home.iterdir()) == []


def test_wrong_files_add_nothing(home: Path, dfm: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.dfm").touch()
    (tmp_path / "endless.dfm").touch()
    os.truncate(tmp_path / "endless.dfm", 1 << 40)  # a hole: it takes no room
    (tmp_path / "face.png").write_bytes(b"png")
    (tmp_path / "人.dfm").write_bytes(b"weights")

    def adding(file: str) -> str:
        return one_line(lambda: add_file(tmp_path / file, identity="self", statement="Me.", inspect=whole), ConfigError)

    assert "no file" in adding("missing.dfm")
    assert "is empty" in adding("empty.dfm")
    assert "larger than any .dfm" in adding("endless.dfm")
    assert "neither a .dfm nor" in adding("face.png")
    assert "--name" in adding("人.dfm")
    assert not home.exists()


def test_the_same_name_twice_is_refused_and_the_first_stays(home: Path, dfm: Path) -> None:
    add_file(dfm, name="eve", identity="self", statement="Me.", inspect=whole)
    assert "already" in one_line(
        lambda: add_file(dfm, name="eve", identity="synthetic", statement="Other.", inspect=whole),
        ConfigError,
    )
    assert load_bundle("eve").card.identity.statement == "Me."
    assert [f.name for f in home.iterdir()] == ["eve"]


def test_a_network_that_is_refused_leaves_nothing(home: Path, dfm: Path) -> None:
    def refuse(_: Path) -> None:
        raise ModelError("it is no .dfm: export it again")

    one_line(lambda: add_file(dfm, identity="self", statement="Me.", inspect=refuse))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_nothing(home: Path, dfm: Path, fault: BaseException) -> None:
    def fail(copy: Path) -> None:
        assert copy.exists()
        raise fault

    with pytest.raises((DeviceError, KeyboardInterrupt)) as caught:
        add_file(dfm, identity="self", statement="Me.", inspect=fail)
    assert list(home.iterdir()) == []
    if isinstance(caught.value, DeviceError):
        assert "No space left on device" in str(caught.value)
        assert "MASQUERADE_HOME" in str(caught.value)


def test_a_shelf_that_cannot_be_made_says_so(tmp_path: Path, dfm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "file"))
    one_line(lambda: add_file(dfm, identity="self", statement="Me.", inspect=whole), DeviceError)


def test_what_a_killed_program_left_is_swept_a_day_later(home: Path, dfm: Path) -> None:
    home.mkdir(parents=True)
    old, young = (Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home)) for _ in range(2))
    os.utime(old, (0, 0))
    add_file(dfm, name="eve", identity="self", statement="Me.", inspect=whole)
    assert not old.exists()
    assert young.exists(), "another program may be at it"


def test_a_bundles_folder_is_copied_with_what_people_keep(home: Path, tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "download")
    (folder / "LICENSE.txt").write_text("CC0")
    (folder / "evil.py").write_text("boom()")
    bundle = add_model(folder)
    assert bundle.folder == home.resolve() / "eve"
    kept = sorted(f.name for f in bundle.folder.iterdir())
    assert kept == ["LICENSE.txt", "model.toml", "preview.jpg", "swap.onnx"]
    assert "already" in one_line(lambda: add_folder(folder), ConfigError)
    assert "its own card" in one_line(lambda: add_model(folder, identity="self"), ConfigError)


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
    assert "--identity" in one_line(lambda: add_model(folder, statement="Me."), ConfigError)
    assert "--statement" in one_line(lambda: add_model(folder, identity="self"), ConfigError)
    assert "famous" in one_line(lambda: add_model(folder, identity="famous", statement="Me."), ConfigError)
    assert "--statement" in one_line(lambda: add_model(folder, identity="self", statement="a\nb"), ConfigError)
    assert not home.exists()
    statement = 'Ö "quoted" \\ [files] # me'
    bundle = add_model(folder, identity="consented", statement=statement)
    assert (bundle.card.identity.kind, bundle.card.identity.statement) == ("consented", statement)
    assert bundle.folder == home.resolve() / "eve"
    assert (folder / "model.toml").read_bytes() == before, "what was handed over stays as it is"


def test_an_altered_bundle_gets_no_identity(home: Path, tmp_path: Path) -> None:
    folder = anonymous(tmp_path / "export")
    (folder / "swap.onnx").write_bytes(b"other")
    assert "not the file its card names" in one_line(lambda: add_model(folder, identity="self", statement="Me."))
    assert not home.exists()


def test_a_bad_bundles_folder_is_not_copied(home: Path, tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "download")
    (folder / "swap.onnx").write_bytes(b"other")
    one_line(lambda: add_model(folder))
    one_line(lambda: add_model(a_bundle(tmp_path / "anonymous", identity={"kind": "none"})))
    assert not home.exists()


def test_add_takes_what_the_command_gives(home: Path, dfm: Path) -> None:
    assert "--identity" in one_line(lambda: add_model(dfm), ConfigError)
    assert "--statement" in one_line(lambda: add_model(dfm, identity="self"), ConfigError)
    message = one_line(lambda: add_model(dfm, identity="self", statement="Me."))
    assert "ONNX" in message, "the real runtime looked at it"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../models", "nobody", "/", "e*"])
def test_only_what_is_there_can_be_removed(home: Path, name: str) -> None:
    a_bundle(home / "eve")
    one_line(lambda: BUNDLES.remove(name))
    assert load_bundle("eve").name == "eve"


def test_a_broken_bundle_can_be_removed(home: Path) -> None:
    (home / "My Broken One").mkdir(parents=True)
    BUNDLES.remove("My Broken One")
    assert list(home.iterdir()) == []
