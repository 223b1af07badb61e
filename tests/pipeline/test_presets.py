"""Settings by name: kept, used, refused where they are damaged."""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line

from realtime.config import RunConfig, Settings
from realtime.errors import ConfigError
from realtime.models.library import AVATARS, add_avatar
from realtime.pipeline.presets import MOST_PRESETS, Presets, keep_session, recall

NOISE = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)


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
    assert (kept["sharpen"], kept["model"], kept["background"]) == (90, "ada", "#112233")
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
    assert {path.name for path in file.parent.iterdir()} == {"presets.json", ".presets.json.lock"}


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
    good = {"sharpen": 5, "of_the_future": 1, "panic": True}
    table = {"good": good, "bad": {"sharpen": "5"}, "odd": {"mask_blur": 999}}
    file.write_text(json.dumps({"schema": 1, "presets": table}), encoding="utf-8")
    presets = Presets(file)
    assert presets.change("good") == {"sharpen": 5}
    for name in ("bad", "odd"):
        assert "save it anew" in one_line(partial(presets.change, name), ConfigError)


def test_the_last_identity_is_shown_again() -> None:
    keep_session(Settings(model="motion", avatar="mira", sharpen=35, mirror=True, panic=True, reference=7))
    config, selection, avatar = recall(RunConfig(), use_last=True)
    assert (selection.bundle.name, avatar) == ("motion", "mira")
    assert "mira" in selection.avatar_names
    assert len(selection.avatar_names) > 1  # the others are ready as well
    assert (config.sharpen, config.mirror, config.panic, config.reference) == (35, True, False, 0)
    config, selection, avatar = recall(RunConfig(), use_last=False)
    assert (selection.bundle.name, avatar, config.sharpen) == ("ada", None, Settings().sharpen)


def test_what_is_asked_for_wins() -> None:
    keep_session(Settings(model="motion", avatar="mira", sharpen=35, mask_blur=40))
    config, selection, avatar = recall(RunConfig(model="fern", sharpen=10), use_last=True)
    assert (selection.bundle.name, avatar, config.sharpen, config.mask_blur) == ("fern", None, 10, 40)
    _, selection, avatar = recall(RunConfig(model="motion", avatar="finn"), use_last=True)
    assert (selection.avatar_names, avatar) == (("finn",), None)


def test_what_shows_the_user_is_not_remembered() -> None:
    keep_session(Settings(on_miss="raw", opacity=0.5, others="show", sharpen=35))
    for config in (RunConfig(), RunConfig(allow_raw=True)):
        began, _, _ = recall(config, use_last=True)
        assert (began.on_miss, began.opacity, began.others, began.sharpen) == ("hold", 1.0, "cover", 35)


def test_the_badge_stays_off_only_where_it_may(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "friend.png"), NOISE)
    add_avatar(tmp_path / "friend.png", identity="consented", statement="A friend who said yes.")
    keep_session(Settings(model="motion", avatar="friend", badge="off"))
    assert recall(RunConfig(), use_last=True)[0].badge == "on"
    keep_session(Settings(model="ada", badge="off"))
    assert recall(RunConfig(), use_last=True)[0].badge == "off"


def test_what_has_gone_is_no_reason_not_to_start(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "twin.png"), NOISE)
    add_avatar(tmp_path / "twin.png", identity="synthetic", statement="Noise.")
    keep_session(Settings(model="motion", avatar="twin", sharpen=35))
    assert recall(RunConfig(), use_last=True)[2] == "twin"
    AVATARS.remove("twin")
    config, selection, avatar = recall(RunConfig(), use_last=True)
    assert (selection.bundle.name, avatar, config.sharpen) == ("motion", None, 35)
    keep_session(Settings(model="a-model-of-mine", sharpen=35))
    config, selection, avatar = recall(RunConfig(), use_last=True)
    assert (selection.bundle.name, avatar, config.sharpen) == ("ada", None, 35)
    file = tmp_path / "home" / "last-look.json"
    for broken in ("", "{", '{"presets": {"last": {"sharpen": "much"}}}', '{"presets": {"last": {"sharpen": 9000}}}'):
        file.write_text(broken, encoding="utf-8")
        config, selection, _ = recall(RunConfig(), use_last=True)
        assert (selection.bundle.name, config.sharpen) == ("ada", Settings().sharpen)
    keep_session(Settings(sharpen=35))  # the damaged file is not touched, and nothing is raised
