"""`align`: DeepFaceLab's crops, exactly, and clean pictures from them."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from similarities import similarity

from realtime.errors import ConfigError
from realtime.imaging.affine import cut, invert, umeyama, warp
from realtime.imaging.align import FACE_TYPES, IBUG_68, MEAN_FACE, MEAN_FACE_POINTS, crop_from_frame, landmarks_68

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "dflive_merge.npz"


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def face_68(matrix):
    """iBUG points of the mean face seen through `matrix`; the ones it lacks are put in its middle."""
    points = np.full((68, 2), 0.5)
    points[list(MEAN_FACE_POINTS)] = MEAN_FACE
    # A symmetric jaw, so that the head's yaw is about 0.
    points[0:17, 0] = 0.490127 + np.linspace(-0.6, 0.6, 17)
    return apply(matrix, points)


def svd_umeyama(src, dst):
    """Umeyama 1991, equations 38-43, by the singular value decomposition."""
    a, b = src - src.mean(0), dst - dst.mean(0)
    u, d, vt = np.linalg.svd(b.T @ a / len(src))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / a.var(0).sum()
    return np.column_stack([scale * rotation, dst.mean(0) - scale * rotation @ src.mean(0)])


@pytest.mark.parametrize("degrees", [0, 17, -95, 180])
def test_umeyama_finds_the_similarity(degrees):
    truth = similarity(3.7, degrees, 200, -40)
    assert np.allclose(umeyama(MEAN_FACE, apply(truth, MEAN_FACE)), truth, atol=1e-10)


def test_umeyama_is_the_least_squares_optimum_of_the_paper():
    rng = np.random.default_rng(1)
    for _ in range(20):
        src, dst = rng.normal(size=(33, 2)) * 90 + 400, rng.normal(size=(33, 2))
        assert np.allclose(umeyama(src, dst), svd_umeyama(src, dst), atol=1e-9)


def test_umeyama_never_mirrors():
    mirrored = MEAN_FACE * [-1, 1]
    assert np.linalg.det(umeyama(MEAN_FACE, mirrored)[:, :2]) > 0


@pytest.mark.parametrize("bad", [np.ones((33, 2)), np.full((33, 2), np.nan)])
def test_landmarks_without_extent_are_refused(bad):
    with pytest.raises(ValueError, match="coincide or are not finite"):
        umeyama(bad, MEAN_FACE)


def dfl_crop(points, size, padding, up=0.0):
    """DeepFaceLab's construction in its own words: the frame's points of three corners of the crop."""
    frame_from_unit = invert(umeyama(points[list(MEAN_FACE_POINTS)], MEAN_FACE))
    p0, p1, p2, p3, centre = apply(frame_from_unit, np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]]))
    down_right, up_right = p2 - p0, p1 - p3
    reach = np.linalg.norm(down_right) * (padding * math.sqrt(2) + 0.5)
    down_right, up_right = down_right / np.linalg.norm(down_right), up_right / np.linalg.norm(up_right)
    centre = centre + (p0 - p3) * up
    steps = np.array([-down_right, up_right, down_right])
    corners = (centre + steps * reach).astype(np.float32)
    return cv2.getAffineTransform(corners, np.float32([(0, 0), (size, 0), (size, size)]))


@pytest.mark.parametrize(
    ("face_type", "padding", "up"),
    [("half", 0, 0), ("mid-full", 0.0675, 0), ("full", 0.2109375, 0), ("whole_face", 0.4, 0.07), ("head", 0.7, 0.5)],
)
def test_crops_are_deepfacelabs(face_type, padding, up):
    points = face_68(similarity(180, 12, 500, 260))
    ours = crop_from_frame(points, face_type, 224)
    theirs = dfl_crop(points, 224, padding, up)
    if face_type == "head":  # the made-up jaw is not quite symmetric after the fit
        assert np.allclose(ours[:, :2], theirs[:, :2], atol=1e-4)
        assert np.abs(ours[:, 2] - theirs[:, 2]).max() < 0.5
    else:
        assert np.allclose(ours, theirs, atol=2e-3)


def test_coverages_are_the_known_ones():
    known = {"half": 1.0, "mid-full": 1.191, "full": 1.597, "whole_face": 2.131, "head": 2.980}
    assert {name: round(kind.coverage, 3) for name, kind in FACE_TYPES.items()} == known


def test_five_points_lie_where_deepfacelab_puts_them():
    points = face_68(similarity(150, -8, 300, 200))
    crop = apply(crop_from_frame(points, "whole_face", 1), points)
    assert np.allclose(crop[36:42].mean(0), (0.371, 0.400), atol=6e-4)
    assert np.allclose(crop[42:48].mean(0), (0.620, 0.400), atol=6e-4)
    assert np.allclose(crop[[30, 48, 54]], [(0.495, 0.540), (0.385, 0.664), (0.606, 0.664)], atol=6e-4)


def test_own_coverage_keeps_the_centre():
    points = face_68(similarity(150, 5, 300, 200))
    middle = np.array([[112.0, 112.0]])
    usual = invert(crop_from_frame(points, "whole_face", 224))
    wide = invert(crop_from_frame(points, "whole_face", 224, coverage=2.2))
    assert np.allclose(apply(usual, middle), apply(wide, middle))
    assert np.linalg.norm(wide[:, 0]) / np.linalg.norm(usual[:, 0]) == pytest.approx(2.2 / 2.131371, rel=1e-6)


def test_a_turned_head_moves_the_head_crop_only():
    points = face_68(similarity(100, 0, 300, 200))
    turned = points.copy()
    turned[:17, 0] += 20.0
    for kind in FACE_TYPES:
        shift = crop_from_frame(turned, kind, 224)[:, 2] - crop_from_frame(points, kind, 224)[:, 2]
        # yaw 0.4: 0.4 |tanh 0.8| / 2 faces to the right, at 224 / 2.98 pixels a face
        expected = -0.5 * 0.4 * math.tanh(0.8) * 224 / FACE_TYPES["head"].coverage if kind == "head" else 0.0
        assert shift == pytest.approx((expected, 0.0), abs=1.5 if kind == "head" else 1e-9)


def test_68_points_out_of_478():
    landmarks = np.random.default_rng(2).uniform(0, 700, (478, 3)).astype(np.float32)
    points = landmarks_68(landmarks)
    assert points.shape == (68, 2)
    assert points[36] == pytest.approx(landmarks[33, :2])
    assert points[21] == pytest.approx((landmarks[107, :2] + landmarks[55, :2]) / 2)
    assert np.array_equal(crop_from_frame(landmarks, "full", 96), crop_from_frame(points, "full", 96))
    assert max(max(pair) for pair in IBUG_68) < 468


@pytest.mark.parametrize(("kind", "size", "coverage"), [("face", 224, None), ("full", 0, None), ("full", 224, 0.0)])
def test_wrong_arguments_have_one_clear_line(kind, size, coverage):
    with pytest.raises(ConfigError) as caught:
        crop_from_frame(face_68(similarity(100, 0, 0, 0)), kind, size, coverage=coverage)
    assert "\n" not in str(caught.value)


def test_invert_undoes():
    matrix = similarity(0.31, 33, -120, 55)
    points = np.array([[0.0, 0.0], [900.0, 20.0], [3.0, 700.0]])
    assert np.allclose(apply(invert(matrix), apply(matrix, points)), points, atol=1e-9)
    with pytest.raises(ValueError, match="inverse"):
        invert(np.zeros((2, 3)))


def value_at(x, y):
    """A smooth picture's colours at these places."""
    return np.stack([120 + 60 * np.sin(x / 37 + i) + 50 * np.cos(y / 29 - i) for i in range(3)], axis=-1)


@pytest.mark.parametrize("scale", [1.7, 1.0, 0.6, 0.497, 0.34, 0.21, 0.11])
def test_cut_samples_the_right_places_at_every_scale(scale):
    y, x = np.mgrid[0:720, 0:1280].astype(np.float64)
    picture = value_at(x, y).round().astype(np.uint8)
    matrix = similarity(scale, 9, 0, 0)
    matrix[:, 2] = 32 - matrix[:, :2] @ (640, 360)
    crop = cut(picture, matrix, 64)
    y, x = np.mgrid[0:64, 0:64]
    places = apply(invert(matrix), np.stack([x.ravel(), y.ravel()], axis=1).astype(float))
    error = crop.reshape(-1, 3) - value_at(places[:, 0], places[:, 1])
    # Averaging blocks flattens the waves a little; a shift by half a block would show as a mean error.
    assert np.abs(error).max() < (2.5 if scale > 0.2 else 6.0)
    assert np.abs(error.mean(axis=0)).max() < 0.6


def test_shrinking_averages_fine_detail_instead_of_picking_it():
    checks = (np.indices((720, 1280)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = np.ascontiguousarray(np.repeat(checks[:, :, None], 3, axis=2))
    crop = cut(picture, similarity(1 / 4, 0, -50, -20), 128)
    assert np.abs(crop.astype(int) - 128).max() <= 1


def test_beyond_the_frame_is_black_or_the_edge():
    picture = np.full((33, 47, 3), 200, np.uint8)
    for scale in (1.0, 0.3):
        matrix = similarity(scale, 0, 20, 20)
        black, edge = cut(picture, matrix, 80), cut(picture, matrix, 80, "edge")
        assert black[0, 0].tolist() == [0, 0, 0]
        assert edge.min() == 200
        inside = (int(20 + 46 * scale), int(20 + 32 * scale))
        assert black[21 : inside[1], 21 : inside[0]].min() == 200


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (37, 3), (479, 641)])
def test_any_frame_can_be_cut(shape):
    picture = np.full((*shape, 3), 90, np.uint8)
    picture.flags.writeable = False
    for scale in (40.0, 1.0, 0.3, 0.004):
        crop = cut(picture, similarity(scale, 30, 3, 4), 17)
        assert crop.shape == (17, 17, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous
        assert crop.max() <= 90


def test_a_face_far_outside_gives_black():
    assert cut(np.full((48, 64, 3), 255, np.uint8), similarity(1, 0, 5000, 0), 32).max() == 0


def test_warp_takes_floats_with_four_channels():
    picture = np.random.default_rng(3).uniform(0, 255, (50, 60, 4)).astype(np.float32)
    out = warp(picture, np.eye(2, 3), 60, 50)
    assert out.dtype == np.float32
    assert np.allclose(out, picture, atol=1e-3)


def test_recorded_crop_of_deepfacelive():
    if not REFERENCE.exists():
        pytest.skip("shared/reference/dflive_merge.npz is not here")
    with np.load(REFERENCE) as recorded:
        y0, _, x0, _ = recorded["crop_y0y1x0x1"].tolist()
        matrix = invert(recorded["aligned_to_frame_mat"].astype(np.float64))
        theirs = recorded["face_align"]
        part = recorded["frame"]
    # Only a part of the frame is recorded: compare what lies inside it, where no averaging is due.
    matrix[:, 2] += matrix[:, :2] @ (x0, y0)
    grid = np.stack(np.meshgrid(np.arange(224.0), np.arange(224.0)), axis=-1)
    places = apply(invert(matrix), grid.reshape(-1, 2))
    inside = ((places > 2) & (places < np.array(part.shape[1::-1]) - 3)).all(axis=1).reshape(224, 224)
    assert inside.mean() > 0.5

    def error(dx, dy):
        ours = cut(part, matrix + [[0, 0, dx], [0, 0, dy]], 224)
        return np.abs(ours.astype(int) - theirs)[inside].mean()

    # Theirs picks single pixels, ours averages four: not equal, but nowhere better than in the same place.
    best = error(0, 0)
    assert best < 2.0
    assert all(error(dx, dy) > best for dx, dy in [(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
