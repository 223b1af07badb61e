"""What counts as a neutral face, and how much."""

import numpy as np
import pytest
from fakes import a_face, pixels

from realtime.families.motion.reference_pose import PASSABLE, ReferencePose, badness
from realtime.tracking.face import Face


def face(yaw: float = 0.0, centre: tuple[float, float] = (80, 60), **shown: float) -> Face:
    plain = a_face(centre)
    blendshapes = np.zeros(52, np.float32)
    for index, value in shown.items():
        blendshapes[int(index[1:])] = value
    pose = np.eye(4, dtype=np.float32)
    a = np.radians(yaw)
    pose[:3, :3] = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    return Face(plain.landmarks, blendshapes, pose, 0.99)


def test_the_perfect_neutral_is_not_bad_at_all() -> None:
    assert badness(face()) == 0


@pytest.mark.parametrize(
    "worse",
    [face(15), face(-15), face(_25=0.3), face(_44=0.8, _45=0.8), face(_9=0.9, _10=0.9), face(_38=0.9), face(_17=0.9)],
    ids=["left", "right", "jaw", "smile", "closed eyes", "pucker", "up"],
)
def test_turns_and_expressions_are_bad(worse: Face) -> None:
    assert badness(worse) > 0.3
    # What rests a little above zero in everybody is not.
    assert badness(face(_1=0.1, _2=0.1, _38=0.05, _17=0.1)) < 0.05


def test_half_a_turn_is_better_and_a_profile_never_passes() -> None:
    assert badness(face(10)) < badness(face(20)) < PASSABLE < badness(face(40))


def test_a_pose_where_the_driver_never_is_does_not_take_over() -> None:
    """Leaning over for something, with a perfect face, is not how they sit."""
    search: ReferencePose[str] = ReferencePose()
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (300, 400, 3), np.uint8)
    found = [search.see("usual", face(12, (200, 150)), picture, i / 25) for i in range(200)]
    assert found[0] == "usual"
    away = [search.see("away", face(0, (280, 150)), picture, 8 + i / 25) for i in range(15)]
    assert away == [None] * 15
    # Whoever stays there is there: within some seconds it is the place to be.
    stays = [search.see("stays", face(0, (280, 150)), picture, 8.6 + i / 25) for i in range(250)]
    assert "stays" in stays


def test_a_smeared_face_is_not_taken_when_a_sharp_one_is_there() -> None:
    search: ReferencePose[str] = ReferencePose()
    sharp = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    assert search.see("first", face(6), sharp, 0.0) == "first"
    found = [search.see("smeared", face(5), pixels(), i / 25) for i in range(1, 20)]
    found += [search.see("sharp", face(5), sharp, i / 25) for i in range(20, 50)]
    assert [f for f in found if f] == ["sharp"]
