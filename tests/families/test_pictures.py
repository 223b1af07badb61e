"""Picture-set identities: geometry that follows, openings that are openings, edges, light, and the loop around them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mesh_faces import a_face, a_shape, blinking
from picture_faces import a_key, a_picture_set, keys, painted

from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.families.face_swap.camera_match import CameraMatch
from realtime.families.face_swap.driver_motion import DriverMotion
from realtime.families.face_swap.effect import FaceSwap, open_swapper
from realtime.families.face_swap.face_texture import FaceTexture, shares
from realtime.families.face_swap.pictures import PictureFace
from realtime.families.face_swap.skin_reading import open_face_skin
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, OVAL
from realtime.frame import Frame, Pixels
from realtime.models.bundle import open_bundle
from realtime.models.picture_set import KeyPicture, PictureSet
from realtime.tracking.face import Face

SIZE = (400, 360)
FACES = open_face_skin()
ASIS = Settings(skin=0.0, my_skin="light", mask_erode=0, mask_blur=2)


def a_driver(**how: object) -> Face:
    shape = {name: how.pop(name) for name in ("jaw_cm", "shut", "gaze_cm") if name in how}
    place: dict[str, object] = {"at": (200.0, 180.0), "px_per_cm": 12.0, **how}
    return replace(a_face(a_shape(**shape), **place), track=1)  # type: ignore[arg-type]


def a_frame(face: Face, number: int = 0, skin: tuple[int, int, int] = (140, 170, 210)) -> Frame:
    return Frame(painted(face, SIZE, skin), number, 0, number / 25)


def an_identity(*pictures: KeyPicture) -> PictureFace:
    return PictureFace(FACES, PictureSet(tuple(pictures or keys())), None, title="Eve")


def drawn(identity: PictureFace, *faces: Face, settings: Settings = ASIS) -> tuple[Pixels, Face]:
    """The last picture after 15 frames of the first face and one of each other; and its face."""
    effect = FaceSwap(identity)
    out: Pixels | None = None
    for number, face in enumerate([*[faces[0]] * 15, *faces]):
        frame = a_frame(face, number)
        out = effect(frame, [face], settings, StageTimer(lambda: 0))
    assert out is not None
    return out, faces[-1]


def inside(picture: Pixels, face: Face, ring: np.ndarray) -> np.ndarray:
    """The colour in the middle of some landmarks."""
    x, y = face.landmarks[ring, :2].mean(axis=0).round().astype(int)
    return np.asarray(picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0))


def test_the_shape_is_the_identitys_and_the_change_the_drivers() -> None:
    wide = a_shape()
    wide[:, 0] *= 1.1
    rest = a_key()
    motion = DriverMotion(FACES.head, FaceTexture(FACES.head, FACES, PictureSet((rest,))).rest.reading)
    face = replace(a_face(wide, at=(200.0, 180.0), px_per_cm=12.0), track=1)
    frames = [a_frame(face, number) for number in range(60)]
    poses = [motion(frame, face, 1.0) for frame in frames]
    first, last = poses[0], poses[-1]
    assert first is not None
    assert last is not None
    # Nobody knows the driver's rest yet.
    np.testing.assert_allclose(first.points[:, :2], face.landmarks[:, :2], atol=0.1)
    apart = [float(np.linalg.norm(p.points[133] - p.points[362])) for p in (first, last)]
    assert apart[1] < 0.97 * apart[0], "the eyes are as far apart as the identity's"
    np.testing.assert_allclose(last.points[OVAL, :2], face.landmarks[OVAL, :2], atol=0.12 * 12)
    none = motion(frames[-1], face, 0.0)
    assert none is not None
    np.testing.assert_allclose(none.points[:, :2], face.landmarks[:, :2], atol=1e-3)


def test_landmarks_that_are_no_numbers_give_no_pose() -> None:
    motion = DriverMotion(FACES.head, FaceTexture(FACES.head, FACES, PictureSet((a_key(),))).rest.reading)
    face = a_driver()
    bad = replace(face, landmarks=np.full_like(face.landmarks, np.nan))
    assert motion(a_frame(face), bad, 1.0) is None


def test_a_key_is_chosen_by_its_shape_and_never_more_than_one_in_all() -> None:
    smile, open_ = np.zeros((4, 3)), np.zeros((4, 3))
    smile[:, 0], open_[:, 1] = 1.0, -2.0
    assert shares([], smile) == []
    np.testing.assert_allclose(shares([smile, open_], 0.5 * open_), [0, 0.5], atol=1e-6)
    np.testing.assert_allclose(shares([smile, open_], -smile), [0, 0], atol=1e-6)
    assert sum(shares([smile, open_], smile + open_)) == pytest.approx(1.0)


def test_closed_eyes_show_lids_and_open_ones_eyeballs() -> None:
    rest = blinking(a_driver(), 0.05, 0.05)
    shut = blinking(a_driver(shut=(0.97, 0.97)), 0.95, 0.95)
    picture, face = drawn(an_identity(), rest)
    ring = EYES[0].ring
    x, y = face.landmarks[ring, :2].min(axis=0).astype(int)
    x1, y1 = face.landmarks[ring, :2].max(axis=0).astype(int)
    open_eye = picture[y:y1, x:x1].min(axis=2).max()
    closed, _ = drawn(an_identity(), rest, shut)
    assert open_eye > 130, "some of the white"
    assert closed[y:y1, x:x1].min(axis=2).max() < open_eye - 20


def test_half_a_blink_leaves_eyes_half_open_and_alike_and_a_wink_closes_one() -> None:
    motion = DriverMotion(FACES.head, FaceTexture(FACES.head, FACES, PictureSet((a_key(),))).rest.reading)

    def openings(shut: tuple[float, float], blink: tuple[float, float]) -> list[float]:
        for number in range(30):  # at rest, then as asked
            rest = blinking(a_driver(), 0.05, 0.05)
            motion(a_frame(rest, number), rest, 1.0)
        face = blinking(a_driver(shut=shut), *blink)
        pose = motion(a_frame(face, 31), face, 1.0)
        assert pose is not None
        return [float(share) for share in pose.opening]

    right, left = openings((0.45, 0.4), (0.35, 0.5))
    assert 0.2 < right < 0.7
    assert 0.2 < left < 0.7
    assert abs(right - left) < 0.1, "landmarks' noise is no wink"
    assert max(openings((0.97, 0.97), (0.6, 0.7))) < 0.1
    winks = openings((0.97, 0.0), (0.8, 0.1))
    assert winks[0] < 0.15
    assert winks[1] > 0.8


@pytest.mark.parametrize("pictures", [keys(), keys()[:1]], ids=["three pictures", "one picture"])
def test_parted_lips_show_what_is_behind_them(pictures: list[KeyPicture]) -> None:
    closed, face = drawn(an_identity(*pictures), a_driver())
    parted, wide = drawn(an_identity(*pictures), a_driver(), a_driver(jaw_cm=2.0))
    before, after = (inside(p, f, INNER_LIPS) for p, f in ((closed, face), (parted, wide)))
    assert np.abs(after - before).max() > 25


def test_a_mouth_that_opens_evenly_changes_evenly_between_its_pictures() -> None:
    wide, open_ = a_key("wide", jaw_cm=1.0), a_key("open", jaw_cm=3.0)
    wide = replace(wide, pixels=np.full_like(wide.pixels, 240))
    open_ = replace(open_, pixels=np.full_like(open_.pixels, 20))
    identity = an_identity(a_key(), wide, open_)
    shown = []
    for step in range(11):
        picture, face = drawn(identity, a_driver(), a_driver(jaw_cm=1.0 + 0.2 * step))
        shown.append(float(inside(picture, face, INNER_LIPS).mean()))
    change = -np.diff(shown)
    assert shown[0] - shown[-1] > 60, "from one picture to the other"
    assert change.max() < 0.35 * (shown[0] - shown[-1]), "and no flash"


def test_nothing_beside_the_face_is_touched() -> None:
    picture, face = drawn(an_identity(), a_driver(), settings=ASIS)
    frame = a_frame(face).pixels
    assert picture.shape == frame.shape
    x0, _, _, y1 = (round(value) for value in face.box)
    np.testing.assert_array_equal(picture[:, : x0 - 30], frame[:, : x0 - 30])
    np.testing.assert_array_equal(picture[y1 + 30 :], frame[y1 + 30 :])


def test_light_follows_the_driver() -> None:
    identity, settings = an_identity(), ASIS
    effect, face = FaceSwap(identity), a_driver()
    bright, dark = ((140, 170, 210), (70, 85, 105))
    means = []
    for skin in (bright, dark):
        for number in range(30):
            frame = a_frame(face, number + 100 * (skin is dark), skin)
            out = effect(frame, [face], settings, StageTimer(lambda: 0))
        assert out is not None
        means.append(inside(out, face, np.array([50, 205])).mean())
    assert means[1] < 0.75 * means[0]


def test_a_very_large_and_a_tiny_face_are_drawn() -> None:
    for px_per_cm in (2.0, 60.0):
        face = a_driver(px_per_cm=px_per_cm)
        identity = an_identity()
        matrix, size = identity.crop(face.landmarks)
        assert 64 <= size <= 512
        assert matrix[0, 0] <= 1.0
        out = FaceSwap(identity)(a_frame(face), [face], ASIS, StageTimer(lambda: 0))
        assert out is not None


def test_two_drivers_have_their_own_rest() -> None:
    one, other = a_driver(at=(100.0, 180.0)), replace(a_driver(at=(300.0, 180.0)), track=2)
    picture = painted(one, SIZE)
    both = np.maximum(picture, painted(other, SIZE))
    out = FaceSwap(an_identity())(Frame(both, 0, 0, 0.0), [one, other], ASIS, StageTimer(lambda: 0))
    assert out is not None


def test_a_bundle_of_pictures_is_a_swap_identity(tmp_path: Path) -> None:
    swapper = open_swapper(open_bundle(a_picture_set(tmp_path / "eve")), provider="cpu", threads=1)
    face = a_driver()
    frame = a_frame(face)
    matrix, size = swapper.crop(face.landmarks)
    swapped = swapper(frame.pixels[:size, :size].copy(), face, matrix, ASIS, frame)
    assert swapper.title == "Eve"
    assert swapped.finished
    assert swapped.visible is not None
    assert swapped.visible.shape == swapped.mask.shape
    swapper.close()
    swapper.close()


def test_a_soft_camera_softens_and_a_noisy_one_adds_grain() -> None:
    rng = np.random.default_rng(0)
    texture = np.repeat(rng.integers(60, 200, (128, 128, 1), np.uint8), 3, axis=2)
    flat = np.full_like(texture, 128)
    noisy = np.clip(flat + rng.normal(0, 4, flat.shape), 0, 255).astype(np.uint8)
    box = (0, 0, 128, 128)
    soft, grainy = CameraMatch(), CameraMatch()
    for _ in range(60):
        softened, grained = soft(texture, flat, box, 30), grainy(flat, noisy, box, 30)
    assert softened.std() < 0.75 * texture.std()
    assert 2.0 < grained.std() < 6.0
    assert CameraMatch()(texture, flat, (0, 0, 8, 8), 30) is texture
