"""Who is worn after a change of the settings, and what has to be loaded for it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import a_bundle, one_line

from realtime.errors import ModelError
from realtime.models.library import add_avatar, remove_avatar
from realtime.pipeline.active_identity import ActiveIdentity, find_role
from realtime.pipeline.select_identity import role_for, same_cast
from realtime.settings import Settings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))


def shelved(folder: Path, name: str) -> None:
    file = folder / f"{name}.png"
    cv2.imwrite(str(file), np.random.default_rng(len(name)).integers(0, 256, (60, 80, 3), np.uint8))
    add_avatar(file, identity="synthetic", statement="Nobody.")


def cast(now: ActiveIdentity, **change: object) -> ActiveIdentity:
    return role_for(Settings.model_validate(change), now, model=now.bundle.name, avatar=None)


def test_an_avatar_from_the_shelf_joins_those_that_are_ready(tmp_path: Path) -> None:
    start = find_role("motion", None)
    built_in = start.avatar_names
    assert same_cast(cast(start), start)
    assert same_cast(cast(start, avatar=built_in[1]), start)  # ready: nothing to load
    for name in ("ann", "cleo"):
        shelved(tmp_path, name)
    with_ann = cast(start, avatar="ann")
    assert with_ann.avatar_names == (*built_in, "ann")
    assert not same_cast(with_ann, start)
    with_both = cast(with_ann, avatar="cleo")
    assert with_both.avatar_names == (*built_in, "ann", "cleo")
    remove_avatar("ann")
    assert cast(with_both, avatar="cleo").avatar_names == (*built_in, "cleo")
    assert "ann" in one_line(lambda: cast(start, avatar="ann"), ModelError)


def test_no_more_avatars_are_kept_ready_than_may_be(tmp_path: Path) -> None:
    start = find_role("motion", None)
    crowded = replace(start, avatars=tuple(start.avatars[n % len(start.avatars)] for n in range(40)))
    shelved(tmp_path, "ann")
    role = cast(crowded, avatar="ann")
    assert len(role.avatars) == 40
    assert role.avatar_names[-1] == "ann"


def test_another_model_is_another_cast_and_needs_no_avatar(tmp_path: Path) -> None:
    a_bundle(tmp_path / "home" / "models" / "eve")
    start = find_role("eve", None)
    motion = cast(start, model="motion", avatar="mira")
    assert (motion.bundle.name, motion.shown(Settings(avatar="mira"))) == ("motion", "mira")
    assert not same_cast(motion, start)
    back = cast(motion, model="eve", avatar="mira")
    assert back.avatar_names == ()
    assert back.shown(Settings(avatar="mira")) is None
    assert same_cast(back, start)
    assert "nobody" in one_line(lambda: cast(start, model="nobody"), ModelError)
