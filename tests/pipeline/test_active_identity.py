"""Who is worn: which avatars a run gets, what its files say of them, and when the badge may go."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line
from commands import Call
from fakes import a_face

from realtime.errors import ConfigError
from realtime.families.motion.effect import ReenactmentEffect
from realtime.models.library import ShelvedAvatar, add_avatar
from realtime.pipeline.active_identity import ActiveIdentity, find_role, open_character
from realtime.settings import Settings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))


def shelved(tmp_path: Path, name: str, kind: str) -> ShelvedAvatar:
    file = tmp_path / f"{name}.png"
    cv2.imwrite(str(file), np.full((240, 200, 3), len(name), np.uint8))
    return add_avatar(file, identity=kind, statement="So it is.")


def role(*avatars: ShelvedAvatar) -> ActiveIdentity:
    return ActiveIdentity(find_role("motion", avatars[0].card.name).bundle, avatars)


def test_a_swap_model_has_no_avatars_and_its_own_identity() -> None:
    ada = find_role("ada", None)
    assert ada.avatars == ()
    assert (ada.name, ada.identity_kind, ada.may_hide_badge) == ("ada", "synthetic", True)
    assert "none, as this model shows its own face" in one_line(lambda: ada.check(Settings(avatar="x")), ConfigError)


def test_the_badge_may_go_only_if_it_may_for_every_avatar(tmp_path: Path) -> None:
    me, drawn, friend = (
        shelved(tmp_path, name, kind)
        for name, kind in (("me", "self"), ("drawn", "synthetic"), ("friend", "consented"))
    )
    assert role(me, drawn).may_hide_badge
    assert not role(me, friend).may_hide_badge
    assert role(me, friend).identity_kind == "consented, self"
    assert role(me, friend).name == "motion with me friend"
    role(me, drawn).check(Settings(avatar="drawn"))
    role(me, drawn).check(Settings())
    assert "known are me, drawn" in one_line(lambda: role(me, drawn).check(Settings(avatar="bob")), ConfigError)


def test_a_motion_model_is_opened_with_its_avatars(tmp_path: Path) -> None:
    chosen = role(shelved(tmp_path, "me", "self"), shelved(tmp_path, "other", "self"))
    character = open_character(
        chosen,
        provider="cpu",
        precision="fp32",
        settings=Settings,
        find=lambda pixels: [a_face((100, 120), 100)] if pixels[0, 0, 0] == 2 else [],
    )
    try:
        assert isinstance(character, ReenactmentEffect)
        assert character.title == "me"
        character.prepare((64, 48), Settings())
    finally:
        character.close()


def test_what_cannot_be_worn_is_refused_in_one_line(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "stranger.png"
    cv2.imwrite(str(file), np.full((80, 80, 3), 7, np.uint8))
    common = ("run", "--source", "synthetic", "--output", "null", "--seconds", "1")
    for arguments, code, says in (
        (("--model", "motion", "--avatar", file), 2, "masquerade avatars add"),
        (("--model", "motion", "--avatar", "nobody-here"), 4, "there is no avatar"),
        (("--model", "ada", "--avatar", file), 2, "ada is a swap model"),
    ):
        got, _, err = call(*common, *arguments)
        assert (got, err.count("\n")) == (code, 1)
        assert says in err
    # A grey square on the shelf: somebody said whose it is, but it shows nobody.
    assert call("avatars", "add", file, "--identity", "synthetic", "--statement", "A square.")[0] == 0
    got, _, err = call(*common, "--model", "motion", "--avatar", file)
    assert (got, err.count("\n")) == (2, 1)
    assert "no face was found" in err
