"""Where the lip-sync crop lies, and what of it is taken."""

import cv2
import numpy as np
import pytest
from fakes import a_face
from lip_parts import in_box, outline_in

from realtime.families.lip_sync.lower_face import (
    FaceBox,
    SmoothLips,
    changed,
    close_mouth,
    lower_mask,
    match_seam,
    shutting,
)
from realtime.families.lip_sync.network import LIP_POINTS, lip_planes
from realtime.families.motion.mesh.head import CHIN, UNDER_NOSE
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import cut
from realtime.tracking.face import Face

SIZE = 96
SIDE = (400, 300)


def turned(face: Face, degrees: float, about: tuple[float, float]) -> Face:
    matrix = cv2.getRotationMatrix2D(about, -degrees, 1.0)
    flat = face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    points = np.column_stack([flat, face.landmarks[:, 2]]).astype(np.float32)
    return Face(points, face.blendshapes, face.pose, face.score)


def noise_picture() -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (SIDE[1], SIDE[0], 3), dtype=np.uint8), (0, 0), 2.0)


@pytest.mark.parametrize("box", [(100, 60, 96, 96), (80, 40, 140, 180), (50, 50, 60, 90)])
def test_the_crop_is_upstream_s_box_scaled_to_a_square(box: tuple[int, int, int, int]) -> None:
    x0, y0, width, height = box
    pixels = noise_picture()
    matrix = FaceBox()(in_box(*box), 0.0, SIZE)
    ours = cut(pixels, matrix, SIZE, "edge")
    theirs = cv2.resize(pixels[y0 : y0 + height, x0 : x0 + width], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    inner = slice(2, -2)
    assert np.abs(ours.astype(int) - theirs)[inner, inner].max() <= 3
    if (width, height) == (SIZE, SIZE):
        np.testing.assert_array_equal(ours[inner, inner], theirs[inner, inner])


def test_a_tilted_head_comes_out_upright() -> None:
    face = in_box(130, 60, 120, 150)
    centre = (190.0, 135.0)
    matrix = FaceBox()(turned(face, 25, centre), 0.0, SIZE)
    plain = FaceBox()(face, 0.0, SIZE)
    for which in (33, 263, 61, 291, 152):
        tilted = turned(face, 25, centre).landmarks[which, :2] @ matrix[:, :2].T + matrix[:, 2]
        upright = face.landmarks[which, :2] @ plain[:, :2].T + plain[:, 2]
        np.testing.assert_allclose(tilted, upright, atol=1.0)


def test_the_box_does_not_breathe_with_the_jaw_but_goes_with_the_head() -> None:
    box = FaceBox()
    heights, lefts = [], []
    for i in range(100):
        jaw = 15 * abs(np.sin(2 * np.pi * 4 * i / 25))
        matrix = box(in_box(100 + 2 * i, 50, 120, 150 + jaw), i / 25, SIZE)
        heights.append(SIZE / matrix[1, 1])
        lefts.append(matrix[0, 2])
    assert np.ptp(heights[25:]) < 0.35 * 15
    # 2 pixels a frame: the crop is where the head is, within a pixel and a half.
    at = [(-0.5 - left) * 120 / SIZE for left in lefts]
    assert abs(at[-1] - at[-26] - 50) < 1.5


def test_another_person_and_a_jump_in_time_start_afresh() -> None:
    box = FaceBox()
    box(in_box(0, 0, 50, 50), 0.0, SIZE)
    other = in_box(200, 100, 120, 150)
    far = Face(other.landmarks, other.blendshapes, other.pose, other.score, track=5)
    fresh = FaceBox()(far, 0.0, SIZE)
    np.testing.assert_array_equal(box(far, 0.04, SIZE), fresh)
    box(in_box(0, 0, 50, 50), 0.08, SIZE)
    same = in_box(200, 100, 120, 150)
    np.testing.assert_array_equal(box(same, 3.0, SIZE), FaceBox()(same, 0.0, SIZE))


def test_the_mask_covers_mouth_and_chin_and_nothing_above_the_nose() -> None:
    face = in_box(100, 50, 120, 150)
    matrix = FaceBox()(face, 0.0, SIZE)
    mask = lower_mask(face.landmarks, matrix, SIZE)
    at = np.rint(face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]).astype(int)
    assert mask.shape == (SIZE, SIZE)
    assert mask.dtype == np.float32
    for lip in (0, 13, 14, 17, 61, 291):
        assert mask[at[lip][1], at[lip][0]] > 0.95
    for above in (33, 263, 4, 168, 10):
        assert mask[at[above][1], at[above][0]] < 0.05
    assert mask[at[1][1], at[1][0]] < 0.4  # the nose's tip hangs into the soft edge
    assert not mask[[0, -1]].any()
    assert not mask[:, [0, -1]].any()
    # Soft: no step larger than what nobody sees.
    assert max(np.abs(np.diff(mask, axis=0)).max(), np.abs(np.diff(mask, axis=1)).max()) < 0.16


def test_a_face_that_is_hardly_there_has_a_mask_too() -> None:
    wild = a_face()
    wild.landmarks[:, :2] *= 1e7
    mask = lower_mask(wild.landmarks, np.array([[1.0, 0, 0], [0, 1.0, 0]]), 32)
    assert np.isfinite(mask).all()


S = 128
MIDDLE, NOSE_Y, CHIN_Y = (64.0, 90.0), 68.0, 116.0
AS_IT_IS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SKIN, LIP, INSIDE, BELOW = (150, 170, 200), (90, 90, 190), (10, 10, 30), (60, 200, 60)
MOLE, MOLE_Y = (200, 80, 60), 107
"""Between the lower lip and the chin."""


def landmarks(opened: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    points = np.zeros((478, 3), np.float32)
    points[LIP_POINTS, :2] = outline_in(MIDDLE, 16.0, opened)
    points[UNDER_NOSE, :2], points[CHIN, :2] = (64, NOSE_Y), (64, CHIN_Y)
    return points


def a_crop(opened: float) -> Pixels:
    """Skin, two lips about a dark mouth, a mole below, and something green from the chin on."""
    picture = np.full((S, S, 3), SKIN, np.uint8)
    picture[int(CHIN_Y) :] = BELOW
    picture[MOLE_Y - 1 : MOLE_Y + 2, 62:67] = MOLE
    outline = outline_in(MIDDLE, 16.0, opened)
    cv2.fillPoly(picture, [outline[:20].round().astype(np.int32)], LIP)
    if opened:
        cv2.fillPoly(picture, [outline[20:].round().astype(np.int32)], INSIDE)
    return picture


def dark(picture: Pixels) -> int:
    return int((picture.max(axis=2) < 45).sum())


@pytest.mark.parametrize("opened", [0.2, 0.45])
def test_the_inside_of_the_mouth_is_gone_and_the_chin_stays(opened: float) -> None:
    crop = a_crop(opened)
    assert dark(crop) > 50
    shut, outline = close_mouth(crop, landmarks(opened), AS_IT_IS)
    assert dark(shut) < 30  # the line where they meet
    mole = np.flatnonzero(np.abs(shut[:, 64].astype(int) - MOLE).max(axis=1) < 40)
    assert 0.05 * 16 * opened < MOLE_Y - mole.mean() < 16 * opened  # as far as the lower lip at most
    # What is below the chin stays.
    np.testing.assert_array_equal(shut[int(CHIN_Y) + 1 :], crop[int(CHIN_Y) + 1 :])
    # From the nose up nothing has moved, nor beside the jaw.
    np.testing.assert_array_equal(shut[: int(NOSE_Y)], crop[: int(NOSE_Y)])
    np.testing.assert_array_equal(shut[:, :20], crop[:, :20])
    # The outline is that of the shut mouth: its lips meet, and lie where they are drawn.
    np.testing.assert_allclose(outline[21:30, 1], outline[31:40, 1][::-1], atol=1e-3)
    lips = lip_planes(outline, S, S).max(axis=0) > 0.5
    drawn = np.abs(shut.astype(int) - LIP).max(axis=2) < 40
    assert (lips & drawn).sum() > 0.85 * max(lips.sum(), drawn.sum())


def test_pixels_keep_their_order() -> None:
    from_y, _ = shutting(S, landmarks(0.6), AS_IT_IS)
    assert np.diff(from_y, axis=0).min() >= 0


def test_lips_that_meet_stay_as_they_are() -> None:
    crop = a_crop(0.0)
    shut, outline = close_mouth(crop, landmarks(0.0), AS_IT_IS)
    assert shut is crop
    np.testing.assert_allclose(outline, outline_in(MIDDLE, 16.0, 0.0), atol=1e-4)


def test_the_crop_may_be_any_part_of_the_frame() -> None:
    crop = a_crop(0.4)
    matrix = np.array([[0.5, 0.0, 7.0], [0.0, 0.25, -3.0]])
    points = landmarks(0.4)
    points[:, 0], points[:, 1] = (points[:, 0] - 7) / 0.5, (points[:, 1] + 3) / 0.25
    shut, outline = close_mouth(crop, points, matrix)
    same, expected = close_mouth(crop, landmarks(0.4), AS_IT_IS)
    np.testing.assert_allclose(shut, same, atol=1)
    np.testing.assert_allclose(outline, expected, atol=1e-3)


def test_a_mouth_beyond_the_crop_breaks_nothing() -> None:
    points = landmarks(0.4)
    points[:, :2] += (300, -200)
    shut, outline = close_mouth(a_crop(0.4), points, AS_IT_IS)
    assert shut.shape == (S, S, 3)
    assert np.isfinite(outline).all()


def lips_of(wide: float, opened: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    points = landmarks(opened)
    points[LIP_POINTS, :2] = outline_in(MIDDLE, wide, opened)
    return points


def a_speaker(points: np.ndarray[tuple[int, ...], np.dtype[np.float32]], track: int = 1) -> Face:
    face = a_face()
    return Face(points, face.blendshapes, face.pose, face.score, track=track)


def drawn(wide: float) -> Pixels:
    """Skin and two lips that meet."""
    picture = a_crop(0.0)
    planes = lip_planes(outline_in(MIDDLE, wide, 0.0).astype(np.float32), S, S).max(axis=0) > 0.5
    picture[60:112] = (150, 170, 200)
    picture[planes] = LIP
    return picture


def width(picture: Pixels) -> int:
    columns = np.flatnonzero((np.abs(picture.astype(int) - LIP).max(axis=2) < 40).any(axis=0))
    return int(columns[-1] - columns[0])


def test_the_first_picture_is_only_shut() -> None:
    crop = a_crop(0.45)
    made, outline = SmoothLips()(crop, a_speaker(landmarks(0.45)), AS_IT_IS, 0.0)
    shut, met = close_mouth(crop, landmarks(0.45), AS_IT_IS)
    np.testing.assert_allclose(made, shut, atol=1)
    np.testing.assert_allclose(outline, met, atol=1e-4)
    assert dark(made) < 30
    still = a_crop(0.0)
    assert SmoothLips()(still, a_speaker(landmarks(0.0)), AS_IT_IS, 0.0)[0] is still


def test_lips_that_widen_for_a_word_are_as_wide_as_usual() -> None:
    steady = SmoothLips()
    for k in range(25):
        made, outline = steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    usual = width(made)
    made, outline = steady(drawn(19.0), a_speaker(lips_of(19.0)), AS_IT_IS, 1.0)
    assert width(drawn(19.0)) >= usual + 8
    assert width(made) == pytest.approx(usual, abs=3)
    # The outline is where the lips are now, and the rest of the face has not moved.
    lips = lip_planes(outline, S, S).max(axis=0) > 0.5
    seen = np.abs(made.astype(int) - LIP).max(axis=2) < 40
    assert (lips & seen).sum() > 0.85 * max(lips.sum(), seen.sum())
    np.testing.assert_array_equal(made[: int(NOSE_Y) - 8], drawn(19.0)[: int(NOSE_Y) - 8])
    np.testing.assert_array_equal(made[int(CHIN_Y) + 2 :], drawn(19.0)[int(CHIN_Y) + 2 :])


def test_another_mouth_that_stays_becomes_the_usual_one() -> None:
    steady = SmoothLips()
    for k in range(25):
        steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    for k in range(25, 125):
        made, _ = steady(drawn(19.0), a_speaker(lips_of(19.0)), AS_IT_IS, k / 25)
    assert width(made) == pytest.approx(width(drawn(19.0)), abs=2)


@pytest.mark.parametrize(("track", "at_s"), [(2, 1.0), (1, 60.0), (1, 0.5)])
def test_another_speaker_and_a_jump_in_time_start_afresh(track: int, at_s: float) -> None:
    steady = SmoothLips()
    for k in range(25):
        steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    crop = drawn(19.0)
    assert steady(crop, a_speaker(lips_of(19.0), track), AS_IT_IS, at_s)[0] is crop


def test_where_the_mouth_is_is_never_steadied() -> None:
    """A head that moves takes its lips along at once: only their shape is held."""
    steady = SmoothLips()
    for k in range(25):
        steady(drawn(14.0), a_speaker(lips_of(14.0)), AS_IT_IS, k / 25)
    points = lips_of(14.0)
    points[:, 0] += 12
    crop = np.roll(drawn(14.0), 12, axis=1)
    made, outline = steady(crop, a_speaker(points), AS_IT_IS, 1.0)
    np.testing.assert_allclose(outline, points[LIP_POINTS, :2], atol=1e-3)
    assert made is crop


SIZE = 96


def mask() -> Floats:
    drawn = np.zeros((SIZE, SIZE), np.float32)
    cv2.circle(drawn, (48, 60), 26, (1.0,), -1)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 3.5), np.float32)


def skin(seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    tone = np.stack([110 + 0.3 * x, 140 + 0.2 * y, 190 - 0.2 * x], axis=2) + rng.normal(0, 2, (SIZE, SIZE, 3))
    return tone.astype(np.uint8)


def seam(new: Pixels, old: Pixels, part: Floats) -> float:
    """The mean difference where the mask is half."""
    rim = (part > 0.3) & (part < 0.7)
    return float(np.abs(new[rim].astype(int) - old[rim]).mean())


def test_another_tone_is_taken_to_that_of_the_picture() -> None:
    old, part = skin(), mask()
    new = np.clip(old.astype(int) + (14, -12, 18), 0, 255).astype(np.uint8)
    matched = match_seam(new, old, part)
    assert seam(new, old, part) > 12
    assert seam(matched, old, part) < 2
    assert np.abs(matched[50:70, 38:58].astype(int) - old[50:70, 38:58]).mean() < 3  # the middle goes with it


def test_light_from_the_side_is_followed() -> None:
    part, old = mask(), skin()
    shade = np.linspace(-25, 25, SIZE)[None, :, None]
    new = np.clip(old + shade, 0, 255).astype(np.uint8)
    assert seam(match_seam(new, old, part), old, part) < 0.3 * seam(new, old, part)


def test_an_open_mouth_in_the_middle_does_not_bleed() -> None:
    part, old = mask(), skin()
    new = old.copy()
    cv2.ellipse(new, (48, 60), (14, 8), 0, 0, 360, (20, 10, 60), -1)
    matched = match_seam(new, old, part)
    assert np.abs(matched.astype(int) - new).max() <= 4


def test_where_all_is_equal_or_masked_nothing_changes() -> None:
    old = skin()
    np.testing.assert_array_equal(match_seam(old, old, mask()), old)
    other = skin(1)
    np.testing.assert_array_equal(match_seam(other, old, np.zeros((SIZE, SIZE), np.float32)), other)


def test_where_nothing_changed_the_frame_is_kept() -> None:
    old = np.random.default_rng(2).integers(60, 200, (64, 64, 3), np.uint8)
    new = old.copy()
    new[40:50, 24:40] = 20
    share = changed(new, old)
    assert (share[40:50, 24:40] == 1).all()
    assert share[:28].max() == 0
    assert 0 < share[:, 32].sum() < 40
    assert changed(old + np.uint8(2), old).max() == 0  # a tone that nobody sees


def test_large_pictures_are_matched_as_small_ones() -> None:
    old, part = skin(), mask()
    new = np.clip(old.astype(int) + (14, -12, 18), 0, 255).astype(np.uint8)
    cv2.ellipse(new, (48, 60), (14, 8), 0, 0, 360, (20, 10, 60), -1)
    large = [np.asarray(cv2.resize(x, (288, 288), interpolation=cv2.INTER_CUBIC)) for x in (new, old, part)]
    whole = match_seam(large[0].astype(np.uint8), large[1].astype(np.uint8), large[2].clip(0, 1).astype(np.float32))
    smaller = cv2.resize(whole, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - match_seam(new, old, part)).mean() < 1.5
