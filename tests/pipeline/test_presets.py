"""Settings by name: kept, used, refused where they are damaged."""

import json
from pathlib import Path

import pytest
from bundles import one_line

from realtime.errors import ConfigError
from realtime.pipeline.presets import MOST_PRESETS, Presets
from realtime.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "presets.json"


def test_a_preset_keeps_the_look_and_not_the_moment(file: Path) -> None:
    presets = Presets(file)
    assert presets.names() == []
    presets.save(" Évening ", Settings(sharpen=90, panic=True, reference=7, model="ada", background="#112233"))
    presets.save("Day", Settings(background="/somewhere/mine.png"))
    again = Presets(file)
    assert again.names() == ["Day", "Évening"]
    kept = again.change("Évening")
    assert kept["sharpen"] == 90
    assert kept["model"] == "ada"
    assert kept["background"] == "#112233"
    assert not kept.keys() & {"panic", "reference"}
    assert "background" not in again.change("Day")
    assert not list(file.parent.glob(".presets-*"))


def test_saving_again_replaces_and_removing_forgets(file: Path) -> None:
    presets = Presets(file)
    presets.save("a", Settings(sharpen=1))
    presets.save("a", Settings(sharpen=2))
    assert presets.change("a")["sharpen"] == 2
    presets.remove("a")
    assert presets.names() == []
    assert "no preset 'a'" in one_line(lambda: presets.remove("a"), ConfigError)
    assert "no preset 'a'" in one_line(lambda: presets.change("a"), ConfigError)


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\nb", "\x1b[31m", "\u202ereversed"])
def test_names_that_cannot_be_shown_are_refused(file: Path, name: str) -> None:
    one_line(lambda: Presets(file).save(name, Settings()), ConfigError)
    assert not file.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/root", "con", "a;b", "<img src=x onerror=alert(1)>"])
def test_a_name_is_no_path_and_no_markup(file: Path, name: str) -> None:
    presets = Presets(file)
    presets.save(name, Settings())
    assert presets.names() == [name]
    assert [path.name for path in file.parent.iterdir()] == ["presets.json"]


def test_so_many_and_no_more(file: Path) -> None:
    presets = Presets(file)
    for number in range(MOST_PRESETS):
        presets.save(str(number), Settings())
    assert str(MOST_PRESETS) in one_line(lambda: presets.save("more", Settings()), ConfigError)
    presets.save("7", Settings(sharpen=3))  # in place of an old one there is room


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"presets": []}', '{"presets": {"a": 1}}', "[" * 10_000, " " * 300_000],
    ids=lambda t: t[:20],
)
def test_a_damaged_file_is_named_and_left_alone(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    assert "damaged" in one_line(Presets(file).names, ConfigError)
    one_line(lambda: Presets(file).save("a", Settings()), ConfigError)
    assert file.read_text(encoding="utf-8") == text


def test_a_preset_written_by_hand_is_checked_and_what_is_unknown_left_out(file: Path) -> None:
    file.parent.mkdir()
    table = {
        "good": {"sharpen": 5, "of_the_future": 1, "panic": True},
        "bad": {"sharpen": "5"},
        "odd": {"mask_blur": 999},
    }
    file.write_text(json.dumps({"schema": 1, "presets": table}), encoding="utf-8")
    presets = Presets(file)
    assert presets.change("good") == {"sharpen": 5}
    assert "save it anew" in one_line(lambda: presets.change("bad"), ConfigError)
    assert "save it anew" in one_line(lambda: presets.change("odd"), ConfigError)
