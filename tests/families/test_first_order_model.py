"""First Order Motion Models as puppets: upstream's animation to the digit, and never further than can be drawn."""

import numpy as np
import pytest
from fakes import a_face, pixels
from motion_models import ToyNetwork

from realtime.errors import ConfigError, ModelError
from realtime.families.motion.first_order.keypoints import KeyPoints
from realtime.families.motion.first_order.model import FirstOrderModel, Posed, SmoothCrop
from realtime.families.motion.motion_model import Motion
from realtime.families.motion.reference_pose import crop_of_square, portrait_crop, portrait_square
from realtime.frame import Frame, Pixels
from realtime.imaging.align import crop_from_frame
from realtime.tracking.face import Face


def frame(picture: Pixels, seq: int = 0) -> Frame:
    return Frame(np.ascontiguousarray(picture), seq, seq * 33_000_000, seq / 30)


def test_a_model_of_faces_needs_one() -> None:
    model = FirstOrderModel(ToyNetwork())
    with pytest.raises(ConfigError, match="the avatar has none"):
        model.encode_source(pixels(), None)


def test_a_model_of_other_things_takes_the_middle_of_any_picture() -> None:
    model = FirstOrderModel(ToyNetwork(), needs_face=False)
    wide = ToyNetwork.picture_of(a_face((200, 150), 120))
    cast, posed = model.encode_source(wide, None), model.encode_driving(frame(wide), None, 0.0)
    for matrix in (cast.crop_from_avatar, posed.crop_from_frame):
        left, right = ((edge - matrix[0, 2]) / matrix[0, 0] for edge in (-0.5, 255.5))
        assert (left, right) == pytest.approx((49.5, 349.5))


def test_parts_of_a_face_that_is_none_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    model = FirstOrderModel(ToyNetwork(), needs_face=False)
    wide = ToyNetwork.picture_of(a_face((200, 150), 120))
    cast, posed = model.encode_source(wide, None), model.encode_driving(frame(wide), None, 0.0)
    for _ in range(3):
        assert model.draw(cast, posed, posed, Motion(region="lips")).mask.max() == 1
    assert caplog.text.count("no face in the avatar") == 1


def driven(model: FirstOrderModel, *poses: tuple[float, float, float]) -> list[Posed]:
    """What the model sees of a face at (x, y) of a height, frame after frame. The toy network sees dots there."""
    found = []
    for seq, (x, y, height) in enumerate(poses):
        face = a_face((x, y), height)
        posed = model.encode_driving(frame(ToyNetwork.picture_of(face), seq), face, 0.0)
        found.append(posed)
    return found


def test_the_squares_own_motion_does_not_move_the_avatar() -> None:
    """A head that stays while the square is still on its way to it gives key points that stay."""
    network = ToyNetwork()
    model = FirstOrderModel(network, limits=None)
    poses = driven(model, (200, 150, 120), *[(212, 150, 120)] * 12)
    squares = [p.crop_from_frame[0, 2] for p in poses[1:]]
    assert max(squares) - min(squares) > 1  # the square did move
    places = np.stack([p.place for p in poses[1:]])
    assert np.abs(places - places[0]).max() < 1.5  # within what a square's pixels resolve
    assert np.abs((poses[1].place - poses[0].place).mean(axis=0) - (12, 0)).max() < 1.5


def test_the_heads_travel_is_carried_over_in_the_avatars_measure() -> None:
    network = ToyNetwork()
    model = FirstOrderModel(network, limits=None)
    still, moved = driven(model, (200, 150, 120), (218, 150, 120))
    cast = model.encode_source(ToyNetwork.picture_of(a_face((300, 240), 240), (640, 480)), a_face((300, 240), 240))
    model.draw(cast, still, still, Motion())
    home = network.drawn[-1].value.copy()
    np.testing.assert_allclose(home, cast.encoded.keypoints.value, atol=1e-5)
    model.draw(cast, moved, still, Motion(adapt_scale=False))
    # The square's side is that of `portrait_square`: the same number of heads as at the driver.
    side = network.size / still.crop_from_frame[0, 0]
    assert np.median(network.drawn[-1].value - home, axis=0)[0] == pytest.approx(2 * 18 / side, rel=0.1)


@pytest.mark.parametrize("region", ["all", "expression", "head", "lips", "eyes"])
@pytest.mark.parametrize("wild", ["far", "nan", "mirrored", "huge"])
def test_wild_key_points_never_make_a_monster(region: str, wild: str) -> None:
    network = ToyNetwork()
    model = FirstOrderModel(network)
    (still,) = driven(model, (200, 150, 120))
    cast = model.encode_source(ToyNetwork.picture_of(a_face()), a_face())
    chaos = np.random.default_rng(1)
    place, shape = still.place.copy(), still.shape.copy()
    if wild == "far":
        place += chaos.normal(0, 500, place.shape)
    elif wild == "nan":
        place[3], shape[5] = np.nan, np.inf
    elif wild == "mirrored":
        shape[:, 0] *= -1
    else:
        shape *= chaos.uniform(-80, 80, shape.shape)
        place *= 1e7
    model.draw(cast, Posed(place, shape, still.crop_from_frame), still, Motion(region=region))
    own, moved = cast.encoded.keypoints, network.drawn[-1]
    assert np.isfinite(moved.value).all()
    assert np.isfinite(moved.jacobian).all()
    width = np.ptp(own.value)
    assert np.abs(moved.value - own.value).max() < width
    change = moved.jacobian.astype(np.float64) @ np.linalg.inv(own.jacobian.astype(np.float64))
    sizes = np.linalg.svd(change, compute_uv=False)
    assert sizes.max() < 2.01
    assert sizes.min() > 0.49
    assert (np.linalg.det(change) > 0).all()


def test_motion_fades_to_the_avatars_own_pose() -> None:
    network = ToyNetwork()
    model = FirstOrderModel(network)
    still, moved = driven(model, (200, 150, 120), (215, 160, 126))
    cast = model.encode_source(ToyNetwork.picture_of(a_face()), a_face())
    away = []
    for strength in (1.0, 0.75, 0.5, 0.25, 0.0):
        model.draw(cast, moved, still, Motion(strength=strength))
        away.append(float(np.abs(network.drawn[-1].value - cast.encoded.keypoints.value).mean()))
    assert away == sorted(away, reverse=True)
    assert away[-1] == 0
    assert away[2] == pytest.approx(away[0] / 2, rel=1e-3)


def test_a_network_that_sees_nothing_is_no_driver() -> None:
    network = ToyNetwork()
    model = FirstOrderModel(network)
    for bad in (np.zeros((10, 2)), np.full((10, 2), np.nan), np.linspace(0, 1, 20).reshape(10, 2)):
        network.says = KeyPoints(bad.astype(np.float32), np.tile(np.eye(2, dtype=np.float32), (10, 1, 1)))
        assert model.encode_driving(frame(pixels()), a_face(), 1.0) is None
        with pytest.raises(ModelError, match="no key points"):
            model.encode_source(pixels(), a_face())
    network.says = None
    assert model.encode_driving(frame(pixels()), None, 1.0) is None


def test_the_filter_steadies_and_starts_afresh_with_another_person() -> None:
    network = ToyNetwork()
    steady, plain = FirstOrderModel(network), FirstOrderModel(network)
    noise = np.random.default_rng(3)
    shown = []
    for seq in range(60):
        x, y = 200 + noise.normal(0, 0.6), 150 + noise.normal(0, 0.6)
        face = a_face((x, y), 120)
        picture = frame(ToyNetwork.picture_of(face), seq)
        pair = [p.encode_driving(picture, face, s) for p, s in ((steady, 1.0), (plain, 0.0))]
        shown.append([p.place for p in pair if p is not None])
    trembles = np.diff(np.array(shown)[20:], axis=0).std(axis=(0, 2, 3))
    assert trembles[0] < 0.6 * trembles[1]
    face = a_face((260, 150), 120)
    other = Face(face.landmarks, face.blendshapes, face.pose, face.score, track=7)
    picture = frame(ToyNetwork.picture_of(other), 60)
    a, b = steady.encode_driving(picture, other, 1.0), plain.encode_driving(picture, other, 0.0)
    np.testing.assert_allclose(a.place, b.place, atol=1e-6)


def test_the_square_shows_the_head_with_hair_and_shoulders() -> None:
    """The face takes about half of the square's height; it is never turned."""
    face = a_face((200, 150), 120)
    model = FirstOrderModel(ToyNetwork())
    cast = model.encode_source(ToyNetwork.picture_of(face), face)
    assert cast.crop_from_avatar[0, 1] == cast.crop_from_avatar[1, 0] == 0
    top, chin = (
        face.landmarks[i, :2] @ cast.crop_from_avatar[:, :2].T + cast.crop_from_avatar[:, 2] for i in (10, 152)
    )
    assert 0.4 < (chin[1] - top[1]) / cast.size < 0.65
    # Wider than the widest crop of the swap models.
    assert cast.crop_from_avatar[0, 0] < crop_from_frame(face.landmarks, "whole_face", cast.size)[0, 0]


def test_a_trembling_head_hardly_moves_it() -> None:
    square, noise = SmoothCrop(), np.random.default_rng(0)
    given, made = [], []
    for i in range(150):
        face = a_face((200 + noise.normal(0, 0.8), 150 + noise.normal(0, 0.8)), 120 + noise.normal(0, 0.8))
        given.append(portrait_square(face.landmarks))
        made.append(square(face.landmarks, 0, i / 30))
    trembles = [np.diff(np.array(path)[60:], axis=0).std() for path in (given, made)]
    assert trembles[1] < 0.35 * trembles[0]


def test_a_head_that_walks_off_is_followed_within_half_a_second() -> None:
    square = SmoothCrop()
    for i in range(30):
        square(a_face((200, 150), 120).landmarks, 0, i / 30)
    for i in range(15):
        x, _, side = square(a_face((320, 150), 120).landmarks, 0, 1 + i / 30)
    assert abs(x - 320) < 0.05 * side


def test_another_person_or_a_gap_starts_afresh() -> None:
    square = SmoothCrop()
    square(a_face((200, 150), 120).landmarks, 0, 0.0)
    there = a_face((300, 150), 100).landmarks
    assert square(there, 1, 0.03) == pytest.approx(portrait_square(there))
    back = a_face((150, 120), 80).landmarks
    assert square(back, 1, 5.0) == pytest.approx(portrait_square(back))


def test_a_square_becomes_the_whole_crop() -> None:
    matrix = crop_of_square(100.0, 60.0, 80.0, 256)
    corners = np.array([[60, 20, 1], [140, 100, 1]]) @ matrix.T
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [255.5, 255.5]], atol=2)
    assert matrix[0, 0] == matrix[1, 1] == pytest.approx(3.2)
    np.testing.assert_allclose(matrix @ (100, 60, 1), [127.5, 127.5])


def test_landmarks_without_extent_have_no_portrait() -> None:
    for broken in (np.zeros((478, 3)), np.full((478, 3), np.nan)):
        with pytest.raises(ValueError, match="without extent"):
            portrait_crop(broken, 64)
