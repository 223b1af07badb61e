"""What the skin-tone test makes of its cases, and how a rendered picture becomes reflectance."""

from typing import Any

import cv2
import numpy as np
import pytest

from trained_models.recipes.people.develop import Picture, toned
from trained_models.recipes.people.skin_tones import (
    DRIVERS,
    IDENTITIES,
    LIGHTS,
    POSES,
    pose_of,
    reflectance_picture,
    summary,
)
from trained_models.recipes.people.surroundings import Light

GOOD = {"de": 3.0, "tone": 2.0, "shading_r": 0.95, "rim": 5.0, "brightness": 0.3, "tone_off": 0.1}


def row(identity: str = "pale", light: str = "soft front", **found: float) -> dict[str, Any]:
    ways = {"known": GOOD, "found": GOOD | found, "auto": GOOD}
    return {"identity": identity, "driver": "3", "light": light, "rim_of_truth": 9.0, "gap": 1.0, **ways}


def test_goals_are_met_and_missed() -> None:
    goals = summary([row(), row("dark", "hard left", de=4.0)])["goals"]
    assert {name: line["met"] for name, line in goals.items()} == dict.fromkeys(goals, True)
    assert goals["de"]["value"] == 3.5
    assert goals["de_hard"]["value"] == 4.0
    assert goals["between_tones"]["value"] == 1.0
    goals = summary([row(), row("dark", "hard left", de=9.0, shading_r=0.5)])["goals"]
    assert [name for name, line in goals.items() if not line["met"]] == ["de", "de_hard", "between_tones", "shading_r"]


def test_lights_that_were_not_tried_are_not_judged() -> None:
    assert summary([row()])["goals"]["de_hard"]["met"] is None


def test_every_pose_comes_in_every_light() -> None:
    for light in LIGHTS:
        assert {pose_of(driver, light) for driver in DRIVERS} == set(range(len(POSES)))
    assert list(IDENTITIES) == ["pale", "light", "tan", "brown", "dark"]


@pytest.mark.parametrize("gain", [0.6, 1.0, 1.4])
def test_a_rendered_pictures_curve_is_taken_out(gain: float) -> None:
    albedo = np.array([[[0.6, 0.4, 0.3], [0.1, 0.05, 0.03]]], np.float32)
    shown = (np.clip(toned(albedo, gain), 0, 1) * 255 + 0.5).astype(np.uint8)
    key = reflectance_picture(Picture(shown, np.ones((1, 2), np.float32), gain))
    assert (key / 255.0) ** 2.2 == pytest.approx(cv2.cvtColor(albedo, cv2.COLOR_RGB2BGR), rel=0.15, abs=0.01)


def test_a_light_is_as_it_is_given() -> None:
    light = Light.of((0.1, 0.2, 0.3), [((0, 0, 2), (1, 0.5, 0.25))], 0.02)
    assert light.room.shape == (512, 3)
    assert light.lamps.tolist()[0] == [0, 0, 1]
    assert light.lamp_colours.tolist() == [[1, 0.5, 0.25], [0, 0, 0], [0, 0, 0]]
