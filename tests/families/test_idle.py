"""What somebody does who only sits there, over ten minutes."""

import functools

import numpy as np
import numpy.typing as npt
import pytest
from mesh_faces import a_face, a_picture, a_shape, head

from realtime.errors import ModelError
from realtime.families.lip_sync.idle import (
    LONGEST_S,
    SHORTEST_S,
    IdleLife,
    IdlePose,
    IdleStill,
    bring_to_life,
    driven,
    find_mesh_head,
)
from realtime.families.motion.canvas import Canvas
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, read, rotation_vector
from realtime.families.motion.mesh.motion import freedom, move
from realtime.families.motion.motion_model import Motion
from realtime.frame import Doubles, Pixels
from realtime.imaging.affine import invert
from realtime.models.avatar import Avatar
from realtime.tracking.face import Face

FPS = 25
TIMES = np.arange(0, 600 * FPS) / FPS


@functools.cache
def poses() -> list[IdlePose]:
    life = IdleLife(0)
    return [life(float(at_s)) for at_s in TIMES]


def runs(on: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, behind last) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def test_blinks_are_as_often_and_as_long_as_people_s() -> None:
    shut = np.array([pose.shut for pose in poses()])
    assert shut.min() == 0.0
    assert shut.max() == 1.0
    blinks = runs(shut > 0)
    between = np.diff([first for first, _ in blinks]) / FPS
    assert 140 <= len(blinks) <= 151
    assert between.min() > 1.9
    assert between.max() < 6.1
    assert between.std() > 0.3  # no metronome
    lasts = np.array([(last - first) / FPS for first, last in blinks])
    assert np.all((lasts >= SHORTEST_S - 1 / FPS) & (lasts <= LONGEST_S + 1 / FPS))
    # Every blink shuts the eye in some picture, whichever pictures were taken.
    assert all(shut[first:last].max() > 0.7 for first, last in blinks)


def test_a_head_sways_by_a_degree_or_two_and_slowly() -> None:
    turns = np.degrees([pose.turn for pose in poses()])
    assert np.all(np.abs(turns).max(axis=0) < 2.5)
    assert np.all(np.abs(turns).max(axis=0) > 0.8)
    speed = np.abs(np.diff(turns, axis=0)) * FPS
    assert speed.max() < 4.0
    # 1/f-like: the slow half of the spectrum has most of the power.
    power = np.abs(np.fft.rfft(turns - turns.mean(axis=0), axis=0)) ** 2
    hz = np.fft.rfftfreq(len(TIMES), 1 / FPS)
    assert power[hz < 0.25].sum() > 2 * power[hz >= 0.25].sum()
    assert power[hz > 2.0].sum() < 1e-3 * power.sum()


def test_breath_comes_fourteen_times_a_minute() -> None:
    zoom = np.array([pose.zoom for pose in poses()])
    assert 0.998 < zoom.min() < zoom.max() < 1.002
    power = np.abs(np.fft.rfft(zoom - zoom.mean()))
    assert np.fft.rfftfreq(len(TIMES), 1 / FPS)[power.argmax()] == pytest.approx(0.24)


def test_gaze_rests_and_jumps_a_little() -> None:
    gaze = np.array([pose.gaze for pose in poses()])
    assert 0.015 < np.abs(gaze[:, 0]).max() <= 0.0251
    moving = np.abs(np.diff(gaze[:, 0])) > 1e-9
    assert moving.mean() < 0.15


def test_a_moment_is_what_it_is_whatever_came_before() -> None:
    some = IdleLife(3)(1234.5)
    other = IdleLife(3)
    for at_s in (9e5, 0.0, -3.0, 1234.5):
        again = other(at_s)
    assert (again.shut, again.turn.tolist(), again.gaze.tolist()) == (
        some.shut,
        some.turn.tolist(),
        some.gaze.tolist(),
    )
    assert IdleLife(4)(1234.5).turn.tolist() != some.turn.tolist()


NOTHING = np.zeros(2)
CANVAS = (480, 400)


def pose(shut: float = 0.0, turn_deg: tuple[float, float, float] = (0, 0, 0), lift_cm: float = 0.0) -> IdlePose:
    return IdlePose(shut, np.radians(turn_deg), np.array([0.0, lift_cm]), 1.0, NOTHING)


class Posing(IdleLife):
    """Holds one pose."""

    def __init__(self, held: IdlePose) -> None:
        super().__init__()
        self.held = held

    def __call__(self, at_s: float) -> IdlePose:
        return self.held


def an_avatar(face: Face | None = None) -> Avatar:
    return Avatar("ann", "Ann", "synthetic", a_picture(), None, face or a_face())


def alive(held: IdlePose, avatar: Avatar | None = None) -> tuple[IdleStill, Canvas]:
    avatar = avatar or an_avatar()
    stage = Canvas(avatar, CANVAS, None)
    return IdleStill(head(), avatar, stage, Posing(held)), stage


def gaps(shape: Doubles) -> list[float]:
    return [float((shape[eye.upper, 1] - shape[eye.lower, 1]).mean()) for eye in EYES]


def test_at_rest_it_is_the_picture() -> None:
    still, stage = alive(pose(0.6, (1, 2, 1), 0.1))
    picture, went = still(0.0, 0.0)
    np.testing.assert_array_equal(picture, stage.still)
    np.testing.assert_array_equal(went, np.eye(2, 3))
    assert picture.flags.writeable


def test_a_pose_without_motion_hardly_changes_a_pixel() -> None:
    still, stage = alive(pose())
    picture, went = still(0.0, 1.0)
    np.testing.assert_allclose(went, np.eye(2, 3), atol=1e-6)
    assert np.abs(picture.astype(int) - stage.still).mean() < 0.5


@pytest.mark.parametrize("shut", [0.0, 0.25, 0.5, 1.0])
def test_lids_go_as_far_as_they_are_told(shut: float) -> None:
    rest = read(head(), a_face())
    moved = move(rest, driven(rest, pose(shut)), rest, Motion(), freedom(rest.shape))
    for gap, own in zip(gaps(moved.shape), gaps(rest.shape), strict=True):
        assert gap == pytest.approx((1 - shut) * own, abs=0.02 * own)
    lips = moved.shape[INNER_LIPS] - rest.shape[INNER_LIPS]
    assert np.abs(lips).max() < 1e-6


def test_eyes_that_are_shut_in_the_picture_do_not_blink() -> None:
    rest = read(head(), a_face(a_shape(shut=(0.97, 0.97))))
    np.testing.assert_array_equal(driven(rest, pose(1.0)).shape, rest.shape)


def test_a_blink_changes_the_eyes_and_nothing_below() -> None:
    still, _ = alive(pose(1.0))
    calm, _ = alive(pose())
    shut, before = still(0.0, 1.0)[0], calm(0.0, 1.0)[0]
    rows, _ = np.nonzero(np.abs(shut.astype(int) - before).max(axis=2) > 8)
    face = an_avatar().face
    scale = CANVAS[1] / 300
    assert len(rows) > 50
    assert rows.max() < face.landmarks[2, 1] * scale  # above the nose's base


def test_the_head_turns_and_the_lips_place_goes_with_it() -> None:
    rest = read(head(), a_face())
    driving = driven(rest, pose(turn_deg=(1.5, -2.0, 1.0)))
    np.testing.assert_allclose(
        np.degrees(rotation_vector(driving.turn @ rest.turn.T)), rotation_degrees(1.5, -2.0, 1.0), atol=0.05
    )
    still, stage = alive(pose(turn_deg=(0, 0, 2.0), lift_cm=0.2))
    picture, went = still(0.0, 1.0)
    # A tilt turns the lower face by two degrees, about the neck below it.
    assert np.degrees(np.arctan2(-went[0, 1], went[0, 0])) == pytest.approx(-2.0, abs=0.3)
    assert lips_difference(picture, stage.still, went) < 0.6 * lips_difference(picture, stage.still, np.eye(2, 3))


def rotation_degrees(*turn_deg: float) -> list[float]:
    return list(turn_deg)


def lips_difference(picture: Pixels, still: Pixels, went: Doubles) -> float:
    """How different the lips are from the still's, where `went` says that they are."""
    face = an_avatar().face
    scale = CANVAS[1] / 300
    at = face.landmarks[INNER_LIPS, :2] * scale + ((CANVAS[0] - 320 * scale) / 2, 0)
    there = at @ went[:, :2].T + went[:, 2]
    assert np.allclose((there - went[:, 2]) @ np.linalg.inv(went[:, :2]).T, at)
    assert np.isfinite(invert(went)).all()
    old, new = (
        [p[round(float(y)), round(float(x))].astype(int) for x, y in xy] for p, xy in ((still, at), (picture, there))
    )
    return float(np.abs(np.array(old) - np.array(new)).mean())


def test_what_cannot_live_stays_a_still_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    flat = Face(np.zeros((478, 3), np.float32), np.zeros(52, np.float32), np.eye(4, dtype=np.float32), 1.0)
    avatars = {"ann": an_avatar(), "bob": an_avatar(flat)}
    staged = {name: (avatar, Canvas(avatar, CANVAS, None)) for name, avatar in avatars.items()}
    assert set(bring_to_life(head(), staged)) == {"ann"}
    assert ["bob stays still" in record.getMessage() for record in caplog.records] == [True]
    assert bring_to_life(None, staged) == {}


def test_without_the_motion_model_there_is_no_head(caplog: pytest.LogCaptureFixture) -> None:
    def missing(name: str) -> None:
        raise ModelError(f"model {name} is not there")

    assert find_mesh_head(missing) is None
    assert ["will not blink" in record.getMessage() for record in caplog.records] == [True]
    assert find_mesh_head() is not None
