"""How an avatar's points go with a driver's: by proportion and within limits."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from mesh_faces import a_face, a_shape, blinking, head

from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LEFT_EYE,
    OVAL,
    PIVOT,
    RIGHT_EYE,
    Reading,
    between,
    read,
    rotation_vector,
    turned,
)
from realtime.families.motion.mesh.motion import (
    MOST_SHIFT_CM,
    MOST_TURN,
    Moved,
    freedom,
    levers,
    move,
    placed,
    soft_limit,
)
from realtime.families.motion.motion_model import Motion

HEAD = head()
REST = read(HEAD, a_face())


def moved(driving: Reading, reference: Reading | None = REST, rest: Reading = REST, **how: object) -> Moved:
    return move(rest, driving, reference, Motion(**how), freedom(rest.shape))


def gap(shape: np.ndarray, eye: object) -> float:
    return float((shape[eye.upper, 1] - shape[eye.lower, 1])[1:6].mean())


def test_a_reading_takes_pose_place_and_size_out() -> None:
    seen = read(HEAD, a_face(turn_deg=(8, -20, 5), at=(300, 80), px_per_cm=11))
    np.testing.assert_allclose(seen.shape, a_shape(), atol=0.01)
    np.testing.assert_allclose(seen.turn, turned(np.radians((8, -20, 5))), atol=1e-4)
    assert seen.scale == pytest.approx(11, rel=1e-3)
    pivot = turned(np.radians((8, -20, 5))) @ PIVOT * 11
    np.testing.assert_allclose(seen.place, pivot[:2] + (300, -80), atol=0.05)


@pytest.mark.parametrize("landmarks", [np.full((478, 3), np.nan), np.zeros((478, 3))])
def test_landmarks_that_are_none_are_refused(landmarks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        read(HEAD, replace(a_face(), landmarks=landmarks.astype(np.float32)))


def test_half_way_between_two_readings() -> None:
    a, b = REST, read(HEAD, a_face(turn_deg=(0, 20, 0), at=(200, 150), px_per_cm=10))
    half = between(a, b, 0.5)
    np.testing.assert_allclose(rotation_vector(half.turn), np.radians((0, 10, 0)), atol=1e-3)
    np.testing.assert_allclose(half.place, (a.place + b.place) / 2)
    np.testing.assert_allclose(between(a, b, 0.0).turn, a.turn, atol=1e-6)
    np.testing.assert_allclose(between(a, b, 1.0).turn, b.turn, atol=1e-6)


def test_a_driver_in_neutral_moves_nothing() -> None:
    result = moved(REST)
    np.testing.assert_allclose(result.shape, REST.shape, atol=1e-6)
    np.testing.assert_allclose(result.turn, REST.turn, atol=1e-9)
    assert result.zoom == 1
    assert not result.shift.any()
    assert not result.gaze.any()


def test_it_does_not_matter_where_and_how_large_the_driver_is() -> None:
    near = [read(HEAD, a_face(a_shape(jaw_cm=j), at=(900, 500), px_per_cm=20)) for j in (0.0, 2.0)]
    far = [read(HEAD, a_face(a_shape(jaw_cm=j))) for j in (0.0, 2.0)]
    np.testing.assert_allclose(moved(near[1], near[0]).shape, moved(far[1], far[0]).shape, atol=0.01)


@pytest.mark.parametrize("shut", [(1.0, 0.0), (0.0, 1.0)])
def test_a_wink_shuts_one_eye_whatever_its_size(shut: tuple[float, float]) -> None:
    face = blinking(a_face(a_shape(shut=shut)), 0.6 * shut[0], 0.6 * shut[1])
    wide = REST.shape.copy()
    for eye in EYES:
        wide[eye.upper, 1] += 0.8  # a drawn character
    shape = moved(read(HEAD, face), rest=replace(REST, shape=wide)).shape
    for eye, closed in ((RIGHT_EYE, shut[0]), (LEFT_EYE, shut[1])):
        assert gap(shape, eye) == pytest.approx(gap(wide, eye) * (1 - closed), abs=0.12 * gap(wide, eye))


def test_lips_part_by_as_much_and_meet_again() -> None:
    opened = moved(read(HEAD, a_face(a_shape(jaw_cm=2.0)))).shape
    between_lips = opened[INNER_UPPER_LIP, 1] - opened[INNER_LOWER_LIP, 1]
    own = REST.shape[INNER_UPPER_LIP, 1] - REST.shape[INNER_LOWER_LIP, 1]
    np.testing.assert_allclose(between_lips - own, 2.0, atol=0.15)
    closed = moved(REST, read(HEAD, a_face(a_shape(jaw_cm=1.0)))).shape
    assert (closed[INNER_UPPER_LIP, 1] - closed[INNER_LOWER_LIP, 1] >= -1e-9).all()


def test_irises_follow_the_gaze_and_stay_in_the_eye() -> None:
    looks = moved(read(HEAD, a_face(a_shape(gaze_cm=0.3)))).gaze
    assert 0.05 < looks[0] < 0.2
    assert abs(looks[1]) < 0.01
    assert abs(moved(read(HEAD, a_face(a_shape(gaze_cm=9.0)))).gaze).max() < 0.3


@pytest.mark.parametrize("turn", [(60, 0, 0), (0, 75, 0), (0, -75, 30), (40, 60, -80)])
def test_a_head_turns_no_further_than_a_picture_can_show(turn: tuple[float, float, float]) -> None:
    result = moved(read(HEAD, a_face(turn_deg=turn)))
    assert (np.abs(rotation_vector(result.turn)) <= MOST_TURN + 1e-6).all()


BROWS = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]


@pytest.mark.parametrize("turn", [(25.0, 0.0, 0.0), (-20.0, 0.0, 0.0), (15.0, 30.0, 0.0)])
def test_brows_and_eyes_turn_as_one_head(turn: tuple[float, float, float]) -> None:
    """A nod that left the temples behind would draw out brows, and the spectacles on them."""
    nod = Moved(REST.shape, turned(np.radians(turn)), np.zeros(2), 1.0, np.zeros(2))
    whole, drawn = (placed(shape, REST, nod) for shape in (REST.shape, levers(REST.shape)))
    rigid = [*BROWS, *RIGHT_EYE.corners, *LEFT_EYE.corners]
    np.testing.assert_allclose(drawn[rigid, :2], whole[rigid, :2], atol=0.1 * REST.scale)  # a millimetre


def test_ears_lag_a_little_as_a_head_is_shaken() -> None:
    shake = Moved(REST.shape, turned(np.radians((0.0, 25.0, 0.0))), np.zeros(2), 1.0, np.zeros(2))
    whole, drawn = (placed(shape, REST, shake)[OVAL, 0] for shape in (REST.shape, levers(REST.shape)))
    assert (drawn <= whole + 1e-9).all()
    assert 0.1 * REST.scale < float((whole - drawn).max()) < 0.7 * REST.scale


def test_small_turns_are_followed_as_they_are() -> None:
    result = moved(read(HEAD, a_face(turn_deg=(0, 9, 0))))
    np.testing.assert_allclose(np.degrees(rotation_vector(result.turn)), (0, 9, 0), atol=0.2)


def test_an_avatar_that_looks_aside_stays_so_at_rest() -> None:
    aside = read(HEAD, a_face(turn_deg=(0, 40, 0)))
    np.testing.assert_allclose(moved(REST, rest=aside).turn, aside.turn, atol=1e-6)


def test_expression_fades_as_the_driver_turns_away() -> None:
    turned_away = read(HEAD, a_face(a_shape(jaw_cm=3.0), turn_deg=(0, 80, 0)))
    np.testing.assert_allclose(moved(turned_away).shape, REST.shape, atol=1e-6)


def test_regions_take_their_own_part_only() -> None:
    shape = a_shape(jaw_cm=2.0, shut=(1.0, 1.0))
    driving = read(HEAD, blinking(a_face(shape, turn_deg=(0, 10, 0)), 0.6, 0.6))
    own = REST.shape
    results = {region: moved(driving, region=region) for region in ("all", "expression", "head", "lips", "eyes")}
    for region, result in results.items():
        heads = region in ("all", "head")
        assert np.allclose(result.turn, REST.turn) != heads
        opens = float(np.abs(result.shape[INNER_LOWER_LIP] - own[INNER_LOWER_LIP]).max()) > 0.5
        shuts = gap(result.shape, LEFT_EYE) < 0.3 * gap(own, LEFT_EYE)
        assert opens == (region in ("all", "expression", "lips"))
        assert shuts == (region in ("all", "expression", "eyes"))


def test_strength_leads_smoothly_to_rest() -> None:
    driving = read(HEAD, a_face(a_shape(jaw_cm=2.0), turn_deg=(5, 15, 0), at=(190, 150)))
    ways = [float(np.abs(moved(driving, strength=s).shape - REST.shape).sum()) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert ways[0] == 0
    assert all(a < b for a, b in pairwise(ways))
    np.testing.assert_allclose(moved(driving, strength=0.0).turn, REST.turn)


def test_the_driver_may_be_taken_as_they_are() -> None:
    driving = read(HEAD, a_face(turn_deg=(0, 12, 0)))
    other = read(HEAD, a_face(turn_deg=(0, -5, 0)))
    for reference in (None, REST):
        result = moved(driving, reference, rest=other, relative=False)
        np.testing.assert_allclose(np.degrees(rotation_vector(result.turn)), (0, 12, 0), atol=0.5)


@pytest.mark.parametrize("seed", range(5))
def test_wild_readings_stay_within_the_limits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wild = replace(
        REST,
        shape=REST.shape + rng.normal(0, 40, (478, 3)),
        turn=turned(rng.normal(0, 3, 3)),
        place=rng.normal(0, 1e5, 2),
        scale=float(np.exp(rng.normal(0, 5))),
    )
    result = moved(wild)
    assert np.isfinite(result.shape).all()
    assert np.abs(result.shape - REST.shape).max() < 12
    assert 0.8 < result.zoom < 1.25
    assert (np.abs(result.shift) <= MOST_SHIFT_CM + 1e-6).all()


def test_a_soft_limit_keeps_small_values_and_never_passes() -> None:
    values = np.array([-1e9, -1.0, 0.0, 1.0, 1e9])
    bent = soft_limit(values, 4.0)
    np.testing.assert_allclose(bent[1:4], values[1:4], atol=0.01)
    np.testing.assert_allclose(bent[[0, 4]], [-4, 4])
