"""What tells people apart: steady while they turn, far from others, and the file that it comes from."""

from pathlib import Path

import numpy as np
import pytest

from realtime.errors import ModelError
from realtime.frame import Doubles, Floats
from realtime.models.library import built_in_folder
from realtime.tracking.person_selection import DOUBT, DOUBT_STEP, OTHER, SURE, Observation, Track
from realtime.tracking.shape_embedding import NUMBERS, SHAPE_POINTS, ShapeEmbedding, turned

FILE = built_in_folder() / "face" / "skull.npz"
RATE_HZ = 30.0


def pose(yaw_deg: float, pitch_deg: float = 0.0) -> Floats:
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    made = np.eye(4, dtype=np.float32)
    made[:3, 2] = [np.sin(yaw), -np.cos(yaw) * np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
    return made


def look(skull: Doubles, *, yaw_deg: float = 0.0, whole: bool = True, x: float = 640) -> Observation:
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:2, :2] = [[x - 100, 260], [x + 100, 460]]
    landmarks[2:, :2] = [x, 360]
    return Observation(landmarks, np.zeros(52, np.float32), pose(yaw_deg), skull, 0.9, whole)


def someone(seed: int) -> Doubles:
    return np.random.default_rng(seed).normal(0, 4, NUMBERS)


def known(skull: Doubles) -> Track:
    person = Track(0, look(skull), 0.0)
    for frame in range(1, 30):
        assert not person.is_other(look(skull))
        person.update(look(skull), frame / RATE_HZ)
    return person


def test_a_turn_moves_the_points_and_not_the_skull() -> None:
    """What turning does to everybody's points is what the file takes off again."""
    tell = ShapeEmbedding(FILE)
    with np.load(FILE) as stored:
        directions, turning = stored["directions"].astype(np.float64), stored["turning"].astype(np.float64)
    head = np.random.default_rng(1).normal(0, 4, (len(SHAPE_POINTS), 3))
    moved = np.linalg.pinv(directions)  # (8, 81): points that change the numbers by given amounts
    straight = tell(head, pose(0))
    for yaw_deg, pitch_deg in ((25, 0), (-25, 0), (10, 15), (0, -20)):
        there = pose(yaw_deg, pitch_deg)
        bent = head + ((turned(there) - turned(pose(0))) @ turning @ moved).reshape(-1, 3)
        np.testing.assert_allclose(tell(bent, there), straight, atol=1e-9)
        assert np.linalg.norm(tell(head, there) - straight) > 1.0  # else the file would take off nothing
    assert straight.shape == (NUMBERS,)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "skull.npz"
    for arrays in ({"something": np.zeros(3)}, {"directions": np.zeros((81, 3)), "turning": np.zeros((7, 3))}):
        np.savez(bad, **arrays)
        with pytest.raises(ModelError, match=r"^skull\.npz is .*reinstall"):
            ShapeEmbedding(bad)
    bad.write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"^skull\.npz is damaged.*reinstall"):
        ShapeEmbedding(bad)


def test_a_grimace_raises_doubt_that_passes() -> None:
    """Strange for a moment, again and again: never enough together."""
    own = someone(1)
    person = known(own)
    strange = own + (OTHER + 5) / np.sqrt(NUMBERS)
    for frame in range(300):
        seen = look(strange if frame % 9 < 4 else own)
        assert not person.is_other(seen)
        person.update(seen, 1 + frame / RATE_HZ)


@pytest.mark.parametrize("yaw_deg", [0.0, 20.0, -28.0])
def test_a_cut_to_somebody_else_in_the_same_place_is_noticed(yaw_deg: float) -> None:
    """At the yaw they had, and at others: within the frames that the doubt needs."""
    person, other = known(someone(1)), someone(2)
    asked = [person.is_other(look(other, yaw_deg=yaw_deg)) for _ in range(8)]
    assert asked.index(True) == int(DOUBT / DOUBT_STEP)
    assert all(asked[asked.index(True) :])


def test_what_cannot_be_told_raises_no_doubt() -> None:
    """A head turned away, or half out of the picture, is guessed: it may look like anybody's."""
    person = known(someone(1))
    for seen in (look(someone(2), yaw_deg=40), look(someone(2), whole=False)):
        for frame in range(100):
            assert not person.is_other(seen)
            person.update(seen, 1 + frame / RATE_HZ)
    assert person.distance(look(someone(1))) < 1e-6  # and nothing is learnt from it


def test_somebody_welcomed_back_is_not_doubted_any_more() -> None:
    person = known(someone(1))
    while not person.is_other(look(someone(2))):
        pass
    back = look(someone(1), x=1200)
    assert person.distance(back) < SURE
    assert person.returns_as(back, 30.0)
    person.resume(back, 30.0)
    assert not person.is_other(look(someone(1), x=1200))
