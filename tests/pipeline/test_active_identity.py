"""Who is shown: selections and their avatars, when the badge may go, and switches while the loop goes on."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from bundles import a_bundle, one_line
from commands import Call
from fakes import FakeSelection, FakeSwapper, a_face, a_switch

from realtime.config import Settings
from realtime.errors import ConfigError, ModelError
from realtime.families.face_swap.effect import FaceSwap
from realtime.families.motion.effect import ReenactmentEffect
from realtime.models.avatar import StoredAvatar
from realtime.models.library import AVATARS, add_avatar
from realtime.pipeline.active_identity import Selection, open_effect, reselect, select_identity


def added(tmp_path: Path, name: str, kind: str) -> StoredAvatar:
    file = tmp_path / f"{name}.png"
    cv2.imwrite(str(file), np.full((240, 200, 3), len(name), np.uint8))
    return add_avatar(file, identity=kind, statement="So it is.")


def moved(*avatars: StoredAvatar) -> Selection:
    return Selection(select_identity("motion", avatars[0].card.name).bundle, avatars)


def test_a_swap_model_has_no_avatars_and_its_own_identity() -> None:
    ada = select_identity("ada", None)
    assert ada.avatars == ()
    assert (ada.name, ada.identity_kind, ada.may_hide_badge) == ("ada", "synthetic", True)
    assert "none, as this model shows its own face" in one_line(lambda: ada.check(Settings(avatar="x")), ConfigError)


def test_the_badge_may_go_only_if_it_may_for_every_avatar(tmp_path: Path) -> None:
    kinds = {"me": "self", "drawn": "synthetic", "friend": "consented"}
    me, drawn, friend = (added(tmp_path, name, kind) for name, kind in kinds.items())
    assert moved(me, drawn).may_hide_badge
    assert not moved(me, friend).may_hide_badge
    assert moved(me, friend).identity_kind == "consented, self"
    assert moved(me, friend).name == "motion with me friend"
    moved(me, drawn).check(Settings(avatar="drawn"))
    moved(me, drawn).check(Settings())
    assert "known are me, drawn" in one_line(lambda: moved(me, drawn).check(Settings(avatar="bob")), ConfigError)


def test_a_motion_model_is_opened_with_its_avatars(tmp_path: Path) -> None:
    selection = moved(added(tmp_path, "me", "self"), added(tmp_path, "other", "self"))
    effect = open_effect(
        selection,
        provider="cpu",
        precision="fp32",
        find=lambda pixels: [a_face((100, 120), 100)] if pixels[0, 0, 0] == 2 else [],
    )
    try:
        assert isinstance(effect, ReenactmentEffect)
        assert effect.title == "me"
        effect.prepare((64, 48), Settings())
    finally:
        effect.close()


def test_what_cannot_be_shown_is_refused_in_one_line(call: Call, tmp_path: Path) -> None:
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


def chosen(now: Selection, **change: object) -> Selection:
    return reselect(Settings.model_validate(change), now, model=now.bundle.name, avatar=None)


def test_an_avatar_from_the_library_joins_those_that_are_ready(tmp_path: Path) -> None:
    start = select_identity("motion", None)
    built_in = start.avatar_names
    assert chosen(start).same(start)
    assert chosen(start, avatar=built_in[1]).same(start)  # ready: nothing to load
    for name in ("ann", "cleo"):
        added(tmp_path, name, "synthetic")
    with_ann = chosen(start, avatar="ann")
    assert with_ann.avatar_names == (*built_in, "ann")
    assert not with_ann.same(start)
    with_both = chosen(with_ann, avatar="cleo")
    assert with_both.avatar_names == (*built_in, "ann", "cleo")
    AVATARS.remove("ann")
    assert chosen(with_both, avatar="cleo").avatar_names == (*built_in, "cleo")
    assert "ann" in one_line(lambda: chosen(start, avatar="ann"), ModelError)


def test_no_more_avatars_are_kept_ready_than_may_be(tmp_path: Path) -> None:
    start = select_identity("motion", None)
    crowded = replace(start, avatars=tuple(start.avatars[n % len(start.avatars)] for n in range(40)))
    added(tmp_path, "ann", "synthetic")
    selection = chosen(crowded, avatar="ann")
    assert len(selection.avatars) == 40
    assert selection.avatar_names[-1] == "ann"


def test_another_model_is_another_selection_and_needs_no_avatar(tmp_path: Path) -> None:
    a_bundle(tmp_path / "home" / "models" / "eve")
    start = select_identity("eve", None)
    motion = chosen(start, model="motion", avatar="mira")
    assert (motion.bundle.name, motion.shown(Settings(avatar="mira"))) == ("motion", "mira")
    assert not motion.same(start)
    back = chosen(motion, model="eve", avatar="mira")
    assert back.avatar_names == ()
    assert back.shown(Settings(avatar="mira")) is None
    assert back.same(start)
    assert "nobody" in one_line(lambda: chosen(start, model="nobody"), ModelError)


def test_an_identity_loads_beside_the_active_one_and_a_failure_keeps_it() -> None:
    failures: list[str] = []

    def load(selection: FakeSelection) -> FaceSwap:
        if selection.name == "broken":
            raise ModelError("no bundle broken")
        return FaceSwap(FakeSwapper(90, selection.name))

    first = FakeSwapper(200, "one")
    switch = a_switch(FaceSwap(first), load, failed=lambda: failures.append("failed"))
    assert (switch.take(), switch.changing) == (None, None)
    switch.request(FakeSelection("broken"))
    assert switch.changing == "broken"
    switch.load_next()
    assert (switch.take(), switch.changing, failures) == (None, None, ["failed"])
    assert switch.active.effect.title == "one"
    switch.request(FakeSelection("two"))
    switch.load_next()
    assert (switch.active.effect.title, switch.changing) == ("one", "two")  # ready, not taken yet
    taken = switch.take()
    assert taken is switch.active
    assert (switch.active.effect.title, switch.changing, first.closed) == ("two", None, 0)


def test_what_is_loaded_and_never_shown_is_closed_and_unstarted_requests_are_replaced() -> None:
    made: dict[str, FakeSwapper] = {}

    def load(selection: FakeSelection) -> FaceSwap:
        made[selection.name] = FakeSwapper(90, selection.name)
        return FaceSwap(made[selection.name])

    switch = a_switch(FaceSwap(FakeSwapper(200, "one")), load)
    for name in ("two", "three"):
        switch.request(FakeSelection(name))
        switch.load_next()
    assert (made["two"].closed, made["three"].closed) == (1, 0)
    for name in ("four", "five"):
        switch.request(FakeSelection(name))
    switch.load_next()
    switch.load_next()
    assert list(made) == ["two", "three", "five"]
    switch.close()
    switch.close()
    assert made["five"].closed == 1
    switch.work()  # ends at once
