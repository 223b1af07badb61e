"""A folder is there whole, or nothing is."""

import os
from pathlib import Path

import pytest
from bundles import one_line

from realtime.errors import DeviceError
from realtime.models.atomic_dir import atomic_dir


def test_it_appears_with_all_that_was_written(tmp_path: Path) -> None:
    with atomic_dir(tmp_path / "eve", do="x") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "eve").exists()
    assert (tmp_path / "eve" / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["eve"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, MemoryError])
def test_a_fault_leaves_nothing(tmp_path: Path, fault: type[BaseException]) -> None:
    def write() -> None:
        with atomic_dir(tmp_path / "eve", do="x") as folder:
            (folder / "a").write_text("1")
            raise fault

    with pytest.raises(fault):
        write()
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "eve").mkdir()
    with atomic_dir(tmp_path / "eve", do="x") as folder:
        (folder / "a").write_text("1")
    assert (tmp_path / "eve" / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["eve"]


def test_what_came_meanwhile_stays(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_dir(tmp_path / "eve", do="choose another") as folder:
            (folder / "a").write_text("1")
            (tmp_path / "eve").mkdir()
            (tmp_path / "eve" / "theirs").touch()

    line = one_line(write, DeviceError)
    assert "meanwhile" in line
    assert line.endswith("choose another")
    assert os.listdir(tmp_path) == ["eve"]
    assert os.listdir(tmp_path / "eve") == ["theirs"]


def test_a_place_that_takes_nothing_says_so(tmp_path: Path) -> None:
    def write(target: Path) -> None:
        with atomic_dir(target, do="choose another"):
            raise AssertionError("there is nothing to fill")

    assert "cannot be stored in" in one_line(lambda: write(tmp_path / "none" / "eve"), DeviceError)
    (tmp_path / "file").touch()
    assert "choose another" in one_line(lambda: write(tmp_path / "file" / "eve"), DeviceError)
