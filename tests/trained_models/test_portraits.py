"""Who is photographed, what is drawn of them and how it becomes bundles. Blender itself is not needed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime.frame import Pixels
from realtime.models.avatar import open_avatar
from realtime.models.bundle import open_bundle
from realtime.models.picture_set import read_picture_set
from realtime.tracking.face import Face
from trained_models.recipes.portraits.characters import (
    AVATAR_EXPRESSIONS,
    AVATARS,
    CHANGED,
    CHARACTERS,
    EXPRESSIONS,
    IDENTITIES,
    KEYS,
    VIEWS,
)

portraits = pytest.importorskip("trained_models.recipes.portraits.__main__", exc_type=ImportError)
SIDE = 256


def draw_all(folder: Path, wanted: list[dict[str, Any]]) -> None:
    """Grey pictures in place of Blender's, each of its own shade and black where nothing is drawn."""
    for number, shot in enumerate(wanted):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        left, top, right, bottom = (round(s * SIDE) for s in shot["region"] or (0, 0, 1, 1))
        pixels[top:bottom, left:right] = 60 + number
        cv2.imwrite(str(shot["file"]), pixels)


class Finds:
    def find(self, pixels: Pixels) -> list[Face]:
        return [Face(np.full((478, 3), 9, np.float32), np.zeros(52, np.float32), np.eye(4, dtype=np.float32), 1.0)]


def test_everybody_is_another_person_and_every_expression_is_known() -> None:
    people = list(CHARACTERS.values())
    assert len({who.seed for who in people}) == len(people) == len(IDENTITIES) + len(AVATARS)
    assert set(EXPRESSIONS) == {expression for expression, _ in KEYS} >= set(AVATAR_EXPRESSIONS)
    assert set(VIEWS) == {view for _, view in KEYS}
    assert set(CHANGED) == set(EXPRESSIONS) - {"rest"}
    assert json.dumps([who.shape for who in people])


def test_drawn_key_pictures_become_a_picture_set(tmp_path: Path) -> None:
    who = IDENTITIES[0]
    wanted = portraits.shots(who, tmp_path, SIDE, 1)
    draw_all(tmp_path, wanted)
    portraits.write_identity(who, tmp_path, tmp_path / who.name, Finds())
    keys = read_picture_set(open_bundle(tmp_path / who.name)).keys
    assert [(key.expression, key.view) for key in keys] == KEYS
    rest, smile = keys[0].pixels, keys[1].pixels
    assert abs(int(smile[2, 2, 0]) - int(rest[2, 2, 0])) <= 1, "outside the region the picture at rest shows"
    assert int(smile[SIDE // 2, SIDE // 2, 0]) - int(rest[2, 2, 0]) >= 1


def test_drawn_portraits_become_an_avatar_with_expressions(tmp_path: Path) -> None:
    who = replace(AVATARS[0], name="someone")
    draw_all(tmp_path, portraits.shots(who, tmp_path, SIDE, 1))
    portraits.write_avatar(who, tmp_path, tmp_path / "someone")
    card = open_avatar(tmp_path / "someone").card
    assert [picture.expression for picture in card.pictures] == list(AVATAR_EXPRESSIONS)
    assert card.licence == "CC0-1.0"
