"""Where the lip-sync crop lies, and what of it is taken."""

import cv2
import numpy as np
import pytest
from fakes import a_face

from realtime.families.lip_sync.lower_face import BELOW, FaceBox, lower_mask
from realtime.imaging.affine import cut
from realtime.tracking.face import Face

SIZE = 96
SIDE = (400, 300)


def in_box(x0: float, y0: float, width: float, height: float) -> Face:
    """A face whose box, chin room included, is exactly these pixels."""
    face = a_face()
    low, span = face.landmarks[:, :2].min(axis=0), np.ptp(face.landmarks[:, :2], axis=0)
    wide = np.array([width - 1, height / (1 + BELOW) - 1])
    flat = (face.landmarks[:, :2] - low) / span * wide + (x0, y0)
    points = np.column_stack([flat, face.landmarks[:, 2]]).astype(np.float32)
    return Face(points, face.blendshapes, face.pose, face.score)


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
    matrix = FaceBox(upright=False)(in_box(*box), 0.0, SIZE)
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
