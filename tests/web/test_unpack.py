"""A bundle from a .zip: plain files in one folder, and nothing else."""

import stat
import zipfile
from pathlib import Path

import pytest
from bundles import a_bundle, one_line

from realtime.errors import ConfigError
from realtime.models.library import load_bundle
from realtime.web.unpack import MOST_FILES, unpack

CARD = ("model.toml", b"schema = 1")


def archive(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in entries:
            opened.writestr(name, data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("inside", ["", "eve/"])
def test_a_packed_bundle_is_the_bundle(tmp_path: Path, folder: Path, inside: str) -> None:
    bundle = a_bundle(tmp_path / "eve")
    files = [(f"{inside}{file.name}", file.read_bytes()) for file in bundle.iterdir()]
    unpack(archive(tmp_path / "a.zip", *files, ("__MACOSX/._x", b"x"), (f"{inside}.DS_Store", b"x")), folder)
    assert sorted(file.name for file in folder.iterdir()) == ["model.toml", "preview.jpg", "swap.onnx"]
    assert load_bundle(folder).name == "eve"


@pytest.mark.parametrize(
    "name",
    [
        "../evil.onnx", "a/../../evil.onnx", "/etc/evil.onnx", "a/b/c.onnx", "..", "a/..", "C:\\evil.onnx",
        "a\\..\\evil", "evil.pkl", "evil.so", "con.onnx", ".hidden", "evil\n.onnx",
        "\u202egnp.onnx", "x" * 300 + ".onnx",
    ],
)  # fmt: skip
def test_no_path_and_no_odd_name_reaches_the_disk(tmp_path: Path, folder: Path, name: str) -> None:
    file = archive(tmp_path / "a.zip", (name, b"evil"), CARD)
    one_line(lambda: unpack(file, folder), ConfigError)
    assert not list(folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "in"]


def test_links_are_refused(tmp_path: Path, folder: Path) -> None:
    link = zipfile.ZipInfo("swap.onnx")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = archive(tmp_path / "a.zip", CARD, (link, b"/etc/passwd"))
    assert "link" in one_line(lambda: unpack(file, folder), ConfigError)
    assert not list(folder.iterdir())


def test_a_bomb_is_stopped_by_what_it_unpacks_to(tmp_path: Path, folder: Path) -> None:
    file = archive(tmp_path / "a.zip", CARD, ("swap.onnx", bytes(8 << 20)))
    assert file.stat().st_size < 20_000
    assert "2 GiB" in one_line(lambda: unpack(file, folder, most_bytes=1 << 20), ConfigError)
    assert (folder / "swap.onnx").stat().st_size <= 1 << 20


def test_too_many_files_two_folders_twice_the_same_and_no_card(tmp_path: Path, folder: Path) -> None:
    many = archive(tmp_path / "many.zip", CARD, *((f"f{n}.bin", b"") for n in range(MOST_FILES + 1)))
    assert str(MOST_FILES) in one_line(lambda: unpack(many, folder), ConfigError)
    two = archive(tmp_path / "two.zip", ("a/model.toml", b""), ("b/swap.onnx", b""))
    assert "one folder" in one_line(lambda: unpack(two, folder), ConfigError)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(tmp_path / "twice.zip", CARD, CARD)
    one_line(lambda: unpack(twice, folder), ConfigError)
    assert "model.toml" in one_line(lambda: unpack(archive(tmp_path / "no.zip", ("a.onnx", b"")), folder), ConfigError)


def test_what_is_no_archive_or_a_damaged_one(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "text.zip").write_bytes(b"PK\x03\x04 not really")
    assert "cannot be read" in one_line(lambda: unpack(tmp_path / "text.zip", folder), ConfigError)
    good = archive(tmp_path / "a.zip", ("swap.onnx", b"network " * 1000), CARD)
    raw = bytearray(good.read_bytes())
    raw[50:60] = b"\xff" * 10
    good.write_bytes(raw)
    assert "cannot be read" in one_line(lambda: unpack(good, folder), ConfigError)
    encrypted = bytearray(archive(tmp_path / "b.zip", CARD).read_bytes())
    at = encrypted.index(b"PK\x01\x02") + 8
    encrypted[at] |= 1
    (tmp_path / "b.zip").write_bytes(encrypted)
    assert "encrypted" in one_line(lambda: unpack(tmp_path / "b.zip", folder), ConfigError)
